"""What state is each service of a node in, as far as anyone can tell?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from activities.nodes import linux
from activities.nodes.linux import SocketFilter
from activities.securetransport import scripts as securetransport
from activities.securetransport.service_state import ObservedState
from activities.transport.ssh import Command, CommandResult, Shell
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Node, Protocol
from workflows.model.results import PROTOCOL_SERVERS, Service, State


@dataclass(frozen=True)
class ProcessEvidence:
    """What a node's services leave in the operating system: it tells when no script can."""

    alive: frozenset[str]
    """PID files with a living process."""
    listening: frozenset[int]

    def of(self, node: Node, service: Service) -> tuple[str, ...]:
        """Every trace of a service that runs."""
        files = (f for f in securetransport.PID_FILES[service] if f in self.alive)
        ports = (f"port {port}" for port in _ports(node, service) if port in self.listening)
        return (*files, *ports)

    def of_all(self, node: Node) -> tuple[str, ...]:
        """Every trace of anything that runs on the node."""
        services = securetransport.SERVICES[node.kind]
        return tuple(trace for service in services for trace in self.of(node, service))


class ServiceStatusReader:
    """Asks the status scripts, and the operating system where they cannot answer."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def state(self, node: Node, service: Service) -> ObservedState:
        """Return what one service is seen to be."""
        return (await self.states(node, (service,)))[service]

    async def states(self, node: Node, services: Iterable[Service]) -> dict[Service, ObservedState]:
        """Return what each of these services is seen to be.

        Status scripts answer only while admin runs (section 3). Without it, and only if neither a
        script, nor a process, nor a port speaks for it, PID files and ports decide.
        """
        wanted = tuple(services)
        listing = (await self.expect(node, securetransport.scripts(node))).out.split()
        found = await asyncio.gather(*(self._ask(node, listing, s) for s in wanted))
        sightings = dict(zip(wanted, found, strict=True))
        if all(sighting.state is not State.UNKNOWN for sighting in found):
            return sightings
        if (await self._ask(node, listing, Service.ADMIN)).running:
            return sightings
        traces = await self.traces(node)
        if traces.of(node, Service.ADMIN):
            return sightings
        return {s: _without_admin(traces, node, s, seen) for s, seen in sightings.items()}

    async def traces(self, node: Node) -> ProcessEvidence:
        """Return what the operating system knows of the node's services."""
        files = [file for files in securetransport.PID_FILES.values() for file in files]
        alive, sockets = await asyncio.gather(
            self.expect(node, linux.processes(node.filedrivehome, files)),
            self.expect(node, linux.sockets()),
        )
        doors = SocketFilter(node.listen_on)
        return ProcessEvidence(
            linux.parse_processes(alive.out), doors.listening(linux.parse_sockets(sockets.out))
        )

    async def connections(
        self, node: Node, ignored_peers: tuple[str, ...] = ()
    ) -> dict[Protocol, int]:
        """Count the established connections of each protocol that the node serves."""
        answer = await self.expect(node, linux.sockets())
        sockets, doors = (
            linux.parse_sockets(answer.out),
            SocketFilter(node.listen_on, ignored_peers),
        )
        return {
            protocol: doors.sessions(sockets, ports) for protocol, ports in node.protocols.items()
        }

    async def orphans(self, node: Node, storage: str) -> frozenset[tuple[str, str]]:
        """Return the files on the storage that a stopped Transaction Manager may have left."""
        return linux.parse_orphans((await self.expect(node, linux.orphans(storage))).out)

    async def expect(self, node: Node, command: Command) -> CommandResult:
        """Run a command that only looks; OutcomeUnknown where it fails."""
        answer = await self._shell.run(node, command)
        if answer.status != 0:
            raise OutcomeUnknown(f"{node.name}: could not be looked at: {answer.text}")
        return answer

    async def _ask(self, node: Node, listing: list[str], service: Service) -> ObservedState:
        if service not in securetransport.SERVICES[node.kind]:
            return ObservedState(State.ABSENT, f"an {node.kind} has none")
        if (missing := securetransport.installed(listing, node, service)) is not None:
            return missing
        answer = await self._shell.run(node, securetransport.status(node, service))
        sighting = securetransport.parse_status(service, answer.out)
        if sighting.state is State.UNKNOWN:
            return ObservedState(State.UNKNOWN, answer.text or f"exit status {answer.status}")
        return sighting


def _without_admin(
    traces: ProcessEvidence, node: Node, service: Service, seen: ObservedState
) -> ObservedState:
    if seen.state in (State.DISABLED, State.ABSENT):
        return seen
    found = traces.of(node, service)
    if found:
        return ObservedState(State.RUNNING, ", ".join(found))
    return ObservedState(State.STOPPED, "admin is down, and it has neither process nor port")


def _ports(node: Node, service: Service) -> tuple[int, ...]:
    if service is Service.ADMIN:
        return (node.admin.port,)
    if service in PROTOCOL_SERVERS:
        return node.protocols.get(Protocol(service.value), ())
    return ()
