"""How is each order carried out that a node's shell and ledger are asked for?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from activities.ledger.ledger import EVERYTHING, Ledger, Task
from activities.nodes.desired_state import Wishes
from activities.nodes.ensure import Effects, monitor_task
from activities.nodes.observe import Observer
from activities.nodes.reachability import require_silence
from activities.nodes.service_status import Survey
from activities.runtime.heartbeat import pause, pulse
from activities.securetransport import scripts as securetransport
from activities.securetransport.admin_client import Admin
from activities.securetransport.service_state import Sighting
from activities.transport.ssh import Command, Shell
from workflows.errors import NotReady
from workflows.model.actions.change import (
    LookForOrphans,
    ProveDead,
    ProveServing,
    ProveStopped,
    StartAll,
    StartMonitor,
    StartProtocolServer,
    StartTransactionManager,
    StopGracefully,
    StopMonitor,
    StopRemaining,
    StopTransactionManager,
)
from workflows.model.actions.observe import ObserveNode
from workflows.model.checks import Severity
from workflows.model.estate import Node
from workflows.model.observations import NodeReading
from workflows.model.results import PROTOCOL_SERVERS, Finding, Report, Service, State, seen
from workflows.ports.contract import NodeErrand, Nodes, SessionErrand, StorageErrand


class SshNodes(Nodes):
    """SecureTransport machines that run Linux, over SSH."""

    def __init__(self, shell: Shell, admin: Admin) -> None:
        self._shell = shell
        self._survey = Survey(shell)
        self._effects = Effects(Ledger(shell), self._survey)
        self._observer = Observer(self._survey, admin)

    @activity.defn
    async def observe_node(self, errand: SessionErrand[ObserveNode]) -> NodeReading:
        """Read everything; what cannot be read is in the reading's trouble, never an error."""
        async with pulse():
            return await self._observer.read(errand)

    @activity.defn
    async def stop_monitor(self, errand: NodeErrand[StopMonitor]) -> Report:
        """Leave the Monitor stopped."""
        task = monitor_task(errand, securetransport.stop_monitor(errand.node))
        wish = Wishes(self._survey, errand.node, errand.timing.stop_margin)
        async with pulse():
            return await self._effects.make_true(errand, task, wish.stopped(Service.MONITOR))

    @activity.defn
    async def start_monitor(self, errand: NodeErrand[StartMonitor]) -> Report:
        """Leave the Monitor running."""
        task = monitor_task(errand, securetransport.start(errand.node, Service.MONITOR))
        wish = Wishes(self._survey, errand.node, errand.timing.stop_margin)
        async with pulse():
            return await self._effects.make_true(errand, task, wish.running(Service.MONITOR))

    @activity.defn
    async def stop_gracefully(self, errand: NodeErrand[StopGracefully]) -> Report:
        """Leave the protocol server stopped, gracefully; NotReady while the Monitor runs."""
        order, node = errand.order, errand.node

        async def monitor_down() -> None:
            await self._require_down(node, (Service.MONITOR,), f"{order.protocol} was left up")

        async with pulse():
            service = Service(order.protocol.value)
            return await self._effects.stop_gracefully(errand, service, order.grace, monitor_down)

    @activity.defn
    async def start_protocol_server(self, errand: NodeErrand[StartProtocolServer]) -> Report:
        """Leave the protocol server running; waits for pending stops first."""
        return await self._start(errand, Service(errand.order.protocol.value))

    @activity.defn
    async def prove_stopped(self, errand: NodeErrand[ProveStopped]) -> Report:
        """See every protocol server and the Monitor down; NotReady naming what runs."""
        node, services = errand.node, (*PROTOCOL_SERVERS, Service.MONITOR)
        async with pulse():
            # Twice: a Monitor that someone started meanwhile restarts what it finds down.
            await self._require_down(node, services, "the Transaction Manager was left up")
            await pause(errand.timing.reading_interval)
            await self._require_down(node, services, "the Transaction Manager was left up")
        words = f"every protocol server and the Monitor of {node.name} are down"
        return seen(errand.order, words, datetime.now(UTC))

    @activity.defn
    async def prove_serving(self, errand: NodeErrand[ProveServing]) -> Report:
        """See all that clients need running, twice; NotReady naming what does not."""
        node = errand.node
        async with pulse():
            await self._require_serving(node)
            # Twice: what a late stop or a crash takes down again serves nobody.
            await pause(errand.timing.reading_interval)
            await self._require_serving(node)
        words = f"{node.name} serves: {', '.join(securetransport.serving(node))}"
        return seen(errand.order, words, datetime.now(UTC))

    @activity.defn
    async def prove_dead(self, errand: NodeErrand[ProveDead]) -> Report:
        """See SSH, admin API and every port silent; NotReady naming what answers."""
        async with pulse():
            words = await require_silence(self._shell, errand.node)
        return seen(errand.order, words, datetime.now(UTC))

    @activity.defn
    async def stop_transaction_manager(self, errand: NodeErrand[StopTransactionManager]) -> Report:
        """Leave it stopped, gracefully; NotReady while what comes before still runs."""
        node = errand.node

        async def all_else_down() -> None:
            services = (*PROTOCOL_SERVERS, Service.MONITOR)
            await self._require_down(node, services, "the Transaction Manager was left up")

        async with pulse():
            return await self._effects.stop_gracefully(
                errand, Service.TRANSACTION_MANAGER, errand.order.grace, all_else_down
            )

    @activity.defn
    async def look_for_orphans(self, errand: StorageErrand[LookForOrphans]) -> Report:
        """Report what nobody works on any more as findings that warn (section 5)."""
        async with pulse():
            found = await self._survey.orphans(errand.node, errand.storage)
            # The target's own unfinished files may be synced to here: those still change.
            await pause(errand.timing.reading_interval)
            left = found & await self._survey.orphans(errand.node, errand.storage)
        findings = tuple(_orphan(errand.node, path) for path, _ in sorted(left))
        words = (
            f"{len(left) or 'no'} orphaned files on {errand.storage}, as {errand.node.name} sees"
        )
        return seen(errand.order, words, datetime.now(UTC), findings)

    @activity.defn
    async def start_transaction_manager(
        self, errand: NodeErrand[StartTransactionManager]
    ) -> Report:
        """Leave the Transaction Manager running; waits for pending stops first."""
        return await self._start(errand, Service.TRANSACTION_MANAGER)

    @activity.defn
    async def stop_remaining(self, errand: NodeErrand[StopRemaining]) -> Report:
        """Leave nothing of SecureTransport running; proven by PID files and ports."""
        task = _for_everything(errand, securetransport.stop_all(errand.node))
        wish = Wishes(self._survey, errand.node, errand.timing.stop_margin).nothing_left()
        async with pulse():
            return await self._effects.make_true(errand, task, wish)

    @activity.defn
    async def start_all(self, errand: NodeErrand[StartAll]) -> Report:
        """Leave the node started, admin answering."""
        task = _for_everything(errand, securetransport.start_all(errand.node))
        wish = Wishes(self._survey, errand.node, errand.timing.start_patience).all_running()
        async with pulse():
            return await self._effects.start(errand, task, wish)

    async def _start(
        self,
        errand: NodeErrand[StartProtocolServer] | NodeErrand[StartTransactionManager],
        service: Service,
    ) -> Report:
        task = Task(
            operation=errand.operation.id,
            service=service,
            command=securetransport.start(errand.node, service),
            within=errand.timing.stop_margin,
        )
        wish = Wishes(self._survey, errand.node, errand.timing.start_patience).running(service)
        async with pulse():
            return await self._effects.start(errand, task, wish)

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
            sighting.known(f"{node.name}: {service}")

    async def _require_serving(self, node: Node) -> None:
        sightings = await self._survey.states(node, securetransport.serving(node))
        down = [
            f"{service} is {sighting.state} ({sighting.words})"
            for service, sighting in sightings.items()
            if sighting.state not in (State.RUNNING, State.UNKNOWN)
        ]
        if down:
            raise NotReady(
                f"{node.name}: {', '.join(down)}, expected running; "
                "start what is named, then decide `retry`"
            )
        for service, sighting in sightings.items():
            sighting.known(f"{node.name}: {service}")


def _running(sightings: Mapping[Service, Sighting]) -> str:
    return ", ".join(service for service, sighting in sightings.items() if sighting.running)


def _orphan(node: Node, path: str) -> Finding:
    return Finding(
        name="orphaned_file",
        place=node.name,
        seen=path,
        expected="no *.m_inproc once the Transaction Managers are down",
        advice="find out which transfer it belongs to, then remove it by hand",
        severity=Severity.WARNS,
    )


def _for_everything(errand: NodeErrand[Any], command: Command) -> Task:
    """Enter a command that concerns every service: it waits for all of their pending stops."""
    return Task(
        operation=errand.operation.id,
        service=EVERYTHING,
        command=command,
        within=errand.timing.stop_margin,
    )
