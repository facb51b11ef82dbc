"""Copy the rows of a table from one server to another, without holding them in memory."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from psycopg import AsyncCopy, sql

from activities.replication.postgresql.connection import MAX_ANSWER, Session, translated
from activities.replication.postgresql.contents import Table
from activities.replication.postgresql.wire import CHUNK, MEBIBYTE
from activities.time_limits import Stopwatch
from workflows.errors import SwitchoverError, Unreachable

T = TypeVar("T")

MAX_COPIED_ROW = 64 * MEBIBYTE
"""Bytes of one row: libpq holds it as a whole."""


async def copy_rows(source: Session, target: Session, table: Table, within: float) -> None:
    """Add all rows of a table to those of another server, as a part of its transaction.

    Args:
        source: the session that reads.
        target: the session that writes.
        table: its columns have the same names on both sides.
        within: seconds in which the next rows have to arrive, however many there are.

    Raises:
        Unreachable: a server does not go on in time.
        OutcomeUnknown: a row is longer than it may be.
        CommandFailed: the table differs on the other side.
    """
    columns = table.listed_columns
    out = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(columns, table.source)
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(table.identifier, columns)
    reading, writing = source.connection.cursor(), target.connection.cursor()
    source.wire.allow(MAX_COPIED_ROW)
    target.wire.allow(MAX_ANSWER)
    first: BaseException | None = None
    try:
        with translated(target.place, Unreachable, target.wire):
            async with writing.copy(into) as sink:
                with translated(source.place, Unreachable, source.wire):
                    async with reading.copy(out) as rows:
                        try:
                            await _pass_on(source, rows, target, sink, within)
                        except BaseException as fault:
                            first = fault
                            raise
    except SwitchoverError as later:
        # Ending both copies after a fault has faults of its own, which explain nothing.
        raise first or later from later


async def _pass_on(
    source: Session, rows: AsyncCopy, target: Session, sink: AsyncCopy, within: float
) -> None:
    while part := await _timed(source, _next_rows(source, rows), within):
        with translated(target.place, Unreachable, target.wire):
            await _timed(target, sink.write(part), within)


async def _next_rows(source: Session, rows: AsyncCopy) -> bytes:
    """Return the next whole rows together; nothing at the end."""
    part = bytearray()
    while len(part) < CHUNK and (row := await rows.read()):
        source.wire.allow(MAX_COPIED_ROW)
        part += row
    return bytes(part)


async def _timed(session: Session, work: Coroutine[Any, Any, T], within: float) -> T:
    try:
        return await Stopwatch().time(work, within)
    except TimeoutError as silence:
        raise Unreachable(f"{session.place}: no more rows within {within:.0f} s") from silence
