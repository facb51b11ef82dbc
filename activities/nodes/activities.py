"""Act on SecureTransport nodes through their shell and ledger."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from activities.ledger.ledger import ALL_SERVICES
from activities.ledger.store import LedgerCommand
from activities.nodes.desired_state import DesiredState, DesiredStates
from activities.nodes.ensure import Effects
from activities.nodes.inactive_servers import InactiveServers
from activities.nodes.observe import Observer
from activities.nodes.operating_systems import open_ledger
from activities.nodes.reachability import require_unreachable
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.heartbeat import heartbeating, sleep
from activities.runtime.preview_text import twice
from activities.securetransport import scripts as securetransport
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.scripts import service_of
from activities.securetransport.service_state import ObservedState
from activities.transport.ssh import Shell
from workflows.errors import NotReady
from workflows.model import actions
from workflows.model.actions.base import Intent
from workflows.model.actions.change import GracefulStop
from workflows.model.estate import Node
from workflows.model.findings import Finding, Severity
from workflows.model.observations import NodeReading
from workflows.model.results import PROTOCOL_SERVERS, Report, Service, State, seen
from workflows.model.text import listed
from workflows.ports.inputs import NodeInput, SessionInput, StorageInput
from workflows.ports.nodes import NodesPort

BELOW_TRANSACTION_MANAGER = (*PROTOCOL_SERVERS, Service.MONITOR)
"""What has to be down on a node before its Transaction Manager is stopped."""
TRANSACTION_MANAGER = "the Transaction Manager"


class SshNodes(NodesPort):
    """SecureTransport machines, over SSH."""

    def __init__(self, shell: Shell, admin: AdminClient) -> None:
        self._shell, self._admin = shell, admin
        self._status = ServiceStatusReader(shell)
        servers = InactiveServers(admin, self._status)
        self._effects = Effects(open_ledger(shell), self._status, servers)
        self._observer = Observer(shell, self._status, admin)

    @activity.defn
    async def observe_node(self, given: SessionInput[actions.ObserveNode]) -> NodeReading:
        async with heartbeating():
            return await self._observer.read(given)

    @activity.defn
    async def stop_monitor(self, given: NodeInput[actions.StopMonitor]) -> Report:
        return await self._ensure(given, self._states(given).stopped(Service.MONITOR))

    @activity.defn
    async def start_monitor(self, given: NodeInput[actions.StartMonitor]) -> Report:
        return await self._ensure(given, self._states(given).running(Service.MONITOR))

    @activity.defn
    async def stop_gracefully(self, given: NodeInput[actions.StopGracefully]) -> Report:
        return await self._stop_gracefully(given, (Service.MONITOR,), given.action.protocol)

    @activity.defn
    async def start_protocol_server(self, given: NodeInput[actions.StartProtocolServer]) -> Report:
        return await self._start(given, self._states(given).running(service_of(given.action)))

    @activity.defn
    async def verify_stopped(self, given: NodeInput[actions.VerifyStopped]) -> Report:
        node = given.node
        async with heartbeating():
            await self._require_down(node, BELOW_TRANSACTION_MANAGER, TRANSACTION_MANAGER)
            # Twice: a Monitor that was started meanwhile restarts what it finds down.
            await sleep(given.timing.reading_interval)
            await self._require_down(node, BELOW_TRANSACTION_MANAGER, TRANSACTION_MANAGER)
        message = f"every protocol server and the Monitor of {node.name} are down"
        return seen(given.action, message, datetime.now(UTC))

    @activity.defn
    async def verify_serving(self, given: NodeInput[actions.VerifyServing]) -> Report:
        node = given.node
        async with heartbeating():
            await self._require_serving(node)
            # Twice: a late stop or a crash may take a service down again.
            await sleep(given.timing.reading_interval)
            await self._require_serving(node)
        message = f"{node.name} serves: {', '.join(securetransport.serving(node))}"
        return seen(given.action, message, datetime.now(UTC))

    @activity.defn
    async def verify_idle(self, given: SessionInput[actions.VerifyIdle]) -> Report:
        node = given.node
        async with heartbeating():
            await self._require_idle(given)
            # Twice: a client that tries again is seen at its next attempt.
            await sleep(given.timing.reading_interval)
            await self._require_idle(given)
        return seen(given.action, f"no client is connected to {node.name}", datetime.now(UTC))

    @activity.defn
    async def verify_unreachable(self, given: NodeInput[actions.VerifyUnreachable]) -> Report:
        async with heartbeating():
            message = await require_unreachable(self._shell, given.node)
        return seen(given.action, message, datetime.now(UTC))

    @activity.defn
    async def stop_transaction_manager(
        self, given: NodeInput[actions.StopTransactionManager]
    ) -> Report:
        return await self._stop_gracefully(given, BELOW_TRANSACTION_MANAGER, TRANSACTION_MANAGER)

    @activity.defn
    async def find_orphaned_files(self, given: StorageInput[actions.FindOrphanedFiles]) -> Report:
        node, storage = given.node, given.storage
        system = self._status.system(node)
        async with heartbeating():
            first = await system.orphaned_files(node, storage)
            # The target's own unfinished files may be synced to here: those still change.
            await sleep(given.timing.reading_interval)
            orphaned = first & await system.orphaned_files(node, storage)
        findings = tuple(_orphan(node, path) for path, _ in sorted(orphaned))
        message = f"{len(orphaned) or 'no'} orphaned files on {storage}, as {node.name} sees it"
        return seen(given.action, message, datetime.now(UTC), findings)

    @activity.defn
    async def start_transaction_manager(
        self, given: NodeInput[actions.StartTransactionManager]
    ) -> Report:
        return await self._start(given, self._states(given).running(service_of(given.action)))

    @activity.defn
    async def stop_remaining(self, given: NodeInput[actions.StopRemaining]) -> Report:
        return await self._ensure(given, self._states(given).nothing_running())

    @activity.defn
    async def start_admin(self, given: NodeInput[actions.StartAdmin]) -> Report:
        return await self._start(given, self._states(given).admin_answering(self._admin))

    @activity.defn
    async def start_all(self, given: NodeInput[actions.StartAll]) -> Report:
        return await self._start(given, self._states(given).all_running())

    def _status_commands(self, node: Node, services: Iterable[Service]) -> Iterator[str]:
        """Yield the readings of a status: only those scripts run that the listing has."""
        yield self._status.system(node).preview_scripts(node)
        yield from (str(securetransport.status(node, service)) for service in services)

    def preview(self, given: NodeInput[Any]) -> Iterator[str]:
        """Yield the commands that an action runs, in sequence."""
        node, interval = given.node, given.timing.reading_interval
        match given.action:
            case actions.VerifyStopped():
                yield from twice(self._status_commands(node, BELOW_TRANSACTION_MANAGER), interval)
            case actions.VerifyServing():
                commands = self._status_commands(node, securetransport.serving(node))
                ports = (self._status.system(node).preview_sockets(),) if node.protocols else ()
                yield from twice((*commands, *ports), interval)
            case actions.VerifyIdle():
                yield from twice((self._status.system(node).preview_sockets(),), interval)
            case actions.FindOrphanedFiles() if isinstance(given, StorageInput):
                search = self._status.system(node).preview_orphaned_files(given.storage)
                yield from twice((search,), interval)
            case actions.VerifyUnreachable():
                return  # it connects to ports and runs nothing
            case _:
                yield str(securetransport.command(node, given.action))

    def _states(self, given: NodeInput[Any]) -> DesiredStates:
        return DesiredStates(self._status, given.node)

    async def _ensure(self, given: NodeInput[Any], desired: DesiredState) -> Report:
        async with heartbeating():
            return await self._effects.ensure(given, _ledger_command(given), desired)

    async def _start(self, given: NodeInput[Any], desired: DesiredState) -> Report:
        async with heartbeating():
            return await self._effects.start(given, _ledger_command(given), desired)

    async def _stop_gracefully(
        self, given: NodeInput[Any], must_be_down: Sequence[Service], subject: str
    ) -> Report:
        async def guard() -> None:
            await self._require_down(given.node, must_be_down, subject)

        async with heartbeating():
            return await self._effects.stop_gracefully(given, _ledger_command(given), guard)

    async def _require_down(self, node: Node, services: Sequence[Service], subject: str) -> None:
        states = await self._status.states(node, services)
        if running := [service for service, observed in states.items() if observed.running]:
            raise NotReady(
                f"{node.name}: {', '.join(running)} still running, so {subject} was left up; "
                "stop these services, then decide `retry`"
            )
        _require_known(node, states)

    async def _require_idle(self, given: SessionInput[actions.VerifyIdle]) -> None:
        node = given.node
        counted = await self._status.connections(node, given.ignored_peers)
        connected = {protocol: count for protocol, count in counted.items() if count}
        if connected:
            raise NotReady(
                f"{node.name}: client connections: "
                f"{listed(f'{count} to {protocol}' for protocol, count in connected.items())}, "
                "expected none on the passive cluster; find the client that bypasses the load "
                "balancer, or list its address in ignored_peers, then decide `retry`"
            )

    async def _require_serving(self, node: Node) -> None:
        states = await self._status.states(node, securetransport.serving(node))
        down = [
            f"{service} is {observed.state} ({observed.text})"
            for service, observed in states.items()
            if observed.state not in (State.RUNNING, State.UNKNOWN)
        ]
        if down:
            raise NotReady(
                f"{node.name}: {', '.join(down)}, expected running; "
                "start these services, then decide `retry`"
            )
        _require_known(node, states)
        if silent := await self._status.silent_ports(node):
            raise NotReady(
                f"{node.name}: nothing listens on {listed(map(str, silent))}; "
                "start the servers that clients use there, then decide `retry`"
            )


def _ledger_command(given: NodeInput[Any]) -> LedgerCommand:
    """Return an action as the node's ledger records it."""
    action, margin = given.action, given.timing.stop_margin
    graceful = isinstance(action, GracefulStop)
    timeout = action.grace + margin if graceful else margin
    limits = {Intent.GRACEFUL_STOP: timeout, Intent.START: given.timing.start_timeout}
    # What stops or starts everything waits for the pending stops of every service.
    everything = isinstance(action, actions.StopRemaining | actions.StartAll)
    return LedgerCommand(
        operation=given.operation.id,
        service=ALL_SERVICES if everything else service_of(action),
        command=securetransport.command(given.node, action),
        timeout=timeout,
        completes_on="deadline" if graceful else "exit",
        limit=limits.get(action.intent),
    )


def _require_known(node: Node, states: Mapping[Service, ObservedState]) -> None:
    for service, observed in states.items():
        observed.require_known(f"{node.name}: {service}")


def _orphan(node: Node, path: str) -> Finding:
    return Finding(
        name="unfinished_file",
        place=node.name,
        seen=path,
        expected="no *.m_inproc once the Transaction Managers are down",
        advice="find out which transfer it belongs to, then remove it by hand",
        severity=Severity.WARNS,
    )
