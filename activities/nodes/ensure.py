"""How is a wished state of a node brought about once, and proven?"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from activities.ledger.ledger import Ledger, LedgerCommand, LedgerRecord, succeeded
from activities.nodes.desired_state import POLL_INTERVAL, DesiredState, DesiredStates
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.heartbeat import sleep
from activities.runtime.tracing import effect
from activities.securetransport import scripts as securetransport
from activities.transport.ssh import Command
from workflows.errors import CommandFailed, OutcomeUnknown
from workflows.model.estate import Node
from workflows.model.results import Report, Service, State, changed, unchanged
from workflows.ports.inputs import NodeInput

Input = NodeInput[Any]
Guard = Callable[[], Awaitable[None]]

REFUSED_AGAIN = timedelta(seconds=2)
"""Before a start that was refused is tried again (section 4: ports in use, daemons in between)."""

MONITOR_RAN, MONITOR_WAS_DOWN = "monitor-ran", "monitor-was-down"


class Effects:
    """Brings wished states about through the ledger."""

    def __init__(self, ledger: Ledger, survey: ServiceStatusReader) -> None:
        self._ledger = ledger
        self._survey = survey
        # Starts on one node take turns: each revives the Monitor, and must know whether it ran.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def make_true(self, given: Input, task: LedgerCommand, wish: DesiredState) -> Report:
        """Run a command that is over when it ends; see that the wished state holds."""
        node = given.node
        if (await self._ledger.read(node, task)).claim is None:
            if await wish.objection() is None:
                return unchanged(given.action, wish.already, datetime.now(UTC))
            with effect(given, str(given.action)):
                await self._ledger.claim(node, task)
        record = await self._ledger.wait_ended(node, task)
        if not record.lost:
            succeeded(record, node.name)
        await _prove(node, record, wish)
        return changed(given.action, wish.done, record.at)

    async def start(self, given: Input, task: LedgerCommand, wish: DesiredState) -> Report:
        """Start something after every pending stop of it has landed, and see it stay."""
        node = given.node
        async with self._turns[node.name]:
            begun = (await self._ledger.read(node, task)).claim is not None
            if not begun and not await self._begin_start(given, task, wish):
                await self._stays(given, task, wish)
                return unchanged(given.action, wish.already, datetime.now(UTC))
            record = await self._until_accepted(given, task, wish)
            await _prove(node, record, wish)
            await self._stays(given, task, wish)
            revived = await self._stop_revived_monitor(given, task)
        return changed(given.action, wish.done + revived, record.at)

    async def stop_gracefully(
        self, given: Input, service: Service, grace: timedelta, guard: Guard
    ) -> Report:
        """Stop a service gracefully, and see it land (sections 4 and 5).

        *guard* refuses; it is asked only before the stop is begun.
        """
        node = given.node
        task = LedgerCommand(
            operation=given.operation.id,
            service=service,
            command=securetransport.stop_gracefully(node, service, grace),
            timeout=grace + given.timing.stop_margin,
            completes_on="deadline",
        )
        if (await self._ledger.read(node, task)).claim is None:
            if (await self._survey.state(node, service)).down:
                words = f"{service} was stopped already on {node.name}"
                return unchanged(given.action, words, datetime.now(UTC))
            await guard()
            with effect(given, str(given.action)):
                await self._ledger.claim(node, task)
        record = await self._landed(given, task, service)
        return changed(given.action, f"{service} stopped gracefully on {node.name}", record.at)

    async def _landed(self, given: Input, task: LedgerCommand, service: Service) -> LedgerRecord:
        """Return once the service reads down, twice; exit status 0 alone proves nothing."""
        node, downs = given.node, 0
        while True:
            record = await self._ledger.read(node, task)
            if record.claim is None:
                raise OutcomeUnknown(f"{node.name}: {task.operation} was not begun")
            if record.status not in (None, 0):
                succeeded(record, node.name)
            seen = await self._survey.state(node, service)
            downs = downs + 1 if seen.down else 0
            if downs > 1 and (record.overdue or not record.living):
                await self._ledger.settle(node, task)
                return record
            if record.overdue and not downs:
                if record.lost:
                    succeeded(record, node.name)
                words = f"{service} is still {seen.state} ({seen.text})"
                kind = OutcomeUnknown if seen.state is State.UNKNOWN else CommandFailed
                raise kind(f"{node.name}: {words}, past its timeout and margin")
            await sleep(min(POLL_INTERVAL, given.timing.reading_interval))

    async def _begin_start(self, given: Input, task: LedgerCommand, wish: DesiredState) -> bool:
        """Begin a start where it is needed; a stop that was open may have come to nothing."""
        node = given.node

        async def runs() -> bool:
            return await self._runs(node, task, wish)

        if await runs():
            return False
        remembering = await self._remembering_monitor(node, task)
        with effect(given, str(given.action)):
            return await self._ledger.claim(node, remembering, runs)

    async def _runs(self, node: Node, task: LedgerCommand, wish: DesiredState) -> bool:
        """Whether it runs, and no open stop is about to undo that."""
        busy = (await self._ledger.read(node, task)).busy
        return busy is None and await wish.objection() is None

    async def _remembering_monitor(self, node: Node, task: LedgerCommand) -> LedgerCommand:
        """Note with the claim whether the Monitor runs now: a later attempt cannot see it."""
        monitor = (await self._survey.state(node, Service.MONITOR)).require_known(
            f"{node.name}: Monitor"
        )
        return replace(task, note=MONITOR_RAN if monitor.running else MONITOR_WAS_DOWN)

    async def _until_accepted(
        self, given: Input, task: LedgerCommand, wish: DesiredState
    ) -> LedgerRecord:
        """Return the record of the start that was not refused; refusals have their patience."""
        node, turn = given.node, 1
        record = first = await self._ledger.wait_ended(node, task)
        while record.status not in (None, 0) and await wish.objection() is not None:
            if record.now - first.at > wish.patience:
                return succeeded(record, node.name)  # raises: it says what it printed
            await sleep(REFUSED_AGAIN)
            turn += 1
            with effect(given, f"{given.action}, again"):
                again = replace(task, operation=f"{task.operation}.again{turn}")
                record = await self._ledger.run_once(node, again)
        return record

    async def _stays(self, given: Input, task: LedgerCommand, wish: DesiredState) -> None:
        """See the state once more, when no earlier graceful stop can undo it any longer."""
        node = given.node
        await sleep(given.timing.reading_interval)
        while (record := await self._ledger.read(node, task)).may_change_until > record.now:
            await sleep(POLL_INTERVAL)
        if (objection := await wish.objection()) is not None:
            raise objection.error(
                f"{node.name}: {objection.message}, after it had run: perhaps an earlier graceful "
                "stop has landed only now; decide `retry`"
            )

    async def _stop_revived_monitor(self, given: Input, started: LedgerCommand) -> str:
        """Leave the Monitor as it was: every start revives it (section 3)."""
        node = given.node
        claim = (await self._ledger.read(node, started)).claim
        if claim is None or claim.note != MONITOR_WAS_DOWN:
            return ""
        task = monitor_task(given, securetransport.stop_monitor(node), ".monitor")
        wish = DesiredStates(self._survey, node, given.timing.stop_margin).stopped(Service.MONITOR)
        report = await self.make_true(given, task, wish)
        if report.outcome == "unchanged":
            return ""
        return "; the Monitor, which that start revived, was stopped again"


def monitor_task(given: Input, command: Command, suffix: str = "") -> LedgerCommand:
    """Enter a start or stop of the Monitor."""
    return LedgerCommand(
        operation=given.operation.id + suffix,
        service=Service.MONITOR,
        command=command,
        timeout=given.timing.stop_margin,
    )


async def _prove(node: Node, record: LedgerRecord, wish: DesiredState) -> None:
    """See the wished state; whatever it says, exit status 0 alone proves nothing."""
    if (objection := await wish.wait()) is None:
        return
    if record.lost:
        succeeded(record, node.name)  # raises: nobody knows how it ended, and no probe settles it
    raise objection.error(f"{node.name}: the command ended, but {objection.message}")
