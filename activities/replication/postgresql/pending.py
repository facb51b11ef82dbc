"""Read what a slot has yet to deliver; nothing is taken away."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from activities.replication.postgresql.connection import MARGIN, Session, connected
from activities.replication.postgresql.link import (
    MAX_MESSAGES_BYTES,
    ORIGIN_FILTER_VERSION,
    PostgresLink,
)
from activities.replication.postgresql.pgoutput import Reader
from activities.replication.postgresql.row_changes import Row, RowChange
from workflows.errors import NotReady, OutcomeUnknown

_PENDING: LiteralString = """
DECLARE pending NO SCROLL CURSOR FOR
SELECT data FROM pg_logical_slot_peek_binary_changes(%s, NULL, %s, VARIADIC %s::text[])
"""

MAX_PENDING_MESSAGES = 100_000
"""Messages of one slot that are read: the transaction that reaches it is the last one."""
MESSAGES_PER_FETCH = 500
"""Messages that the worker holds at a time."""


@dataclass(frozen=True)
class Undelivered:
    """What a slot has yet to deliver, as far as it had to be read."""

    own: tuple[Row, ...]
    """Rows that its side wrote itself: the first of them."""
    received: bool
    """Whether changes that had arrived there by replication come before the first own one."""


@dataclass(frozen=True)
class Pending:
    """Reads one slot of a link's publisher."""

    link: PostgresLink
    slot: str
    within: float
    """Seconds for one reading."""

    async def changes(self) -> AsyncGenerator[RowChange]:
        """Yield what the publisher itself has written and not delivered; takes nothing away.

        Raises:
            NotYet: another connection uses the slot.
            NotReady: there is too much to read.
            OutcomeUnknown: it takes longer than so many seconds, or cannot be understood.
        """
        reader = Reader()
        async with aclosing(self._messages()) as messages:
            async for message in messages:
                for change in reader.changes(message):
                    yield change

    async def own_rows(self, most: int) -> Undelivered:
        """Return at most so many rows that the publisher wrote itself; errors as ``changes``."""
        reader, own, received = Reader(), dict[bytes, Row](), False
        async with aclosing(self._messages()) as messages:
            async for message in messages:
                changes = reader.changes(message)
                received = received or (not own and reader.received)
                own |= {change.row.digest: change.row for change in changes}
                if len(own) >= most:
                    break
        return Undelivered(tuple(own.values())[:most], received)

    async def _messages(self) -> AsyncGenerator[bytes]:
        count = 0
        async with connected(self.link.logins, self.link.publisher) as session:
            clock = asyncio.get_running_loop().time
            until = clock() + self.within
            await self._open(session)
            while messages := await _next_messages(session, until - clock()):
                count += len(messages)
                for message in messages:
                    yield message
                if count >= MAX_PENDING_MESSAGES:
                    break
        if count >= MAX_PENDING_MESSAGES:
            raise NotReady(
                f"{self.link.name}: more than {MAX_PENDING_MESSAGES} changes wait at "
                f"{self.link.publisher.name}, too many to find out whether both sides wrote the "
                "same rows; compare the databases by hand, enable the subscription yourself, then "
                "decide `retry`"
            )

    async def _open(self, session: Session) -> None:
        """Have the server find the messages of a slot, and keep them; the slot does not move."""
        options = ["proto_version", "1", "publication_names", _quoted(self.link.link.publication)]
        if session.connection.info.server_version >= ORIGIN_FILTER_VERSION:
            options += ["origin", "none"]
        await session.limit(self.within)
        await session.ask("BEGIN", lost=OutcomeUnknown)
        parameters = (self.slot, MAX_PENDING_MESSAGES, options)
        await session.ask(_PENDING, *parameters, within=self.within + MARGIN, lost=OutcomeUnknown)


async def _next_messages(session: Session, within: float) -> list[bytes]:
    """Return the next messages that the server has found; none at the end."""
    found = await session.ask(
        sql.SQL("FETCH {} FROM pending").format(MESSAGES_PER_FETCH),
        within=max(0, within) + MARGIN,
        most=MAX_MESSAGES_BYTES,
        lost=OutcomeUnknown,
        binary=True,
    )
    if found is not None and found.nfields == 1 and found.ntuples <= MESSAGES_PER_FETCH:
        cells = [found.get_value(row, 0) for row in range(found.ntuples)]
        messages = [cell for cell in cells if cell is not None]
        if len(messages) == len(cells):
            return messages
    raise OutcomeUnknown(
        f"{session.place}: its answer is not the changes of a slot that were asked for; "
        "find out which server answers there"
    )


def _quoted(name: str) -> str:
    """Quote a publication's name as the output plugin wants it."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
