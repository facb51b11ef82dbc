"""Observe, suspend, compare and resume replication, whatever driver a link has.

What every driver has in common is here: an effect is sent once within its attempt, what holds
already is left alone, and every change is read back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from activities.nodes.desired_state import POLL_INTERVAL
from activities.replication.driver import ReplicationDriver, SlotDriver
from activities.replication.drivers import DRIVERS, Drivers
from activities.runtime.heartbeat import heartbeating, sleep
from activities.runtime.send_deadline import SendDeadline
from activities.runtime.tracing import effect
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from workflows.errors import (
    BadInput,
    NotReady,
    NotYet,
    OutcomeUnknown,
    Stuck,
    Unreachable,
    Unresolved,
)
from workflows.model import actions
from workflows.model.observations import ReplicationReading
from workflows.model.results import Report, changed, seen, unchanged
from workflows.ports.replication import ReplicationInput, ReplicationPort

MAX_READS_AFTER_CHANGE = 8
"""How often a link is read after a statement was sent, one poll interval apart."""

SLOT_ACTIONS = (actions.BeginSlot, actions.DropSlot, actions.CopyTables, actions.RenewSlot)


class ReplicationLinks(ReplicationPort):
    """Replication links, each by its driver."""

    def __init__(self, secrets: Secrets, shell: Shell, drivers: Drivers = DRIVERS) -> None:
        self._secrets, self._shell = secrets, shell
        self._drivers = drivers

    def preview(self, given: ReplicationInput[Any]) -> Iterator[str]:
        """Yield what an action waits for, and the statement that it sends."""
        here, there = given.publisher.name, given.subscriber.name
        if isinstance(given.action, actions.VerifyNoConflicts):
            yield f"compare what {here} and {there} wrote while replication was suspended"
            return
        if isinstance(given.action, actions.SuspendReplication | actions.AwaitDelivery):
            yield f"until {there} has confirmed everything that {here} has written"
        link = self._link(given)
        if isinstance(given.action, SLOT_ACTIONS):
            yield link.slots.preview_slot(given.action)
        elif not isinstance(given.action, actions.AwaitDelivery):
            yield link.driver.preview(given.action)

    @activity.defn
    async def observe_replication(
        self, given: ReplicationInput[actions.ObserveReplication]
    ) -> ReplicationReading:
        async with heartbeating():
            return await self._link(given).driver.observe()

    @activity.defn
    async def suspend_replication(
        self, given: ReplicationInput[actions.SuspendReplication]
    ) -> Report:
        link, deadline = self._link(given), SendDeadline.of_this_attempt()
        if not (await link.driver.status()).enabled:
            await link.await_status(enabled=False)
            return unchanged(given.action, f"{link.name} was suspended already", datetime.now(UTC))
        await link.await_delivery(deadline)
        await link.send(link.driver.suspend, deadline, enables=False)
        message = f"{link.name} suspended; the subscriber has everything"
        return changed(given.action, message, datetime.now(UTC))

    @activity.defn
    async def verify_no_conflicts(
        self, given: ReplicationInput[actions.VerifyNoConflicts]
    ) -> Report:
        link, begun = self._link(given), datetime.now(UTC)
        async with heartbeating():
            if (await link.driver.status()).enabled:
                return seen(given.action, f"{link.name} runs; nothing was compared", begun)
            unknown = await link.driver.require_no_conflicts()
        # The report bears the time at which the comparison began: later rows are not in it.
        message = unknown or "no row was written on both sides"
        return seen(given.action, f"{link.name}: {message}", begun)

    @activity.defn
    async def await_delivery(self, given: ReplicationInput[actions.AwaitDelivery]) -> Report:
        link = self._link(given)
        async with heartbeating():
            await link.await_delivery_of_all()
        message = f"{link.name} has delivered everything that was written by then"
        return seen(given.action, message, datetime.now(UTC))

    @activity.defn
    async def resume_replication(
        self, given: ReplicationInput[actions.ResumeReplication]
    ) -> Report:
        link, deadline = self._link(given), SendDeadline.of_this_attempt()
        if (await link.driver.status()).enabled:
            await link.await_status(enabled=True)
            return unchanged(given.action, f"{link.name} was running already", datetime.now(UTC))
        await link.require_no_conflicts(deadline)
        await link.send(link.driver.resume, deadline, enables=True)
        return changed(given.action, f"{link.name} runs again", datetime.now(UTC))

    @activity.defn
    async def begin_slot(self, given: ReplicationInput[actions.BeginSlot]) -> Report:
        link, deadline = self._link(given), SendDeadline.of_this_attempt()
        done = f"{link.name} keeps from now on what {given.publisher.name} writes"
        return await link.report(link.slots.begin_slot(deadline.require), done)

    @activity.defn
    async def drop_slot(self, given: ReplicationInput[actions.DropSlot]) -> Report:
        link, deadline = self._link(given), SendDeadline.of_this_attempt()
        done = f"{link.name} rests, and keeps nothing any more"
        return await link.report(link.slots.drop_slot(deadline.require), done)

    @activity.defn
    async def copy_tables(self, given: ReplicationInput[actions.CopyTables]) -> Report:
        link = self._link(given)
        done = f"{link.name}: {given.subscriber.name} has all rows of {given.publisher.name} again"
        async with heartbeating():
            return await link.report(link.slots.copy_tables(), done)

    @activity.defn
    async def renew_slot(self, given: ReplicationInput[actions.RenewSlot]) -> Report:
        link = self._link(given)
        done = f"{link.name} delivers what {given.publisher.name} writes from now on"
        async with heartbeating():
            return await link.report(link.slots.renew_slot(), done)

    def _link(self, given: ReplicationInput[Any]) -> _Link:
        make = self._drivers.get(type(given.replication))
        if make is None:
            raise BadInput(f"this worker has no replication driver {given.replication.driver}")
        return _Link(make(self._secrets, self._shell, given), given)


@dataclass(frozen=True)
class _Link:
    """What one attempt does with one link."""

    driver: ReplicationDriver
    given: ReplicationInput[Any]

    @property
    def name(self) -> str:
        return self.given.link.name

    @property
    def slots(self) -> SlotDriver:
        """The driver, where its links have slots; a plan asks no other one for them."""
        if not isinstance(self.driver, SlotDriver):
            raise BadInput(f"replication driver {self.given.replication.driver} has no slots")
        return self.driver

    async def report(self, change: Awaitable[bool], done: str) -> Report:
        """Report what changes something only if that is necessary."""
        with effect(self.given, str(self.given.action)):
            changes = await change
        if changes:
            return changed(self.given.action, done, datetime.now(UTC))
        message = f"{self.name} needs none of it"
        return unchanged(self.given.action, message, datetime.now(UTC))

    async def await_delivery(self, deadline: SendDeadline) -> None:
        """Wait until everything that was written by now has been delivered.

        The wait is part of the attempt's first third: where it takes longer, nothing is sent, and
        the engine's next attempt waits on.
        """
        position = await self.driver.position()
        deadline.require()
        end = datetime.now(UTC) + deadline.remaining / 2  # the rest is for sending
        while missing := await self.driver.missing(position):
            if datetime.now(UTC) >= end:
                raise NotYet(
                    f"{self.name}: {self.given.subscriber.name} is still {missing} behind "
                    f"{self.given.publisher.name}, expected 0; find out what delays it, "
                    "then decide `retry`"
                )
            await sleep(POLL_INTERVAL)

    async def await_delivery_of_all(self) -> None:
        """Wait until everything that was written by now has been delivered, however long it takes.

        Raises:
            Stuck: nothing was delivered for as long as the estate allows.
            Unresolved: nothing could be read for as long as the estate allows.
        """
        timing, clock = self.given.timing, asyncio.get_running_loop().time
        position, last, progressed, read = "", "", clock(), clock()
        while True:
            try:
                position = position or await self.driver.position()
                missing = await self.driver.missing(position)
                read = clock()
            except (Unreachable, OutcomeUnknown) as silence:
                if clock() - read >= timing.unreachable_timeout.total_seconds():
                    raise Unresolved(
                        f"{self.name}: what is missing cannot be read: {silence}"
                    ) from silence
                await sleep(timing.reading_interval)
                continue
            if not missing:
                return
            if missing != last:
                last, progressed = missing, clock()
            if clock() - progressed >= timing.replication_timeout.total_seconds():
                raise Stuck(
                    f"{self.name}: {self.given.subscriber.name} is still {missing} behind "
                    f"{self.given.publisher.name}, and received nothing for "
                    f"{timing.replication_timeout}; read the subscriber's log, then decide `retry`"
                )
            await sleep(timing.reading_interval)

    async def require_no_conflicts(self, deadline: SendDeadline) -> None:
        """Compare once more, as far as the attempt's first third allows it.

        A comparison that ends in time is at most seconds old when the statement is sent: only rows
        that both sides write within these seconds are missed. One that takes longer cannot be made
        in an attempt that changes something, so the comparison that the run made before this action
        counts as long as it is recent. Then rows are missed that both sides wrote since that one
        began; traffic goes to one side only, and the vendor forbids changes of the configuration
        while replication is off (section 2), so that such rows are not expected.
        """
        deadline.require()
        with_margin = (deadline.remaining / 2).total_seconds()  # the rest is for sending
        try:
            async with asyncio.timeout(with_margin) as limit:
                await self.driver.require_no_conflicts()
        except TimeoutError as late:
            if not limit.expired():
                # The driver could not read: unknown, and no earlier comparison stands in for that.
                raise OutcomeUnknown(
                    f"{self.name}: the sides cannot be compared: {late!r}"
                ) from late
            compared, timeout = self.given.compared_at, self.given.timing.replication_timeout
            if compared is None or datetime.now(UTC) - compared > 2 * timeout:
                raise NotReady(
                    f"{self.name}: too much was written while it was suspended to compare it again "
                    f"now, and no comparison began within the last {2 * timeout}; decide `retry`, "
                    "which compares both sides before it resumes"
                ) from None

    async def send(
        self,
        statement: Callable[[float], Awaitable[None]],
        deadline: SendDeadline,
        *,
        enables: bool,
    ) -> None:
        """Send one statement and read it back; a lost reply is resolved by reading."""
        lost: OutcomeUnknown | None = None
        within = deadline.require()
        with effect(self.given, str(self.given.action)):
            try:
                await statement(within)
            except OutcomeUnknown as unanswered:
                lost = unanswered
        try:
            await self.await_status(enabled=enables)
        except OutcomeUnknown as unseen:
            raise lost or unseen from unseen

    async def await_status(self, *, enabled: bool) -> None:
        """Wait until the link is enabled and runs, or is disabled and nothing of it runs."""
        for _ in range(MAX_READS_AFTER_CHANGE):
            status = await self.driver.status()
            if status.enabled is status.running is enabled:
                return
            await sleep(POLL_INTERVAL)
        expected = "enabled and running" if enabled else "disabled and not running"
        raise OutcomeUnknown(
            f"{self.name}: enabled: {status.enabled}, running: {status.running}, expected "
            f"{expected}; read the log of {self.given.subscriber.name}"
        )
