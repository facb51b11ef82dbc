"""Bring a desired state of a node about exactly once, through its ledger, and verify it."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from activities.ledger.ledger import Ledger, succeeded
from activities.ledger.store import LedgerCommand, LedgerRecord
from activities.nodes.desired_state import POLL_INTERVAL, DesiredState, DesiredStates
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.heartbeat import sleep
from activities.runtime.tracing import effect
from activities.securetransport import scripts as securetransport
from workflows.errors import CommandFailed, OutcomeUnknown
from workflows.model.actions import StopMonitor
from workflows.model.estate import Node
from workflows.model.results import Report, Service, State, changed, unchanged
from workflows.ports.inputs import NodeInput

Input = NodeInput[Any]
Guard = Callable[[], Awaitable[None]]

START_RETRY_INTERVAL = timedelta(seconds=2)
"""Before a refused start is tried again (section 4: ports in use, daemons starting or stopping)."""

MONITOR_RAN, MONITOR_WAS_DOWN = "monitor-ran", "monitor-was-down"


class Effects:
    """Runs commands through ledgers until the desired state holds."""

    def __init__(self, ledger: Ledger, status: ServiceStatusReader) -> None:
        self._ledger = ledger
        self._status = status
        # Starts on one node take turns: each also starts the Monitor, and records whether it ran.
        self._starts: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ensure(self, given: Input, command: LedgerCommand, desired: DesiredState) -> Report:
        """Run a command that completes when it ends; verify that the desired state holds."""
        node = given.node
        if (await self._ledger.read(node, command)).claim is None:
            if await desired.mismatch() is None:
                return unchanged(given.action, desired.already_message, datetime.now(UTC))
            with effect(given, str(given.action)):
                await self._ledger.claim(node, command)
        record = await self._ledger.wait_ended(node, command)
        if not record.lost:
            succeeded(record, node.name)
        await _verify(node, record, desired, given.timing.stop_margin)
        return changed(given.action, desired.done_message, record.at)

    async def start(self, given: Input, command: LedgerCommand, desired: DesiredState) -> Report:
        """Start something after every pending stop of it has completed; verify that it stays up."""
        node = given.node
        async with self._starts[node.name]:
            started = (await self._ledger.read(node, command)).claim is not None
            if not started and not await self._claim_start(given, command, desired):
                await self._verify_stable(given, command, desired)
                return unchanged(given.action, desired.already_message, datetime.now(UTC))
            record = await self._retry_refused_start(given, command, desired)
            await _verify(node, record, desired, given.timing.start_timeout)
            await self._verify_stable(given, command, desired)
            monitor = await self._stop_started_monitor(given, command)
        return changed(given.action, desired.done_message + monitor, record.at)

    async def stop_gracefully(self, given: Input, command: LedgerCommand, guard: Guard) -> Report:
        """Stop a service gracefully and wait until that has completed (sections 4 and 5).

        *guard* raises where the stop is not allowed; it is called only before the stop is claimed.
        """
        node, service = given.node, Service(command.service)
        if (await self._ledger.read(node, command)).claim is None:
            if (await self._status.state(node, service)).down:
                message = f"{service} was stopped already on {node.name}"
                return unchanged(given.action, message, datetime.now(UTC))
            await guard()
            with effect(given, str(given.action)):
                await self._ledger.claim(node, command)
        record = await self._wait_completed(given, command, service)
        return changed(given.action, f"{service} stopped gracefully on {node.name}", record.at)

    async def _wait_completed(
        self, given: Input, command: LedgerCommand, service: Service
    ) -> LedgerRecord:
        """Wait until the service reads down twice; exit status 0 alone proves nothing."""
        node, downs = given.node, 0
        while True:
            record = await self._ledger.read(node, command)
            if record.claim is None:
                raise OutcomeUnknown(f"{node.name}: the ledger has no claim of {command.operation}")
            if record.status not in (None, 0):
                succeeded(record, node.name)
            observed = await self._status.state(node, service)
            downs = downs + 1 if observed.down else 0
            if downs > 1 and (record.overdue or not record.living):
                await self._ledger.settle(node, command)
                return record
            if record.overdue and not downs:
                if record.lost:
                    succeeded(record, node.name)
                kind = OutcomeUnknown if observed.state is State.UNKNOWN else CommandFailed
                raise kind(
                    f"{node.name}: {service} is still {observed.state} ({observed.text}), "
                    "past its timeout and margin"
                )
            await sleep(min(POLL_INTERVAL, given.timing.reading_interval))

    async def _claim_start(
        self, given: Input, command: LedgerCommand, desired: DesiredState
    ) -> bool:
        """Claim a start unless it is needless; a pending stop may turn out to change nothing."""
        node = given.node

        async def needless() -> bool:
            """It runs, and no pending stop is about to end that."""
            busy = (await self._ledger.read(node, command)).busy
            return busy is None and await desired.mismatch() is None

        if await needless():
            return False
        # Noted with the claim, since a later attempt cannot read whether the Monitor ran before.
        monitor = await self._status.state(node, Service.MONITOR)
        ran = monitor.require_known(f"{node.name}: Monitor").running
        noted = replace(command, note=MONITOR_RAN if ran else MONITOR_WAS_DOWN)
        with effect(given, str(given.action)):
            return await self._ledger.claim(node, noted, needless)

    async def _retry_refused_start(
        self, given: Input, command: LedgerCommand, desired: DesiredState
    ) -> LedgerRecord:
        """Run a start again until it is accepted or its timeout expires; return its record."""
        node, turn = given.node, 1
        record = first = await self._ledger.wait_ended(node, command)
        while record.status not in (None, 0) and await desired.mismatch() is not None:
            if record.now - first.at > given.timing.start_timeout:
                return succeeded(record, node.name)  # raises, with what the command printed
            await sleep(START_RETRY_INTERVAL)
            turn += 1
            with effect(given, f"{given.action}, again"):
                again = replace(command, operation=f"{command.operation}.again{turn}")
                record = await self._ledger.run_once(node, again)
        return record

    async def _verify_stable(
        self, given: Input, command: LedgerCommand, desired: DesiredState
    ) -> None:
        """Verify the state again once no earlier graceful stop can end it any longer."""
        node = given.node
        await sleep(given.timing.reading_interval)
        while (record := await self._ledger.read(node, command)).may_change_until > record.now:
            await sleep(POLL_INTERVAL)
        if (mismatch := await desired.mismatch()) is not None:
            raise mismatch.error(
                f"{node.name}: {mismatch.message} although it had started: an earlier graceful "
                "stop may have completed only now; decide `retry`"
            )

    async def _stop_started_monitor(self, given: Input, started: LedgerCommand) -> str:
        """Leave the Monitor as it was: every start also starts it (section 3)."""
        node = given.node
        claim = (await self._ledger.read(node, started)).claim
        if claim is None or claim.note != MONITOR_WAS_DOWN:
            return ""
        command = LedgerCommand(
            operation=f"{given.operation.id}.monitor",
            service=Service.MONITOR,
            command=securetransport.command(node, StopMonitor(node=node.name)),
            timeout=given.timing.stop_margin,
        )
        stopped = DesiredStates(self._status, node).stopped(Service.MONITOR)
        report = await self.ensure(given, command, stopped)
        if report.outcome == "unchanged":
            return ""
        return "; the Monitor, which this also started, was stopped again"


async def _verify(
    node: Node, record: LedgerRecord, desired: DesiredState, limit: timedelta
) -> None:
    """Poll the desired state, whatever the exit status says: 0 alone proves nothing."""
    if (mismatch := await desired.wait(limit)) is None:
        return
    if record.lost:
        succeeded(record, node.name)  # raises: the outcome is unknown, and no reading settles it
    raise mismatch.error(f"{node.name}: the command ended, but {mismatch.message}")
