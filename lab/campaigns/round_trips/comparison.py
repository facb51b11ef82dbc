"""Compare both sides of an estate: their databases row by row, and their storages byte by byte."""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from lab.environment.databases import LOCAL
from lab.layout import ClusterLayout, Layout
from lab.polling import holds_within

DELIVERED_WITHIN = 10.0
"""Seconds until what one side wrote last has reached the other."""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"


@dataclass(frozen=True)
class Comparison:
    """What was compared, and in what it differs."""

    tables: int
    rows: int
    """Rows of one side, outside the tables that each cluster keeps for itself."""
    different_rows: list[str] = field(default_factory=list)
    files: int = 0
    different_files: list[str] = field(default_factory=list)

    def problems(self) -> Iterator[str]:
        """Every difference, and everything that was not compared."""
        if self.different_rows:
            yield f"{len(self.different_rows)} rows differ: {'; '.join(self.different_rows[:3])}"
        if self.different_files:
            yield f"{len(self.different_files)} files differ, such as {self.different_files[0]}"
        for name in ("tables", "rows", "files"):
            if not getattr(self, name):
                yield f"{name}: none was compared, so nothing was proved"


Rows = dict[str, set[tuple[str, str]]]
"""By table: digest and text of each row."""


async def compare(layout: Layout) -> Comparison:
    """Compare the databases outside the excluded tables, and the storages."""
    one, two = layout.clusters
    sides: tuple[Rows, Rows] = {}, {}

    async def equal() -> bool:
        nonlocal sides
        sides = await rows_of(one), await rows_of(two)
        return sides[0] == sides[1]

    await holds_within(DELIVERED_WITHIN, equal, 0.2)
    here, there = sides
    stored = await asyncio.to_thread(lambda: (digests(one.storage), digests(two.storage)))
    return Comparison(
        tables=len(here),
        rows=sum(map(len, here.values())),
        different_rows=[
            f"{table}: {text[:80]}"
            for table in sorted(here.keys() | there.keys())
            for _, text in sorted(here.get(table, set()) ^ there.get(table, set()))
        ],
        files=len(stored[0]),
        different_files=sorted(
            path
            for path in stored[0].keys() | stored[1].keys()
            if stored[0].get(path) != stored[1].get(path)
        ),
    )


async def rows_of(cluster: ClusterLayout) -> Rows:
    """Read every row of the tables that both sides share."""
    found: Rows = {}
    async with await psycopg.AsyncConnection.connect(cluster.dsn) as connection:
        tables = await (await connection.execute(TABLES)).fetchall()
        for (table,) in tables:
            if table in LOCAL:
                continue
            statement = sql.SQL("SELECT md5(t::text), t::text FROM {} AS t")
            cursor = await connection.execute(statement.format(sql.Identifier(table)))
            found[table] = {(str(digest), str(text)) for digest, text in await cursor.fetchall()}
    return found


def digests(storage: Path) -> dict[str, str]:
    """Return the SHA-256 of every file on a storage."""
    return {
        str(file.relative_to(storage)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in storage.rglob("*")
        if file.is_file() and not file.name.startswith(".")
    }
