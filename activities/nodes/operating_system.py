"""The port to a machine's operating system, and what its sockets mean for a node."""

import ipaddress
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from activities.ledger.store import LedgerStore
from workflows.model.estate import Machine, Node
from workflows.model.observations import MachineFacts

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Socket:
    """A TCP socket that listens or is connected."""

    local: Address
    port: int
    peer: Address
    listening: bool


@dataclass(frozen=True)
class LedgerFacts:
    """What a machine's ledger depends on."""

    user: str
    """As whom commands run there."""
    writable: bool
    free: int
    """Free bytes on its disk."""
    kills_processes: bool | None
    """Whether the end of a session ends its processes; None where that is unknown."""
    exposed: str | None = None
    """Why others could change what it says; None where only this user can."""


class Use(StrEnum):
    """What a machine is to the scripts that run on it."""

    EDGE = "Edge"
    SERVER = "Server"
    EDITED_FILE = "load balancer by `hosts_file` or `haproxy`"
    SITE_COMMAND = "load balancer or replication by `commands`"
    LEDGER = "load balancer that follows `dns`"


@dataclass(frozen=True)
class MissingProgram:
    """Something that scripts need and a machine does not have."""

    name: str
    """As in "the machine has no NAME"."""
    purpose: str
    """What it is needed for, as in "to read files"."""
    advice: str


class OperatingSystem(ABC):
    """What is read from one kind of operating system.

    A driver is one class, registered in ``operating_systems`` under the estate's ``system``. It
    raises OutcomeUnknown if an answer is incomplete: a part is never taken for the whole. Besides
    this class, a system needs a ``LedgerStore``, the frame and the quoting of its commands
    (``activities.transport``), and the ending of SecureTransport's scripts
    (``activities.securetransport.scripts``).
    """

    @property
    @abstractmethod
    def ledger(self) -> LedgerStore:
        """Return how commands are claimed, run detached and recorded on this system."""

    @abstractmethod
    async def scripts(self, node: Node) -> frozenset[str]:
        """Return the names of the scripts in FILEDRIVEHOME/bin, as Linux calls them."""

    @abstractmethod
    async def running(self, node: Node, pid_files: Iterable[str]) -> frozenset[str]:
        """Return which PID files under FILEDRIVEHOME/var/run have a living process of their own.

        A process that is younger than its PID file is another one: the number was used again. Where
        it cannot be told whose process a number is, that is an OutcomeUnknown.
        """

    @abstractmethod
    async def sockets(self, machine: Machine) -> tuple[Socket, ...]:
        """Return every TCP socket that listens or is connected."""

    @abstractmethod
    async def digest(self, machine: Machine, path: str) -> str:
        """Return the SHA-256 of a file, in hexadecimal digits."""

    @abstractmethod
    async def now(self, machine: Machine) -> datetime:
        """Return the machine's own time, in whole seconds."""

    @abstractmethod
    async def orphaned_files(self, machine: Machine, storage: str) -> frozenset[tuple[str, str]]:
        """Return the ``*.m_inproc`` files below a directory (section 5).

        Each is a path with ``SIZE.SECONDS``, which changes when the file is written to.
        """

    @abstractmethod
    async def ledger_facts(self, machine: Machine) -> LedgerFacts:
        """Return whether a ledger can be kept there, and commands outlive their session."""

    async def missing_programs(
        self,
        machine: Machine,  # noqa: ARG002 - for systems that have to be asked
        use: Use,  # noqa: ARG002 - as above
    ) -> tuple[MissingProgram, ...]:
        """Return what scripts need there and do not find; none where a system brings it all."""
        return ()

    @abstractmethod
    async def facts(self, node: Node) -> MachineFacts:
        """Return what the machine and its installation of SecureTransport look like."""

    @abstractmethod
    def preview_scripts(self, node: Node) -> str:
        """Return the command that lists the scripts, for an operator."""

    @abstractmethod
    def preview_sockets(self) -> str:
        """Return the command that reads sockets, for an operator."""

    @abstractmethod
    def preview_orphaned_files(self, storage: str) -> str:
        """Return the command that finds orphaned files, for an operator."""


@dataclass(frozen=True)
class SocketFilter:
    """Which sockets concern one node: its own addresses (empty: any), less ignored peers."""

    listen_on: tuple[str, ...]
    ignored_peers: tuple[str, ...] = ()

    def sessions(self, sockets: Iterable[Socket], ports: Iterable[int]) -> int:
        """Count the established connections to these ports."""
        wanted = set(ports)
        return sum(
            1
            for socket in sockets
            if not socket.listening
            and socket.port in wanted
            and self._is_own(socket.local)
            and not self.ignores(str(socket.peer))
        )

    def listening(self, sockets: Iterable[Socket]) -> frozenset[int]:
        """Return every port that the node accepts connections on."""
        return frozenset(
            socket.port
            for socket in sockets
            if socket.listening and (socket.local.is_unspecified or self._is_own(socket.local))
        )

    def ignores(self, peer: str) -> bool:
        """Whether connections from there do not count as sessions."""
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:  # the admin API may show a name
            return False
        return any(address in ipaddress.ip_network(ignored) for ignored in self.ignored_peers)

    def _is_own(self, local: Address) -> bool:
        return not self.listen_on or str(local) in self.listen_on
