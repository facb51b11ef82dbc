"""Readings: what was read of a place, and findings about what could not be read."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from workflows.model.base import Value
from workflows.model.estate import Protocol
from workflows.model.findings import Finding
from workflows.model.results import Service, State


class BaseReading(Value):
    """What every reading has in common."""

    place: str
    findings: tuple[Finding, ...] = ()
    """Why a part of it is missing, and what the driver found itself; each names a check."""
    not_available: dict[str, str] = {}
    """By check: what the place does not have, so that there is nothing to check."""
    not_read: dict[str, str] = {}
    """By check: why it cannot be told whether it holds, although the rest could be read."""


class MachineFacts(Value):
    """A node's operating system and installation, read over its shell."""

    user: str
    """The user that commands run as."""
    owner: str | None
    """The owner of FILEDRIVEHOME; None where there is no such directory."""
    system: str
    """The operating system's name by ``uname -s``."""
    unusable: tuple[str, ...] = ()
    """Scripts of FILEDRIVEHOME/bin that are needed, and missing or not executable."""
    ledger_writable: bool
    ledger_exposed: str | None = None
    """Why others could change what the ledger says; None where only this user can."""
    ledger_free: int
    """Free bytes on the ledger's disk."""
    kills_processes: bool | None
    """Whether the end of a session ends its processes; None where that is unknown."""
    conf: dict[str, str] = {}
    """For each file under ``conf``: the first 16 digits of its SHA-256."""
    addresses: tuple[str, ...] = ()
    """The machine's own IP addresses, without those of its loopback; empty where unknown."""
    pending: tuple[str, ...] = ()
    """Services with a graceful stop pending, as far as the ledger or the process list knows."""


class NodeReading(BaseReading):
    """Everything that was read about a node."""

    kind: Literal["node"] = "node"
    services: dict[Service, State] = {}
    texts: dict[Service, str] = {}
    """The node's own text about each service whose state is unknown."""
    machine: MachineFacts | None = None
    taeh: str | None = None
    """SHA-256 of ``bin/taeh``, never its content."""
    version: str | None = None
    system: str | None = None
    """The operating system type by the admin API."""
    database: str | None = None
    """The database type by the admin API."""
    sessions: int | None = None
    graceful_timeouts: dict[str, str] = {}
    """The configured defaults, by option name, as the node writes them."""
    clock_ahead: timedelta | None = None
    """The node's clock less the worker's."""
    silent_ports: tuple[str, ...] = ()
    """Ports of the estate on which nothing listens, with their protocol."""
    slowest_answer: timedelta | None = None
    """How long the slowest command took; None where none ended."""


class Member(Value):
    """A machine that a cluster's own configuration knows."""

    name: str
    """Its title or host name; its address where it has neither."""
    address: str
    further: tuple[str, ...] = ()
    """Its other addresses."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return every address and name that the cluster reaches it by."""
        return (self.address, *self.further)


class ClusterReading(BaseReading):
    """What a cluster's nodes share, as one of its Servers reads it; *place* is that Server."""

    kind: Literal["cluster"] = "cluster"
    servers: tuple[Member, ...] | None = None
    """A Server without a cluster is the only one; None where that could not be read."""
    edges: tuple[Member, ...] | None = None
    """The Edges of all zones; None where they could not be read."""
    events: int | None = None
    """How many are queued."""
    oldest_event: timedelta | None = None
    """How long the oldest of those with a readable age has been queued; None without any."""
    orphans: tuple[str, ...] = ()
    """The first ``*.m_inproc`` files on the shared storage that have not changed for long; the last
    item says how many more there are."""
    maintenance: tuple[str, ...] = ()
    """The mode of its zero downtime update, where that is not ``disabled``."""


class Difference(Value):
    """One thing that is not the same on both sides."""

    place: str
    """The node or cluster that differs from the one it is compared with."""
    item: str
    """What differs: an option, an account, a file."""
    seen: str
    expected: str


class ParityReading(BaseReading):
    """The findings of a comparison of both clusters' configuration; *place* is the target."""

    kind: Literal["parity"] = "parity"


class StorageReading(BaseReading):
    """A sample of both clusters' files, side by side; *place* is the target."""

    kind: Literal["storage"] = "storage"
    sampled: int | None = None
    """Files that were compared, in both directions together."""
    differences: tuple[Difference, ...] = ()
    delays: dict[str, timedelta | None] = {}
    """By cluster that wrote a marker file: when the other read it; None if not in time."""


class LoginReading(BaseReading):
    """The result of a login straight to a node; *place* is that node."""

    kind: Literal["login"] = "login"
    protocol: Protocol
    failure: str | None = None
    """Why the login or the listing failed; None where both succeeded."""


class ReplicationReading(BaseReading):
    """Everything that was read about a replication link."""

    kind: Literal["replication"] = "replication"
    exists: bool | None = None
    """Whether the databases have such a link at all."""
    enabled: bool | None = None
    running: bool | None = None
    sends_back: bool | None = None
    """Whether it also sends what its publisher received by replication, so that it must not run
    beside a link that leads the other way; None where that is unknown."""
    changes_kept: bool | None = None
    """Whether everything that it has yet to deliver is still there to be delivered; False where
    it was lost, or nothing keeps it; None where that is unknown."""
    tables: tuple[str, ...] = ()
    """Tables that are replicated, in lower case, as far as the driver can tell."""


class Destination(Value):
    """Where one thing that a load balancer steers leads now."""

    item: str
    """What is steered, in the driver's words: a name, a backend, a zone."""
    seen: str | None = None
    """Where it leads, in the driver's words; None where the driver cannot tell."""
    cluster: str | None = None
    """The cluster that this is; None where it is no cluster's."""


class TrafficReading(BaseReading):
    """Where a place of the load balancer sends traffic, and which node a login reached."""

    kind: Literal["traffic"] = "traffic"
    destinations: tuple[Destination, ...] = ()
    """Everything that the place steers; empty where nothing was read."""
    lands_on: dict[Protocol, str] = {}
    """For each protocol with a probe: the node that the login was found on."""


class TemporalReading(BaseReading):
    """What Temporal has about an estate; *place* is the estate."""

    kind: Literal["temporal"] = "temporal"
    open_run: str | None = None
    """The run id of an open switchover of this estate, other than the one that reads."""
    completed: datetime | None = None
    """When the last switchover of this estate completed."""
    missing_attributes: tuple[str, ...] = ()
    builds: dict[str, str] = {}
    """The build of each worker that polls the task queue."""
    own_queues: dict[str, dict[str, str]] = {}
    """By a cluster's own task queue: the same; a queue is missing if that could not be read."""


Reading = Annotated[
    NodeReading
    | ReplicationReading
    | TrafficReading
    | ClusterReading
    | ParityReading
    | StorageReading
    | LoginReading
    | TemporalReading,
    Field(discriminator="kind"),
]
