"""Copy the rows of a table from one server to another, without holding them in memory."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import AsyncCopy, sql

from activities.replication.postgresql.connection import MAX_ANSWER, Session, translated
from activities.replication.postgresql.contents import Table
from activities.replication.postgresql.wire import CHUNK, MEBIBYTE
from workflows.errors import SwitchoverError, Unreachable

MAX_COPIED_ROW = 16 * MEBIBYTE
"""Bytes of one row: libpq holds it as a whole."""


async def copy_rows(source: Session, target: Session, table: Table, within: float) -> None:
    """Add all rows of a table to those of another server, as a part of its transaction.

    Both connections are closed where it fails.

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
    source.wire.allow(MAX_COPIED_ROW)
    target.wire.allow(MAX_ANSWER)
    try:
        async with asyncio.timeout(within) as limit:
            await _copy(source, target, table, _Clock(limit, within))
    except TimeoutError as silence:
        places = f"{source.place} and {target.place}"
        raise Unreachable(
            f"{places}: no row of {table.full_name} was copied for {within:.0f} s"
        ) from silence


class _Clock:
    """Begins the time anew whenever rows were passed on."""

    def __init__(self, limit: asyncio.Timeout, within: float) -> None:
        self._limit, self._within = limit, within

    def restart(self) -> None:
        self._limit.reschedule(asyncio.get_running_loop().time() + self._within)


async def _copy(source: Session, target: Session, table: Table, clock: _Clock) -> None:
    columns = table.listed_columns
    out = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(columns, table.source)
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(table.identifier, columns)
    reading, writing = source.connection.cursor(), target.connection.cursor()
    faults: list[BaseException] = []
    try:
        with translated(target.place, Unreachable, target.wire):
            async with writing.copy(into) as sink:
                with (
                    _closing(source, target, faults),
                    translated(source.place, Unreachable, source.wire),
                ):
                    async with reading.copy(out) as rows:
                        with _closing(source, target, faults):
                            await _pass_on(source, rows, target, sink, clock)
    except SwitchoverError as last:
        # Ending a copy over a closed connection fails, too, and explains nothing.
        raise faults[0] if faults else last from last


@contextmanager
def _closing(source: Session, target: Session, faults: list[BaseException]) -> Iterator[None]:
    """Close both connections after a fault, so that no end of a copy is waited for."""
    try:
        yield
    except BaseException as fault:
        faults.append(fault)
        source.connection.pgconn.finish()
        target.connection.pgconn.finish()
        raise


async def _pass_on(
    source: Session, rows: AsyncCopy, target: Session, sink: AsyncCopy, clock: _Clock
) -> None:
    while part := await _next_rows(source, rows):
        clock.restart()
        with translated(target.place, Unreachable, target.wire):
            await sink.write(part)
        clock.restart()


async def _next_rows(source: Session, rows: AsyncCopy) -> bytes:
    """Return the next whole rows together; nothing at the end."""
    part = bytearray()
    with translated(source.place, Unreachable, source.wire):
        while len(part) < CHUNK and (row := await rows.read()):
            source.wire.allow(MAX_COPIED_ROW)
            part += row
    return bytes(part)
