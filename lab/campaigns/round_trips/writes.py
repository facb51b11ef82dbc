"""Write rows on the active side while replication is off, and find them on the other side.

In the table of scheduled tasks, as one that the application itself writes: no object that an
administrator sees changes.
"""

import psycopg

from lab.layout import ClusterLayout

TABLE = "scheduled_task"
INSERTED = 5
"""How many rows are inserted each time; all others are updated."""

Written = tuple[tuple[str, int], ...]
"""Each row: its key and its value."""


async def write(active: ClusterLayout, series: str) -> Written:
    """Update every row and insert some; return them."""
    names = [f"housekeeping {series}{number}" for number in range(INSERTED)]
    async with await psycopg.AsyncConnection.connect(active.dsn, autocommit=True) as connection:
        updated = await connection.execute(
            "UPDATE scheduled_task SET every_seconds = every_seconds + 1 "
            "RETURNING name, every_seconds"
        )
        rows = await updated.fetchall()
        inserted = await connection.execute(
            "INSERT INTO scheduled_task (name, every_seconds) SELECT unnest(%s::text[]), 60 "
            "RETURNING name, every_seconds",
            (names,),
        )
        return tuple(rows + await inserted.fetchall())


async def brought_over(other: ClusterLayout, written: Written) -> int:
    """Count those of them that the other side has."""
    async with await psycopg.AsyncConnection.connect(other.dsn) as connection:
        found = await connection.execute("SELECT name, every_seconds FROM scheduled_task")
        return len(set(await found.fetchall()) & set(written))
