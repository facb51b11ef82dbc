"""Read which tables a link carries, and their rows in an order that both sides share."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, LiteralString

from psycopg import sql
from pydantic import FiniteFloat, Json, TypeAdapter

from activities.replication.postgresql.connection import FLAGS, Name, Session, fetched, parsed
from activities.replication.postgresql.link import PostgresLink
from activities.replication.postgresql.row_changes import Row
from activities.replication.postgresql.wire import MEBIBYTE
from workflows.errors import OutcomeUnknown
from workflows.model.excluded_tables import left_out

_TABLES: LiteralString = """
SELECT n.nspname, c.relname, c.relkind = 'p',
       (SELECT json_agg(attname ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''),
       (SELECT json_agg(attname ORDER BY attnum)
        FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
        WHERE indrelid = c.oid AND CASE relreplident WHEN 'i' THEN indisreplident
                                                     WHEN 'd' THEN indisprimary END)
FROM pg_publication_tables t
JOIN pg_namespace n ON n.nspname = t.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
WHERE t.pubname = %s ORDER BY 1, 2
"""
_FOUND = TypeAdapter(
    list[tuple[Name, Name, bool, Json[tuple[Name, ...]] | None, Json[tuple[Name, ...]] | None]]
)
_TRACKS: LiteralString = "SELECT current_setting('track_commit_timestamp')::boolean"

_SETTINGS: Final[tuple[LiteralString, ...]] = (
    "SET row_security = off",  # rows that are hidden from us make it fail, not go on without them
    "SET datestyle = 'ISO, YMD'",
    "SET intervalstyle = 'postgres'",
    "SET timezone = 'UTC'",
    "SET extra_float_digits = 3",
    "SET bytea_output = 'hex'",
)
ROWS_PER_FETCH = 500
MAX_FETCH = 16 * MEBIBYTE
_STORED = TypeAdapter(list[tuple[str, str, FiniteFloat | None, Json[tuple[str | None, ...]]]])


@dataclass(frozen=True)
class Table:
    """A table that a link carries."""

    schema: str
    name: str
    partitioned: bool
    columns: tuple[str, ...]
    """Those that hold values of their own."""
    key: tuple[str, ...]
    """The columns that identify a row; all of them where none do."""

    @property
    def full_name(self) -> str:
        """With its schema."""
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        """As it stands in a statement."""
        return sql.Identifier(self.schema, self.name)

    @property
    def source(self) -> sql.Composed:
        """What to read from: the rows of the table and of its partitions, but of no other table."""
        only = sql.SQL("" if self.partitioned else "ONLY ")
        return sql.SQL("{}{}").format(only, self.identifier)

    @property
    def listed_columns(self) -> sql.Composed:
        """Its columns, as a list in a statement."""
        return sql.SQL(", ").join(map(sql.Identifier, self.columns))


@dataclass(frozen=True)
class StoredRow:
    """A row of one side: which one it is, what it holds, and when it was written."""

    key: str
    """A digest of its key."""
    content: str
    """A digest of all its columns."""
    written: float | None
    """When the transaction that wrote it was committed, in seconds; None where that is unknown."""
    row: Row


async def carried_tables(link: PostgresLink, profile: str) -> tuple[Table, ...]:
    """Return the tables that the publication carries, without those that have to stay local."""
    name = link.link.publication
    found = await fetched(link.logins, link.publisher, _FOUND, _TABLES, name)
    tables = (
        Table(schema, table, partitioned, columns or (), key or columns or ())
        for schema, table, partitioned, columns, key in found
    )
    return tuple(table for table in tables if not left_out(table.full_name, profile))


async def settle(session: Session, seconds: float) -> None:
    """Have a server write values in one form, and limit each statement."""
    for setting in _SETTINGS:
        await session.ask(setting)
    await session.limit(seconds)


async def tracks_commits(session: Session, within: float) -> bool:
    """Whether the server tells when a row was written."""
    answer = await session.ask(_TRACKS, within=within)
    return any(tracked for (tracked,) in parsed(session.place, FLAGS, answer))


async def stored_rows(session: Session, table: Table, within: float) -> AsyncGenerator[StoredRow]:
    """Yield all rows of a table, ordered by the digest of their keys, within a transaction.

    Raises:
        OutcomeUnknown: the answer is not what was asked for, or more than it may be.
    """
    query = _rows_query(table, timestamps=await tracks_commits(session, within))
    await session.ask(query, within=within)
    while True:
        statement = sql.SQL("FETCH {} FROM stored").format(ROWS_PER_FETCH)
        answer = await session.ask(statement, within=within, most=MAX_FETCH)
        found = parsed(session.place, _STORED, answer)
        for key, content, written, cells in found:
            if len(cells) != len(table.key):
                raise OutcomeUnknown(
                    f"{session.place}: its rows have other keys than were asked for; "
                    "find out which server answers there"
                )
            row = Row(table.full_name, tuple(zip(table.key, cells, strict=True)))
            yield StoredRow(key, content, written, row)
        if len(found) < ROWS_PER_FETCH:
            break
    await session.ask("CLOSE stored", within=within)


def _rows_query(table: Table, *, timestamps: bool) -> sql.Composed:
    written = "extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8"
    cells = (sql.SQL("{}::text").format(sql.Identifier(column)) for column in table.key)
    key, content = _digest(table.key), _digest(table.columns)
    return sql.SQL(
        "DECLARE stored NO SCROLL CURSOR FOR SELECT {}, {}, {}, to_json(ARRAY[{}]) FROM {} "
        'ORDER BY {} COLLATE "C", {} COLLATE "C"'
    ).format(
        key,
        content,
        sql.SQL(written if timestamps else "NULL"),
        sql.SQL(", ").join(cells),
        table.source,
        key,
        content,
    )


def _digest(columns: tuple[str, ...]) -> sql.Composed:
    row = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("encode(sha256(convert_to(ROW({})::text, 'UTF8')), 'hex')").format(row)
