"""Have both sides written the same rows while replication was suspended?

Resumed then, the values of an updated row silently swap, and a row that both inserted stops the
apply worker for good. Everything here only reads, and takes nothing from any slot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta

from activities.replication.driver import Link
from activities.replication.row_changes import Row, Values
from activities.runtime.heartbeat import sleep
from workflows.errors import NotReady, NotYet

LOOKED_UP = 1_000
"""Rows that are read one by one, at most, where the other direction goes on already."""
LISTED = 20
BRIEFLY = timedelta(seconds=0.2)
WAITED_FOR = 2.0
"""Seconds in which the other direction may get where it can be compared, before someone is told."""


@dataclass
class Overlap:
    """Rows that both sides wrote: the first of them, and how many there are."""

    shown: dict[bytes, Row] = field(default_factory=dict)
    all: set[bytes] = field(default_factory=set)

    def add(self, row: Row) -> None:
        """Count one more, once."""
        self.all.add(row.digest)
        if len(self.shown) < LISTED:
            self.shown[row.digest] = row

    def __str__(self) -> str:
        more = len(self.all) - len(self.shown)
        return "; ".join(map(str, self.shown.values())) + (f"; and {more} more" if more else "")


@dataclass(frozen=True)
class Conflicts:
    """Looks for rows that one direction would deliver although the other side wrote them too."""

    here: Link
    slot: str
    back: Sequence[Link]
    """Whatever leads the other way."""
    within: float
    """Seconds for one reading of what a direction has yet to deliver."""

    async def require_none(self) -> None:
        """Refuse where both sides wrote the same rows.

        Two directions may be resumed side by side, in any order. As long as neither is enabled,
        each compares what both are about to deliver. Where the other one went first, it has
        delivered what its side wrote: what this one is about to deliver must then still stand at
        its own publisher. Where it does not, it was overwritten, and the two would swap.

        Raises:
            NotReady: naming the rows, or because there are too many to tell.
            NotYet: the other direction goes on already, and has not delivered everything yet.
        """
        if not self.back or not await self._anything():
            return  # what delivers nothing overwrites nothing
        overlap = Overlap()
        for other in self.back:
            await self._compare(other, overlap)
        if overlap.all:
            raise NotReady(await self._refusal(overlap))

    async def _anything(self) -> bool:
        async with aclosing(self.here.pending(self.slot, self.within)) as pending:
            async for _ in pending:
                return True
        return False

    async def _compare(self, other: Link, overlap: Overlap) -> None:
        """Compare with one other direction; whoever resumes that one may be reading our slot."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + WAITED_FOR
        while not (subscription := await other.subscription()).enabled:
            try:
                return await self._compare_rows(other, subscription.slot, overlap)
            except NotYet:
                if clock() > deadline:
                    raise
                await sleep(BRIEFLY)
        return await self._compare_values(other, subscription.slot, overlap)

    async def _compare_rows(self, other: Link, slot: str, overlap: Overlap) -> None:
        rows: set[bytes] = set()
        tables: set[str] = set()
        async for written in other.pending(slot, self.within):
            rows.add(written.row.digest)
            tables.add(written.row.table)
        async for written in self.here.pending(self.slot, self.within):
            row = written.row
            # A table that one side emptied meets whatever the other side wrote to it.
            emptied = row.whole_table.digest in rows or (not row.key and row.table in tables)
            if row.digest in rows or emptied:
                overlap.add(row)

    async def _compare_values(self, other: Link, slot: str, overlap: Overlap) -> None:
        await self._await_delivery(other, slot)
        for row, values in (await self._left(other)).items():
            if row.key and not _stands(values, await self.here.current(row)):
                overlap.add(row)

    async def _await_delivery(self, other: Link, slot: str) -> None:
        """Wait until what the other side has written by now is where we can see it."""
        clock, written = asyncio.get_running_loop().time, await other.written()
        deadline = clock() + WAITED_FOR
        while behind := await other.lag(slot, written):
            if clock() > deadline:
                raise NotYet(
                    f"{self.here.name}: {other.name} goes on already and is still {behind} bytes "
                    "behind, expected 0; if it stays so, look at its subscriber's log"
                )
            await sleep(BRIEFLY)

    async def _left(self, other: Link) -> dict[Row, Values | None]:
        """Return what each row was left as by its own side."""
        left: dict[Row, Values | None] = {}
        async with aclosing(self.here.pending(self.slot, self.within)) as pending:
            async for written in pending:
                left[written.row] = written.values
                if len(left) > LOOKED_UP:
                    raise NotReady(
                        f"{self.here.name}: {other.name} goes on already, and more than "
                        f"{LOOKED_UP} rows were written here meanwhile: whether the other side "
                        "wrote them too cannot be told; compare the databases by hand, enable the "
                        "subscription yourself, then decide `retry`"
                    )
        return left

    async def _refusal(self, overlap: Overlap) -> str:
        slots = [f"{other.name} in {(await other.subscription()).slot}" for other in self.back]
        kept = ", ".join([f"{self.here.name} in {self.slot}", *slots])
        return (
            f"{self.here.name}: both sides wrote the same rows while it was suspended: {overlap}; "
            "resumed now, their values would be swapped, or the subscriber would stop for good; "
            "let one side win: remove what the other one inserted, discard all that this other one "
            f"has yet to send with pg_replication_slot_advance (slots: {kept}), enter again what "
            "else it wrote once replication runs, and decide `retry`"
        )


def _stands(values: Values | None, current: Values | None) -> bool:
    if values is None or current is None:
        return values is current
    return all(current.get(name, value) == value for name, value in values.items())
