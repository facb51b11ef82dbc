"""Make, keep and drop the slot of a link that rests, so that it lasts no longer than it is needed.

Where only one direction can run at a time, the other one rests without a slot: a slot would keep
WAL for ever, and would keep what arrived by replication, which must not be sent back. From the
suspension of replication until the way back runs it has one, which keeps what is written meanwhile.
"""

import re
from dataclasses import dataclass
from typing import Final, LiteralString

from activities.replication.driver import Send
from activities.replication.postgresql.connection import ANSWER_TIMEOUT
from activities.replication.postgresql.definition import rests
from activities.replication.postgresql.link import PostgresLink, Slot
from activities.replication.postgresql.pending import Pending
from activities.replication.postgresql.row_changes import Row
from workflows.errors import NotReady, NotYet

_CREATE: Final[LiteralString] = "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')"
_CREATE_FOR_FAILOVER: Final[LiteralString] = (
    "SELECT pg_create_logical_replication_slot(%s, 'pgoutput', failover => true)"
)
# A slot that is not lost is never dropped by this, however late it is executed.
DROP_LOST: Final[LiteralString] = """
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
WHERE slot_name = %s AND wal_status = 'lost'
"""
# One that a connection uses is not, either.
DROP_IDLE: Final[LiteralString] = """
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
WHERE slot_name = %s AND NOT active
"""
_ADVANCE: Final[LiteralString] = "SELECT pg_replication_slot_advance(%s, %s::pg_lsn)"

MAX_SHOWN_ROWS = 20
MAX_BASE_LENGTH = 58
"""Characters of a slot's name, which may have 63, before what is appended to it."""


def slot_names(subscription: str) -> tuple[str, str]:
    """Return the names that a subscription's slot has in turn: one is copied to, one is used."""
    base = re.sub(r"[^a-z0-9_]", "_", subscription.lower())[:MAX_BASE_LENGTH]
    return base, f"{base}_copy"


def named(rows: tuple[Row, ...]) -> str:
    """Name rows for an operator."""
    shown = "; ".join(map(str, rows[:MAX_SHOWN_ROWS]))
    return f"{shown}; and more" if len(rows) > MAX_SHOWN_ROWS else shown


def owed(link: PostgresLink, slot: str, rows: tuple[Row, ...]) -> NotReady:
    """Refuse because a side wrote rows itself that the other one would never get."""
    publisher, subscriber = link.publisher.name, link.subscriber.name
    return NotReady(
        f"{link.name}: {publisher} wrote rows itself that {subscriber} has not received: "
        f"{named(rows)}; they would be lost; repeat on {subscriber} what is to stay, discard them "
        f"on {publisher} with SELECT pg_replication_slot_advance('{slot}', pg_current_wal_lsn()), "
        "then decide `retry`"
    )


def require_ours(link: PostgresLink, name: str, slot: Slot) -> None:
    """Refuse to touch a slot that cannot be that of our subscription."""
    if not slot.ours:
        raise NotReady(
            f"{link.name}: slot {name} on {link.publisher.name} is of another database or plugin; "
            f"point subscription {link.link.subscription} at a slot of its own, then decide `retry`"
        )


async def create_slot(link: PostgresLink, name: str, within: float = ANSWER_TIMEOUT) -> None:
    """Make a slot at the publisher; its standbys keep it, too, where the subscription wants that.

    Whether it decodes prepared transactions need not be said: the subscription turns that on.
    """
    kept = await link.wants_failover()
    await link.alter_slot(_CREATE_FOR_FAILOVER if kept else _CREATE, name, within=within)


@dataclass(frozen=True)
class RestingSlot:
    """The slot of one link, where that link rests."""

    here: PostgresLink
    within: float
    """Seconds for one reading of what the slot has yet to deliver."""

    async def begin(self, send: Send) -> bool:
        """Keep what the publisher writes from now on; return whether anything was changed.

        The subscription points at the slot first: no slot exists that no subscription names.

        Raises:
            NotReady: the slot has received changes and own ones: it can deliver neither.
        """
        state = await self.here.subscription()
        if not await rests(self.here, state):
            return False
        name = state.slot or slot_names(self.here.link.subscription)[0]
        changed = state.slot != name
        if changed:
            await self.here.alter(self.here.pointing_at(name), send())
        return await self._begin_now(name, send) or changed

    async def _begin_now(self, name: str, send: Send) -> bool:
        here, slot = self.here, await self.here.find_slot(name)
        if slot is None:
            await create_slot(here, name, send())
            return True
        require_ours(here, name, slot)
        if slot.lost:
            await here.alter_slot(DROP_LOST, name, within=send())
            await create_slot(here, name, send())
            return True
        # What is written after this position stays kept, whatever is found before it.
        now = await here.written()
        kept = await Pending(here, name, self.within).own_rows(MAX_SHOWN_ROWS + 1)
        if kept.own and kept.received:
            raise owed(here, name, kept.own)
        if kept.own:
            return False  # an earlier attempt, or an earlier run, began it
        await here.alter_slot(_ADVANCE, name, now, within=send())
        return True

    async def drop(self, send: Send) -> bool:
        """Keep nothing any more; return whether anything was changed.

        The slot goes first, as long as the subscription still tells its name.

        Raises:
            NotReady: the publisher wrote rows itself that are still to be delivered.
            NotYet: another connection uses the slot.
        """
        state = await self.here.subscription()
        if not state.slot or not await rests(self.here, state):
            return False
        if (slot := await self.here.find_slot(state.slot)) is not None:
            await self._require_nothing_owed(state.slot, slot)
            await self.here.alter_slot(DROP_IDLE, state.slot, within=send())
            if await self.here.find_slot(state.slot) is not None:
                raise NotYet(
                    f"{self.here.name}: another connection uses slot {state.slot}; try again"
                )
        await self.here.alter(self.here.pointing_at(None), send())
        return True

    async def _require_nothing_owed(self, name: str, slot: Slot) -> None:
        require_ours(self.here, name, slot)
        if slot.lost:
            return
        kept = await Pending(self.here, name, self.within).own_rows(MAX_SHOWN_ROWS + 1)
        if kept.own:
            raise owed(self.here, name, kept.own)
