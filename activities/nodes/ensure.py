"""Bring a desired state of a node about exactly once, through its ledger, and verify it."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from activities.ledger.ledger import Ledger, exit_message, lost, still_running
from activities.ledger.store import LedgerCommand, LedgerRecord
from activities.nodes.desired_state import POLL_INTERVAL, DesiredState, DesiredStates, Mismatch
from activities.nodes.inactive_servers import InactiveServers
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.heartbeat import sleep
from activities.runtime.tracing import effect
from activities.securetransport import scripts as securetransport
from activities.securetransport.service_state import ObservedState
from workflows.errors import (
    AccessRefused,
    CommandFailed,
    OutcomeUnknown,
    SwitchoverError,
    Unresolved,
)
from workflows.model.actions import StopMonitor
from workflows.model.estate import Node
from workflows.model.results import Report, Service, State, changed, unchanged
from workflows.ports.inputs import NodeInput

Input = NodeInput[Any]
Guard = Callable[[], Awaitable[None]]

START_RETRY_INTERVAL = timedelta(seconds=2)
"""Before a refused start is tried again (section 4: ports in use, daemons starting or stopping)."""

LISTENS_WITHIN = timedelta(seconds=5)
"""After this, what still does not listen is started over REST, and again every such interval."""

MONITOR_RAN, MONITOR_WAS_DOWN = "monitor-ran", "monitor-was-down"


class Effects:
    """Runs commands through ledgers until the desired state holds."""

    def __init__(
        self, ledger: Ledger, status: ServiceStatusReader, servers: InactiveServers
    ) -> None:
        self._ledger = ledger
        self._status = status
        self._servers = servers
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
        await _verify(node, record, desired, given.timing.stop_margin)
        return changed(given.action, desired.done_message + _although(record), record.at)

    async def start(self, given: Input, command: LedgerCommand, desired: DesiredState) -> Report:
        """Start something after every pending stop of it has completed; verify that it stays up."""
        node = given.node
        async with self._starts[node.name]:
            started = (await self._ledger.read(node, command)).claim is not None
            if not started and not await self._claim_start(given, command, desired):
                await self._verify_stable(given, command, desired)
                return unchanged(given.action, desired.already_message, datetime.now(UTC))
            record = await self._retry_refused_start(given, command, desired)
            await self._verify_started(given, record, desired)
            await self._verify_stable(given, command, desired)
            monitor = await self._stop_started_monitor(given, command)
        return changed(given.action, desired.done_message + _although(record) + monitor, record.at)

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
        message = f"{service} stopped gracefully on {node.name}{_although(record)}"
        return changed(given.action, message, record.at)

    async def _wait_completed(
        self, given: Input, command: LedgerCommand, service: Service
    ) -> LedgerRecord:
        """Wait until the service reads down twice: the state decides, not the exit status."""
        node, downs, margin = given.node, 0, given.timing.stop_margin
        while True:
            record = await self._ledger.read(node, command)
            if record.claim is None:
                raise OutcomeUnknown(f"{node.name}: the ledger has no claim of {command.operation}")
            observed = await self._status.state(node, service)
            downs = downs + 1 if observed.down else 0
            if downs > 1 and (record.overdue or not record.living):
                await self._ledger.settle(node, command)
                return record
            # A script that failed may have begun a stop all the same: it has its time too.
            # What cannot be read at this moment is perhaps readable in the next.
            more = margin if observed.state is State.UNKNOWN else timedelta()
            if not downs and record.now >= record.claim.deadline + more:
                raise _not_stopped(node, record, command, observed)
            await sleep(min(POLL_INTERVAL, given.timing.reading_interval))

    async def _claim_start(
        self, given: Input, command: LedgerCommand, desired: DesiredState
    ) -> bool:
        """Claim a start unless it is needless, once no pending stop may still change that."""
        node = given.node
        await self._ledger.wait_free(node, command)
        if await desired.mismatch() is None:
            return False
        # Noted with the claim, since a later attempt cannot read whether the Monitor ran before.
        monitor = await self._status.state(node, Service.MONITOR)
        ran = monitor.require_known(f"{node.name}: Monitor").running
        noted = replace(command, note=MONITOR_RAN if ran else MONITOR_WAS_DOWN)
        with effect(given, str(given.action)):
            await self._ledger.claim(node, noted)
        return True

    async def _retry_refused_start(
        self, given: Input, command: LedgerCommand, desired: DesiredState
    ) -> LedgerRecord:
        """Run a start again until it is accepted or its timeout expires; return its record."""
        node, turn, last = given.node, 1, command
        record = first = await self._ledger.wait_ended(node, command)
        while record.status and (mismatch := await desired.mismatch()) is not None:
            if mismatch.silent:  # it runs: another start does not make it listen
                break
            if record.now - first.at > given.timing.start_timeout:
                raise _mismatched(node, record, mismatch)
            await sleep(START_RETRY_INTERVAL)
            if mismatch.unknown:  # it may run: only what reads as down is started again
                record = await self._ledger.read(node, last)
                continue
            turn += 1
            last = replace(command, operation=f"{command.operation}.again{turn}")
            with effect(given, f"{given.action}, again"):
                record = await self._ledger.run_once(node, last)
        return record

    async def _verify_started(
        self, given: Input, record: LedgerRecord, desired: DesiredState
    ) -> None:
        """Poll the desired state; start servers that a daemon left inactive (section 4).

        Each attempt may do so again: to start a server that is active changes nothing.
        """
        node, clock, limit = given.node, asyncio.get_running_loop().time, given.timing.start_timeout
        deadline, failed = clock() + limit.total_seconds(), ""
        while (mismatch := await desired.wait(min(LISTENS_WITHIN, limit / 4))) is not None:
            if clock() >= deadline:
                raise _mismatched(node, record, mismatch, failed)
            try:
                failed = await self._servers.start(given, mismatch.silent)
            except AccessRefused as refusal:  # asking again could lock the account
                raise _mismatched(node, record, mismatch, str(refusal)) from refusal

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
    """Poll the desired state: it decides, whatever the exit status says."""
    if (mismatch := await desired.wait(limit)) is not None:
        raise _mismatched(node, record, mismatch)


def _mismatched(
    node: Node, record: LedgerRecord, mismatch: Mismatch, failed: str = ""
) -> SwitchoverError:
    """Return why a command that has ended did not bring the desired state about.

    *failed* says why servers could not be started.
    """
    if record.lost:
        return lost(record, node.name)  # no reading settles it
    ended = exit_message(record) or "the command ended"
    kind = Unresolved if mismatch.unknown else CommandFailed
    message = f"{node.name}: {ended}, but {mismatch.message}"
    if not mismatch.silent:
        return kind(message)
    advice = "start the servers that clients use there, then decide `retry`"
    return kind("; ".join(filter(None, (message, failed, advice))))


def _not_stopped(
    node: Node, record: LedgerRecord, command: LedgerCommand, observed: ObservedState
) -> SwitchoverError:
    """Return why a graceful stop has not completed within its limit."""
    if record.lost:
        return lost(record, node.name)
    service = Service(command.service)
    state = f"{service} is still {observed.state} ({observed.text})"
    if record.living:
        return Unresolved(f"{still_running(record, node, command)}; {state}")
    why = exit_message(record) or "the timeout and margin of the stop have passed"
    kind = Unresolved if observed.state is State.UNKNOWN else CommandFailed
    return kind(f"{node.name}: {why}, but {state}")


def _although(record: LedgerRecord) -> str:
    """Return, for a report, that the state is as desired although the command failed."""
    message = exit_message(record)
    return f", although {message}" if message else ""
