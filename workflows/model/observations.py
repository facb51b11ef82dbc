"""What was read of a place before anything is asked of it; what could not be read is trouble."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from workflows.model.base import Value
from workflows.model.estate import Protocol
from workflows.model.findings import Finding
from workflows.model.results import Service, State


class _Reading(Value):
    """What every reading has."""

    place: str
    findings: tuple[Finding, ...] = ()
    """What kept a part of it from being read: unreachable, refused, unreadable."""


class MachineFacts(Value):
    """What a node's operating system and installation look like, over its shell."""

    user: str
    """Who the commands run as."""
    owner: str | None
    """Who owns FILEDRIVEHOME; None where there is no such directory."""
    system: str
    """The operating system's own name, as ``uname -s`` says it."""
    unusable: tuple[str, ...] = ()
    """Scripts of FILEDRIVEHOME/bin that are needed, and missing or not executable."""
    ledger_writable: bool
    ledger_free: int
    """Bytes that the ledger's disk has left."""
    kills_processes: bool | None
    """Whether the end of a session ends its processes; None where nobody can tell."""
    conf: dict[str, str] = {}
    """For each file under ``conf``: the first 16 digits of its SHA-256."""
    pending: tuple[str, ...] = ()
    """Services with a graceful stop pending, as far as the ledger or the process list knows."""


class NodeReading(_Reading):
    """Everything that was read about a node."""

    kind: Literal["node"] = "node"
    services: dict[Service, State] = {}
    texts: dict[Service, str] = {}
    """What the node itself said of a service whose state is unknown."""
    machine: MachineFacts | None = None
    taeh: str | None = None
    """SHA-256 of ``bin/taeh``, never its content."""
    version: str | None = None
    system: str | None = None
    """The operating system type, as the admin API says it."""
    database: str | None = None
    """The database type, as the admin API says it."""
    sessions: int | None = None
    graceful_timeouts: dict[str, str] = {}
    """The configured defaults, by option name, as the node spells them."""
    clock_ahead: timedelta | None = None
    """The node's clock less the worker's."""


class Member(Value):
    """A machine that a cluster's own configuration knows."""

    name: str
    address: str


class ClusterReading(_Reading):
    """What a cluster's nodes share, as one of its Servers saw it; *place* is that Server."""

    kind: Literal["cluster"] = "cluster"
    servers: tuple[Member, ...] = ()
    edges: tuple[Member, ...] = ()
    events: int | None = None
    """How many are queued."""
    oldest_event: timedelta | None = None
    """How long the oldest has been queued; None where there is none, or it does not say."""
    orphans: tuple[str, ...] = ()
    """``*.m_inproc`` files on the shared storage that nobody has written for long."""
    maintenance: tuple[str, ...] = ()
    """Options that say that the cluster is under maintenance."""


class Difference(Value):
    """One thing that is not the same on both sides."""

    check: str
    """The check that it belongs to, such as ``options_differ``."""
    place: str
    """The node or cluster that differs from the one it is held against."""
    item: str
    """What differs: an option, an account, a file."""
    seen: str
    expected: str


class ParityReading(_Reading):
    """The configuration of both clusters, side by side; *place* is the target."""

    kind: Literal["parity"] = "parity"
    differences: tuple[Difference, ...] = ()


class StorageReading(_Reading):
    """A sample of both clusters' files, side by side; *place* is the target."""

    kind: Literal["storage"] = "storage"
    sampled: int | None = None
    """Files that were held against each other, both ways together."""
    differences: tuple[Difference, ...] = ()
    delays: dict[str, timedelta | None] = {}
    """By cluster that wrote a marker file: when the other saw it; None if it did not in time."""


class LoginReading(_Reading):
    """How a login straight to a node went; *place* is that node."""

    kind: Literal["login"] = "login"
    protocol: Protocol
    failure: str | None = None
    """Why it, or the listing, failed; None where both went well."""


class ReplicationReading(_Reading):
    """Everything that was read about a replication link."""

    kind: Literal["replication"] = "replication"
    exists: bool | None = None
    """Whether the databases have such a link at all."""
    enabled: bool | None = None
    running: bool | None = None
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


class TrafficReading(_Reading):
    """Where a place of the load balancer sends traffic, and which node a login reached."""

    kind: Literal["traffic"] = "traffic"
    destinations: tuple[Destination, ...] = ()
    """Everything that the place steers; empty where nothing was read."""
    lands_on: dict[Protocol, str] = {}
    """For each protocol with a probe: the node that the login was found on."""


class TemporalReading(_Reading):
    """What Temporal knows of an estate; *place* is the estate."""

    kind: Literal["temporal"] = "temporal"
    open_run: str | None = None
    """The run id of a switchover of this estate, other than the one that asks."""
    completed: datetime | None = None
    """When the last switchover of this estate completed."""
    missing_attributes: tuple[str, ...] = ()
    builds: dict[str, str] = {}
    """By worker that polls the task queue: the build it runs."""


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
