"""How is replication between the clusters' databases observed, suspended and resumed?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from activities.nodes.desired_state import POLL_INTERVAL
from activities.replication.background_check import Comparisons
from activities.replication.conflicts import Conflicts
from activities.replication.driver import Link, link, opposites, preview
from activities.replication.observe import ReplicationObserver
from activities.runtime.heartbeat import heartbeating, sleep
from activities.runtime.send_deadline import SendDeadline
from activities.runtime.tracing import effect
from activities.transport.secrets import Secrets
from workflows.errors import NotYet, OutcomeUnknown
from workflows.model.actions import ObserveReplication, ResumeReplication, SuspendReplication
from workflows.model.observations import ReplicationReading
from workflows.model.results import Report, changed, unchanged
from workflows.ports.replication import ReplicationInput, ReplicationPort

LOOKS = 8
"""How often a subscription is read after it was asked to change, a glance apart."""


@dataclass(frozen=True)
class Change:
    """What a subscription is to become."""

    enables: bool


SUSPEND, RESUME = Change(enables=False), Change(enables=True)


class ReplicationLinks(ReplicationPort):
    """Replication links, each by its driver."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._comparisons = Comparisons()

    def preview(self, given: ReplicationInput[Any]) -> Iterator[str]:
        """Yield what an action waits for, and the statement that it sends."""
        publisher, subscriber = given.publisher.name, given.subscriber.name
        if isinstance(given.action, SuspendReplication):
            yield f"until {subscriber} has confirmed everything that {publisher} has written"
        yield f"{subscriber}: {preview(given.replication, given.link, given.action)}"

    @activity.defn
    async def observe_replication(
        self, given: ReplicationInput[ObserveReplication]
    ) -> ReplicationReading:
        """Read everything; what cannot be read is in the reading's trouble, never an error."""
        async with heartbeating():
            return await ReplicationObserver(link(self._secrets, given), given).read()

    @activity.defn
    async def suspend_replication(self, given: ReplicationInput[SuspendReplication]) -> Report:
        """Leave the subscription disabled, after its lag reached zero."""
        here, name = link(self._secrets, given), given.link.name
        fence = SendDeadline.of_this_attempt()
        subscription = await here.subscription()
        if not subscription.enabled:
            await _see(here, name, SUSPEND)
            return unchanged(given.action, f"{name} was suspended already", datetime.now(UTC))
        await self._await_lag(given, fence)
        await self._alter(given, SUSPEND, fence)
        return changed(
            given.action, f"{name} suspended, with nothing left behind", datetime.now(UTC)
        )

    @activity.defn
    async def resume_replication(self, given: ReplicationInput[ResumeReplication]) -> Report:
        """Leave the subscription enabled and its worker running."""
        here, name = link(self._secrets, given), given.link.name
        fence = SendDeadline.of_this_attempt()
        subscription = await here.subscription()
        if subscription.enabled:
            await _see(here, name, RESUME)
            return unchanged(given.action, f"{name} was running already", datetime.now(UTC))
        await self._compare(given, here, subscription.slot, fence)
        await self._alter(given, RESUME, fence)
        return changed(given.action, f"{name} runs again", datetime.now(UTC))

    async def _await_lag(self, given: ReplicationInput[Any], fence: SendDeadline) -> None:
        """Wait until all that was written by now has been confirmed.

        The wait is part of the attempt's first third: where it takes longer, nothing is sent, and
        the engine's next attempt waits on.
        """
        here = link(self._secrets, given)
        slot, written = (await here.subscription()).slot, await here.written()
        fence.require()
        deadline = datetime.now(UTC) + fence.remaining / 2  # the rest is for sending
        while (behind := await here.lag(slot, written)) > 0:
            if datetime.now(UTC) >= deadline:
                raise NotYet(
                    f"{given.link.name}: {given.subscriber.name} is still {behind} bytes behind "
                    f"{given.publisher.name}, expected 0; find out what holds it, "
                    "then decide `retry`"
                )
            await sleep(POLL_INTERVAL)

    async def _compare(
        self, given: ReplicationInput[ResumeReplication], here: Link, slot: str, fence: SendDeadline
    ) -> None:
        """See that both sides did not write the same rows; the rest of the time is for sending."""
        fence.require()
        back = opposites(self._secrets, given)
        within = given.timing.replication_timeout.total_seconds()
        conflicts = Conflicts(here, slot, back, within)
        key = given.operation.id
        await self._comparisons.require_none(key, conflicts, fence.remaining / 2)

    async def _alter(
        self, given: ReplicationInput[Any], change: Change, fence: SendDeadline
    ) -> None:
        """Send one statement and read it back; a lost reply is resolved by reading."""
        here, lost = link(self._secrets, given), None
        send = here.enable if change.enables else here.disable
        within = fence.require()
        with effect(given, str(given.action)):
            try:
                await send(within)
            except OutcomeUnknown as silence:
                lost = silence
        try:
            await _see(here, given.link.name, change)
        except OutcomeUnknown as unseen:
            raise lost or unseen from unseen


async def _see(here: Link, name: str, change: Change) -> None:
    """Wait until the subscription is as it should be, and so is its worker."""
    for _ in range(LOOKS):
        seen = await here.subscription()
        if seen.enabled is seen.running is change.enables:
            return
        await sleep(POLL_INTERVAL)
    wanted = "enabled and running" if change.enables else "disabled and its worker gone"
    raise OutcomeUnknown(
        f"{name}: enabled: {seen.enabled}, its worker running: {seen.running}, expected {wanted}; "
        "look at the subscriber's log"
    )
