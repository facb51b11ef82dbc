"""Write rows on the active side while replication is off, and find them on the other side.

What the application itself keeps in a replicated table: no object that an administrator sees.
"""

import psycopg

from lab.layout import ClusterLayout

ACCOUNTS = 5
"""How many accounts are updated each time."""


async def write(active: ClusterLayout, series: str) -> int:
    """Insert a row and update some; return how many rows were written."""
    async with await psycopg.AsyncConnection.connect(active.dsn, autocommit=True) as connection:
        inserted = await connection.execute(
            "INSERT INTO scheduled_task (name, every_seconds) VALUES (%s, 60)", (_name(series),)
        )
        updated = await connection.execute(
            "UPDATE account SET updated = clock_timestamp() WHERE name IN "
            "(SELECT name FROM account ORDER BY random() LIMIT %s)",
            (ACCOUNTS,),
        )
        return inserted.rowcount + updated.rowcount


async def brought_over(other: ClusterLayout, series: str, since: float) -> int:
    """Count those that the other side has; *since*: seconds since the epoch before the write."""
    async with await psycopg.AsyncConnection.connect(other.dsn) as connection:
        found = await connection.execute(
            "SELECT (SELECT count(*) FROM scheduled_task WHERE name = %s) + "
            "(SELECT count(*) FROM account WHERE updated >= to_timestamp(%s))",
            (_name(series), since),
        )
        row = await found.fetchone()
    return int(row[0]) if row else 0


def _name(series: str) -> str:
    return f"housekeeping {series}"
