"""How is each order carried out that a node's shell and ledger are asked for?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from activities.ledger.ledger import ALL_SERVICES, Ledger, LedgerCommand
from activities.nodes.desired_state import DesiredStates
from activities.nodes.ensure import Effects, monitor_task
from activities.nodes.observe import Observer
from activities.nodes.reachability import require_unreachable
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.heartbeat import heartbeating, sleep
from activities.securetransport import scripts as securetransport
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.service_state import ObservedState
from activities.transport.ssh import Command, Shell
from workflows.errors import NotReady
from workflows.model.actions import (
    FindOrphanedFiles,
    ObserveNode,
    StartAll,
    StartMonitor,
    StartProtocolServer,
    StartTransactionManager,
    StopGracefully,
    StopMonitor,
    StopRemaining,
    StopTransactionManager,
    VerifyServing,
    VerifyStopped,
    VerifyUnreachable,
)
from workflows.model.estate import Node
from workflows.model.findings import Finding, Severity
from workflows.model.observations import NodeReading
from workflows.model.results import PROTOCOL_SERVERS, Report, Service, State, seen
from workflows.ports.inputs import NodeInput, SessionInput, StorageInput
from workflows.ports.nodes import NodesPort


class SshNodes(NodesPort):
    """SecureTransport machines that run Linux, over SSH."""

    def __init__(self, shell: Shell, admin: AdminClient) -> None:
        self._shell = shell
        self._survey = ServiceStatusReader(shell)
        self._effects = Effects(Ledger(shell), self._survey)
        self._observer = Observer(self._survey, admin)

    @activity.defn
    async def observe_node(self, given: SessionInput[ObserveNode]) -> NodeReading:
        """Read everything; what cannot be read is in the reading's trouble, never an error."""
        async with heartbeating():
            return await self._observer.read(given)

    @activity.defn
    async def stop_monitor(self, given: NodeInput[StopMonitor]) -> Report:
        """Leave the Monitor stopped."""
        task = monitor_task(given, securetransport.stop_monitor(given.node))
        wish = DesiredStates(self._survey, given.node, given.timing.stop_margin)
        async with heartbeating():
            return await self._effects.make_true(given, task, wish.stopped(Service.MONITOR))

    @activity.defn
    async def start_monitor(self, given: NodeInput[StartMonitor]) -> Report:
        """Leave the Monitor running."""
        task = monitor_task(given, securetransport.start(given.node, Service.MONITOR))
        wish = DesiredStates(self._survey, given.node, given.timing.stop_margin)
        async with heartbeating():
            return await self._effects.make_true(given, task, wish.running(Service.MONITOR))

    @activity.defn
    async def stop_gracefully(self, given: NodeInput[StopGracefully]) -> Report:
        """Leave the protocol server stopped, gracefully; NotReady while the Monitor runs."""
        action, node = given.action, given.node

        async def monitor_down() -> None:
            await self._require_down(node, (Service.MONITOR,), f"{action.protocol} was left up")

        async with heartbeating():
            service = Service(action.protocol.value)
            return await self._effects.stop_gracefully(given, service, action.grace, monitor_down)

    @activity.defn
    async def start_protocol_server(self, given: NodeInput[StartProtocolServer]) -> Report:
        """Leave the protocol server running; waits for pending stops first."""
        return await self._start(given, Service(given.action.protocol.value))

    @activity.defn
    async def verify_stopped(self, given: NodeInput[VerifyStopped]) -> Report:
        """See every protocol server and the Monitor down; NotReady naming what runs."""
        node, services = given.node, (*PROTOCOL_SERVERS, Service.MONITOR)
        async with heartbeating():
            # Twice: a Monitor that someone started meanwhile restarts what it finds down.
            await self._require_down(node, services, "the Transaction Manager was left up")
            await sleep(given.timing.reading_interval)
            await self._require_down(node, services, "the Transaction Manager was left up")
        words = f"every protocol server and the Monitor of {node.name} are down"
        return seen(given.action, words, datetime.now(UTC))

    @activity.defn
    async def verify_serving(self, given: NodeInput[VerifyServing]) -> Report:
        """See all that clients need running, twice; NotReady naming what does not."""
        node = given.node
        async with heartbeating():
            await self._require_serving(node)
            # Twice: what a late stop or a crash takes down again serves nobody.
            await sleep(given.timing.reading_interval)
            await self._require_serving(node)
        words = f"{node.name} serves: {', '.join(securetransport.serving(node))}"
        return seen(given.action, words, datetime.now(UTC))

    @activity.defn
    async def verify_unreachable(self, given: NodeInput[VerifyUnreachable]) -> Report:
        """See SSH, admin API and every port silent; NotReady naming what answers."""
        async with heartbeating():
            words = await require_unreachable(self._shell, given.node)
        return seen(given.action, words, datetime.now(UTC))

    @activity.defn
    async def stop_transaction_manager(self, given: NodeInput[StopTransactionManager]) -> Report:
        """Leave it stopped, gracefully; NotReady while what comes before still runs."""
        node = given.node

        async def all_else_down() -> None:
            services = (*PROTOCOL_SERVERS, Service.MONITOR)
            await self._require_down(node, services, "the Transaction Manager was left up")

        async with heartbeating():
            return await self._effects.stop_gracefully(
                given, Service.TRANSACTION_MANAGER, given.action.grace, all_else_down
            )

    @activity.defn
    async def find_orphaned_files(self, given: StorageInput[FindOrphanedFiles]) -> Report:
        """Report what nobody works on any more as findings that warn (section 5)."""
        async with heartbeating():
            found = await self._survey.orphans(given.node, given.storage)
            # The target's own unfinished files may be synced to here: those still change.
            await sleep(given.timing.reading_interval)
            left = found & await self._survey.orphans(given.node, given.storage)
        findings = tuple(_orphan(given.node, path) for path, _ in sorted(left))
        words = f"{len(left) or 'no'} orphaned files on {given.storage}, as {given.node.name} sees"
        return seen(given.action, words, datetime.now(UTC), findings)

    @activity.defn
    async def start_transaction_manager(self, given: NodeInput[StartTransactionManager]) -> Report:
        """Leave the Transaction Manager running; waits for pending stops first."""
        return await self._start(given, Service.TRANSACTION_MANAGER)

    @activity.defn
    async def stop_remaining(self, given: NodeInput[StopRemaining]) -> Report:
        """Leave nothing of SecureTransport running; proven by PID files and ports."""
        task = _for_everything(given, securetransport.stop_all(given.node))
        wish = DesiredStates(self._survey, given.node, given.timing.stop_margin).nothing_left()
        async with heartbeating():
            return await self._effects.make_true(given, task, wish)

    @activity.defn
    async def start_all(self, given: NodeInput[StartAll]) -> Report:
        """Leave the node started, admin answering."""
        task = _for_everything(given, securetransport.start_all(given.node))
        wish = DesiredStates(self._survey, given.node, given.timing.start_timeout).all_running()
        async with heartbeating():
            return await self._effects.start(given, task, wish)

    async def _start(
        self,
        given: NodeInput[StartProtocolServer] | NodeInput[StartTransactionManager],
        service: Service,
    ) -> Report:
        task = LedgerCommand(
            operation=given.operation.id,
            service=service,
            command=securetransport.start(given.node, service),
            timeout=given.timing.stop_margin,
        )
        wish = DesiredStates(self._survey, given.node, given.timing.start_timeout).running(service)
        async with heartbeating():
            return await self._effects.start(given, task, wish)

    async def _require_down(
        self, node: Node, services: tuple[Service, ...], consequence: str
    ) -> None:
        sightings = await self._survey.states(node, services)
        if running := _running(sightings):
            raise NotReady(
                f"{node.name}: {running} still running, so {consequence}; "
                "stop what is named, then decide `retry`"
            )
        for service, sighting in sightings.items():
            sighting.require_known(f"{node.name}: {service}")

    async def _require_serving(self, node: Node) -> None:
        sightings = await self._survey.states(node, securetransport.serving(node))
        down = [
            f"{service} is {sighting.state} ({sighting.text})"
            for service, sighting in sightings.items()
            if sighting.state not in (State.RUNNING, State.UNKNOWN)
        ]
        if down:
            raise NotReady(
                f"{node.name}: {', '.join(down)}, expected running; "
                "start what is named, then decide `retry`"
            )
        for service, sighting in sightings.items():
            sighting.require_known(f"{node.name}: {service}")


def _running(sightings: Mapping[Service, ObservedState]) -> str:
    return ", ".join(service for service, sighting in sightings.items() if sighting.running)


def _orphan(node: Node, path: str) -> Finding:
    return Finding(
        name="unfinished_file",
        place=node.name,
        seen=path,
        expected="no *.m_inproc once the Transaction Managers are down",
        advice="find out which transfer it belongs to, then remove it by hand",
        severity=Severity.WARNS,
    )


def _for_everything(given: NodeInput[Any], command: Command) -> LedgerCommand:
    """Enter a command that concerns every service: it waits for all of their pending stops."""
    return LedgerCommand(
        operation=given.operation.id,
        service=ALL_SERVICES,
        command=command,
        timeout=given.timing.stop_margin,
    )
