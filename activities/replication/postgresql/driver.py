"""Observe, suspend and resume one direction of PostgreSQL's logical replication."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from activities.replication.driver import LinkStatus, Send, SlotAction
from activities.replication.postgresql.conflicts import Conflicts
from activities.replication.postgresql.link import PostgresLink
from activities.replication.postgresql.observe import LinkObserver
from activities.replication.postgresql.repair import Repair
from activities.replication.postgresql.slots import RestingSlot, slot_names
from activities.runtime.partial_reading import PartialReading
from activities.transport.login import Logins
from workflows.model.actions import (
    BeginSlot,
    CopyTables,
    DropSlot,
    ResumeReplication,
    SuspendReplication,
)
from workflows.model.estate import Timing
from workflows.model.observations import ReplicationReading
from workflows.model.replications.postgresql import PostgresReplication
from workflows.ports.replication import ReplicationInput


@dataclass(frozen=True)
class PostgreSql:
    """One direction: a publication on one side, a subscription on the other."""

    here: PostgresLink
    opposites: tuple[PostgresLink, ...]
    replication: PostgresReplication
    timing: Timing

    @classmethod
    def of(cls, logins: Logins, given: ReplicationInput[Any]) -> PostgreSql:
        """Return the driver of the input's link; connects to no server."""
        replication, publisher, subscriber = given.replication, given.publisher, given.subscriber
        if not isinstance(replication, PostgresReplication):
            raise AssertionError(replication)  # noqa: TRY004 - the driver is registered for this type
        [here] = [link for link in replication.links if link.name == given.link.name]
        back = [link for link in replication.links if link in given.opposites]
        return cls(
            PostgresLink(logins, here, publisher, subscriber),
            tuple(PostgresLink(logins, link, subscriber, publisher) for link in back),
            replication,
            given.timing,
        )

    async def observe(self) -> ReplicationReading:
        """Read everything that can be read."""
        parts = PartialReading(self.here.name)
        return await LinkObserver(self.here, self.replication, self.timing, parts).read()

    async def status(self) -> LinkStatus:
        """Read the subscription, and whether its apply worker runs."""
        return await self.here.subscription()

    async def position(self) -> str:
        """Return the publisher's position in its WAL."""
        return await self.here.written()

    async def missing(self, position: str) -> str:
        """Return how many bytes of WAL the subscriber has not confirmed."""
        lag = await self.here.lag((await self.here.subscription()).slot, position)
        return f"{lag} bytes" if lag else ""

    async def require_no_conflicts(self) -> str:
        """Compare what both sides have yet to deliver."""
        slot = (await self.here.subscription()).slot
        within = self.timing.replication_timeout.total_seconds()
        await Conflicts(self.here, slot, self.opposites, within).require_none()
        return ""

    async def suspend(self, within: float) -> None:
        """Disable the subscription."""
        await self.here.alter(self.here.altering("DISABLE"), within)

    async def resume(self, within: float) -> None:
        """Enable the subscription."""
        await self.here.alter(self.here.altering("ENABLE"), within)

    def preview(self, action: SuspendReplication | ResumeReplication) -> str:
        """Return the statement, and the database that it is sent to."""
        suspends = isinstance(action, SuspendReplication)
        statement = self.here.altering("DISABLE" if suspends else "ENABLE")
        return f"{self.here.subscriber.name}: {statement.as_string()}"

    async def begin_slot(self, send: Send) -> bool:
        """Make the slot of a link that rests, or let it begin now."""
        return await RestingSlot(self.here, send()).begin(send)

    async def drop_slot(self, send: Send) -> bool:
        """Drop the slot of a link that rests."""
        return await RestingSlot(self.here, send()).drop(send)

    async def copy_tables(self) -> bool:
        """Copy every table from a snapshot with which a new slot begins."""
        return await self._repair.copy_tables()

    async def renew_slot(self) -> bool:
        """Compare both sides, then make the slot anew."""
        return await self._repair.renew_slot()

    def preview_slot(self, action: SlotAction) -> str:
        """Return what is done where, in the words of PostgreSQL."""
        here, there = self.here.publisher.name, self.here.subscriber.name
        slot, spare = slot_names(self.here.link.subscription)
        subscription = self.here.link.subscription
        match action:
            case BeginSlot():
                return (
                    f"{here}: make slot {slot}, or advance it, if subscription {subscription} on "
                    f"{there} rests"
                )
            case DropSlot():
                return (
                    f"{here}: drop the slot of subscription {subscription} on {there} if it rests; "
                    f"{there}: {self.here.pointing_at(None).as_string()}"
                )
            case CopyTables():
                return (
                    f"if the slot of subscription {subscription} was lost: make slot {spare} on "
                    f"{here}, and in one transaction on {there} DELETE and COPY each published "
                    f"table, then {self.here.pointing_at(spare).as_string()}"
                )
            case _:
                return (
                    f"{here}: make slot {slot} anew if it was lost, and {here} has no row that "
                    f"{there} lacks"
                )

    @property
    def _repair(self) -> Repair:
        within = self.timing.replication_timeout.total_seconds()
        return Repair(self.here, self.opposites, self.replication.profile, within)
