"""Read the state of each service of a node, from its scripts or its operating system."""

import asyncio
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import timedelta

from activities.nodes.operating_system import OperatingSystem, SocketFilter
from activities.nodes.operating_systems import operating_system
from activities.securetransport import scripts as securetransport
from activities.securetransport.service_state import ObservedState
from activities.transport.ssh import Shell
from workflows.model.estate import Node, Protocol
from workflows.model.results import PROTOCOL_SERVERS, Service, State


@dataclass(frozen=True)
class ProcessEvidence:
    """What the operating system shows of a node's services; it tells when no script can."""

    alive: frozenset[str]
    """PID files that have a living process."""
    listening: frozenset[int]

    def of(self, node: Node, service: Service) -> tuple[str, ...]:
        """Return every process and port of a service."""
        files = (f for f in securetransport.PID_FILES[service] if f in self.alive)
        ports = (f"port {port}" for port in _ports(node, service) if port in self.listening)
        return (*files, *ports)

    def of_all(self, node: Node) -> tuple[str, ...]:
        """Return every process and port of SecureTransport on the node."""
        services = securetransport.SERVICES[node.kind]
        return tuple(found for service in services for found in self.of(node, service))


@dataclass(frozen=True)
class ListedPort:
    """A port that the estate lists for a protocol."""

    protocol: Protocol
    number: int

    def __str__(self) -> str:
        """Return it as findings name it: "ssh 8022"."""
        return f"{self.protocol} {self.number}"


class ServiceStatusReader:
    """Runs the status scripts, and reads the operating system if they cannot answer."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def system(self, node: Node) -> OperatingSystem:
        """Return the driver for the node's operating system."""
        return operating_system(self._shell, node)

    def slowest_answer(self, node: Node) -> timedelta | None:
        """Return how long the node's slowest command took since this was last asked."""
        return self._shell.slowest_answer(node)

    async def state(self, node: Node, service: Service) -> ObservedState:
        """Return the state of one service."""
        return (await self.states(node, (service,)))[service]

    async def states(self, node: Node, services: Iterable[Service]) -> dict[Service, ObservedState]:
        """Return the state of each of these services.

        Status scripts answer only while admin runs (section 3). If it does not run by its own
        script, process and port, PID files and ports decide.
        """
        wanted = tuple(services)
        scripts = await self.system(node).scripts(node)
        found = await asyncio.gather(*(self._ask(node, scripts, s) for s in wanted))
        states = dict(zip(wanted, found, strict=True))
        if all(observed.state is not State.UNKNOWN for observed in found):
            return states
        if (await self._ask(node, scripts, Service.ADMIN)).running:
            return states
        evidence = await self.process_evidence(node)
        if evidence.of(node, Service.ADMIN):
            return states
        return {s: _without_admin(evidence, node, s, seen) for s, seen in states.items()}

    async def process_evidence(self, node: Node) -> ProcessEvidence:
        """Return what the operating system shows of the node's services."""
        files = [file for files in securetransport.PID_FILES.values() for file in files]
        alive, sockets = await asyncio.gather(
            self.system(node).running(node, files), self.system(node).sockets(node)
        )
        return ProcessEvidence(alive, SocketFilter(node.listen_on).listening(sockets))

    async def silent_ports(
        self, node: Node, services: Container[Service] = PROTOCOL_SERVERS
    ) -> tuple[ListedPort, ...]:
        """Return the ports that the estate lists, and on which the node does not listen.

        Of these services only; where the estate lists none of theirs, nothing is read.
        """
        listed = [
            ListedPort(protocol, number)
            for protocol, numbers in node.protocols.items()
            for number in numbers
            if Service(protocol.value) in services
        ]
        if not listed:
            return ()
        sockets = await self.system(node).sockets(node)
        listening = SocketFilter(node.listen_on).listening(sockets)
        return tuple(port for port in listed if port.number not in listening)

    async def connections(
        self, node: Node, ignored_peers: tuple[str, ...] = ()
    ) -> dict[Protocol, int]:
        """Count the open connections of each protocol that the node serves."""
        sockets = await self.system(node).sockets(node)
        counted = SocketFilter(node.listen_on, ignored_peers)
        return {
            protocol: counted.sessions(sockets, ports) for protocol, ports in node.protocols.items()
        }

    async def _ask(self, node: Node, scripts: frozenset[str], service: Service) -> ObservedState:
        if service not in securetransport.SERVICES[node.kind]:
            return ObservedState(State.ABSENT, f"an {node.kind} has none")
        if (missing := securetransport.installed(scripts, node, service)) is not None:
            return missing
        answer = await self._shell.run(node, securetransport.status(node, service))
        observed = securetransport.parse_status(service, answer.out)
        if observed.state is State.UNKNOWN:
            return ObservedState(State.UNKNOWN, answer.text or f"exit status {answer.status}")
        return observed


def _without_admin(
    evidence: ProcessEvidence, node: Node, service: Service, seen: ObservedState
) -> ObservedState:
    if seen.state in (State.DISABLED, State.ABSENT):
        return seen
    found = evidence.of(node, service)
    if found:
        return ObservedState(State.RUNNING, ", ".join(found))
    return ObservedState(
        State.STOPPED, "admin is down, and the service has neither process nor port"
    )


def _ports(node: Node, service: Service) -> tuple[int, ...]:
    if service is Service.ADMIN:
        return (node.admin.port,)
    if service in PROTOCOL_SERVERS:
        return node.protocols.get(Protocol(service.value), ())
    return ()
