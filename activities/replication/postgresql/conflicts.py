"""Find rows that both sides wrote while replication was suspended.

Resumed then, the values of an updated row silently swap, and a row that both inserted stops the
apply worker for good. PostgreSQL itself reports neither. Everything here only reads, and consumes
nothing of any slot.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta

from activities.replication.postgresql.definition import rests
from activities.replication.postgresql.link import PostgresLink, SubscriptionState
from activities.replication.postgresql.pending import Pending
from activities.replication.postgresql.row_changes import Row, Values
from activities.replication.postgresql.wire import MEBIBYTE
from activities.runtime.heartbeat import sleep
from workflows.errors import NotReady, NotYet

MAX_ROWS_LOOKED_UP = 1_000
"""Rows that are read one by one, at most, where the other direction runs already."""
MAX_BYTES_LOOKED_UP = 16 * MEBIBYTE
"""Of the values of these rows together: they are held until all are known."""
MAX_SHOWN_ROWS = 20
POLL_INTERVAL = timedelta(seconds=0.2)
COMPARABLE_TIMEOUT = 2.0
"""Seconds in which the other direction may become comparable within one attempt."""


@dataclass
class Overlap:
    """Rows that both sides wrote: the first of them, and how many there are."""

    shown: dict[bytes, Row] = field(default_factory=dict)
    all: set[bytes] = field(default_factory=set)

    def add(self, row: Row) -> None:
        """Count one more, once."""
        self.all.add(row.digest)
        if len(self.shown) < MAX_SHOWN_ROWS:
            self.shown[row.digest] = row

    def __str__(self) -> str:
        more = len(self.all) - len(self.shown)
        return "; ".join(map(str, self.shown.values())) + (f"; and {more} more" if more else "")


@dataclass(frozen=True)
class Conflicts:
    """Finds rows that one link would deliver although the other side wrote them too."""

    here: PostgresLink
    slot: str
    opposites: Sequence[PostgresLink]
    """The links that lead the other way."""
    within: float
    """Seconds for one reading of what a link has yet to deliver."""

    async def require_none(self) -> None:
        """Refuse where both sides wrote the same rows.

        Two links may be resumed side by side, in any sequence. As long as neither is enabled, each
        compares what both are about to deliver. Where the other one was enabled first, it has
        delivered what its side wrote: what this one is about to deliver must then still stand at
        its own publisher. Where it does not, it was overwritten, and the two would swap.

        Raises:
            NotReady: naming the rows, or because there are too many to compare.
            NotYet: the other link runs already, and has not delivered everything yet.
        """
        if not self.opposites or not await self._has_changes():
            return  # a link that delivers nothing overwrites nothing
        overlap = Overlap()
        for other in self.opposites:
            await self._compare(other, overlap)
        if overlap.all:
            raise NotReady(await self._refusal(overlap))

    async def _has_changes(self) -> bool:
        async with aclosing(Pending(self.here, self.slot, self.within).changes()) as pending:
            async for _ in pending:
                return True
        return False

    async def _compare(self, other: PostgresLink, overlap: Overlap) -> None:
        """Compare with one other link; the action that resumes that one may be using our slot."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + COMPARABLE_TIMEOUT
        while not (subscription := await other.subscription()).enabled:
            if not await _tells(other, subscription):
                return None  # nothing tells what the other side wrote, and it delivers nothing
            try:
                return await self._compare_rows(other, subscription.slot, overlap)
            except NotYet:
                if clock() > deadline:
                    raise
                await sleep(POLL_INTERVAL)
        return await self._compare_values(other, subscription.slot, overlap)

    async def _compare_rows(self, other: PostgresLink, slot: str, overlap: Overlap) -> None:
        rows: set[bytes] = set()
        tables: set[str] = set()
        async for change in Pending(other, slot, self.within).changes():
            rows.add(change.row.digest)
            tables.add(change.row.table)
        if not rows:
            return  # whatever waits here, and however much, meets nothing
        async for change in Pending(self.here, self.slot, self.within).changes():
            row = change.row
            # A table that one side emptied meets whatever the other side wrote to it.
            emptied = row.all_rows.digest in rows or (not row.key and row.table in tables)
            if row.digest in rows or emptied:
                overlap.add(row)

    async def _compare_values(self, other: PostgresLink, slot: str, overlap: Overlap) -> None:
        await self._await_delivery(other, slot)
        for row, values in (await self._last_values(other)).items():
            if row.key and not _stands(values, await self.here.current(row)):
                overlap.add(row)

    async def _await_delivery(self, other: PostgresLink, slot: str) -> None:
        """Wait until what the other side has written by now has arrived here."""
        clock, written = asyncio.get_running_loop().time, await other.written()
        deadline = clock() + COMPARABLE_TIMEOUT
        while behind := await other.lag(slot, written):
            if clock() > deadline:
                raise NotYet(
                    f"{self.here.name}: {other.name} runs already and is still {behind} bytes "
                    "behind, expected 0; if this does not change, read its subscriber's log"
                )
            await sleep(POLL_INTERVAL)

    async def _last_values(self, other: PostgresLink) -> dict[Row, Values | None]:
        """Return the last values that each row was given by its own side."""
        last: dict[Row, Values | None] = {}
        held = 0
        async with aclosing(Pending(self.here, self.slot, self.within).changes()) as pending:
            async for change in pending:
                if change.row in last:
                    held -= _length(change.row, last[change.row])
                held += _length(change.row, change.values)
                last[change.row] = change.values
                if len(last) > MAX_ROWS_LOOKED_UP or held > MAX_BYTES_LOOKED_UP:
                    raise NotReady(
                        f"{self.here.name}: {other.name} runs already, and more than "
                        f"{MAX_ROWS_LOOKED_UP} rows, or {MAX_BYTES_LOOKED_UP // MEBIBYTE} MiB of "
                        "them, were written here meanwhile, too many to find out whether the other "
                        "side wrote them too; compare the databases by hand, enable the "
                        "subscription yourself, then decide `retry`"
                    )
        return last

    async def _refusal(self, overlap: Overlap) -> str:
        others = [
            f"{other.name} in {(await other.subscription()).slot}" for other in self.opposites
        ]
        slots = ", ".join([f"{self.here.name} in {self.slot}", *others])
        return (
            f"{self.here.name}: both sides wrote the same rows while it was suspended: {overlap}; "
            "if it were resumed now, their values would be swapped, or the subscriber would stop "
            "for good; decide which side wins: remove what the other side inserted, discard all "
            f"its changes with pg_replication_slot_advance (slots: {slots}), repeat its other "
            "changes once replication runs, and decide `retry`"
        )


async def _tells(other: PostgresLink, subscription: SubscriptionState) -> bool:
    """Whether a slot tells what the other side wrote; NotReady where it should, and was lost."""
    if not subscription.slot or await other.keeps_changes(subscription):
        return bool(subscription.slot)
    if await other.find_slot(subscription.slot) is None and await rests(other, subscription):
        return False  # where one direction runs at a time, the other one may have none
    raise NotReady(
        f"{other.name}: slot {subscription.slot} on {other.publisher.name} was lost, so nothing "
        "tells what was written there while replication was suspended; compare the databases by "
        "hand, make the slot anew, then decide `retry`"
    )


def _length(row: Row, values: Values | None) -> int:
    cells = (*(value for _, value in row.key), *(values or {}).values())
    return sum(len(cell or "") for cell in cells)


def _stands(values: Values | None, current: Values | None) -> bool:
    if values is None or current is None:
        return values is current
    return all(current.get(name, value) == value for name, value in values.items())
