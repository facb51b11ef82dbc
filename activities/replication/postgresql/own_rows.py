"""Find rows of the passive side that the active side would lose, where no slot tells them.

Both sides are compared row by row. A difference is explained where the active side wrote the row
later than the passive one, or where the row is among what the active side has yet to deliver. Any
other one was written on the passive side, and only there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from activities.replication.postgresql.connection import Session
from activities.replication.postgresql.contents import StoredRow, Table, stored_rows
from activities.replication.postgresql.link import PostgresLink
from activities.replication.postgresql.pending import Pending
from activities.replication.postgresql.row_changes import Row
from workflows.errors import NotReady

MAX_DIFFERENCES = 10_000
"""Rows whose difference only the pending changes could explain: more are not looked up."""


@dataclass(frozen=True)
class OwnRows:
    """Compares the returning side with the active one."""

    to_passive: PostgresLink
    """The link from the active side to the returning one."""
    slot: str | None
    """The slot of that link; None where it was lost, and explains nothing."""
    tables: Sequence[Table]
    within: float
    """Seconds for one statement, and for one reading of what the link has yet to deliver."""

    async def find(self, active: Session, passive: Session) -> tuple[Row, ...]:
        """Return rows that only the passive side has; both sessions are within a transaction.

        The passive side must not change meanwhile. The active one may: what it writes after its
        transaction began is among what it has yet to deliver.

        Raises:
            NotReady: there are too many differences to look each of them up.
        """
        own: dict[bytes, Row] = {}
        open_: dict[bytes, Row] = {}
        for table in self.tables:
            async with aclosing(self._differences(active, passive, table)) as differences:
                async for ours, other in differences:
                    found = own if _later(ours, other) else open_
                    found[ours.row.digest] = ours.row
                    if len(own) + len(open_) > MAX_DIFFERENCES:
                        raise self._too_many()
        if open_ and self.slot is not None:
            pending = Pending(self.to_passive, self.slot, self.within).changes()
            async with aclosing(pending) as changes:
                async for change in changes:
                    open_.pop(change.row.digest, None)
        return (*own.values(), *open_.values())

    async def _differences(
        self, active: Session, passive: Session, table: Table
    ) -> AsyncGenerator[tuple[StoredRow, StoredRow | None]]:
        """Yield each row that the active side has not, or has otherwise and not written later."""
        theirs = _Cursor(stored_rows(active, table, self.within))
        async with (
            aclosing(theirs.rows),
            aclosing(stored_rows(passive, table, self.within)) as rows,
        ):
            async for ours in rows:
                other = await theirs.take(ours.key)
                same = other is not None and other.content == ours.content
                if not same and not (other and _later(other, ours)):
                    yield ours, other
            await theirs.finish()

    def _too_many(self) -> NotReady:
        return NotReady(
            f"{self.to_passive.name}: more than {MAX_DIFFERENCES} rows differ on "
            f"{self.to_passive.subscriber.name}, and nothing tells which side wrote them; "
            "compare the databases by hand, make the same on both sides what is to stay, then "
            "decide `retry`"
        )


def _later(one: StoredRow, other: StoredRow | None) -> bool:
    """Whether a row was written later than another one, as far as both servers tell."""
    if other is None or one.written is None or other.written is None:
        return False
    return one.written > other.written


@dataclass
class _Cursor:
    """Goes through ordered rows once."""

    rows: AsyncGenerator[StoredRow]
    _next: StoredRow | None = None
    _ended: bool = False

    async def take(self, key: str) -> StoredRow | None:
        """Return the next row of that key; None where there is none."""
        while not self._ended and (self._next is None or self._next.key < key):
            self._next = await anext(self.rows, None)
            self._ended = self._next is None
        if self._next is None or self._next.key != key:
            return None
        taken, self._next = self._next, None
        return taken

    async def finish(self) -> None:
        """Read to the end, so that the session is free for the next table."""
        while await anext(self.rows, None) is not None:
            pass
