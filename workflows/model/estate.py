"""The two clusters, their load balancer, replication links and file storage, as one value.

An estate is written by hand in YAML (see ``docs/estate.example.yaml``) and travels inside the plan.
It holds no secret, only references to secrets: ``env:NAME`` or ``file:PATH``.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PositiveInt, StringConstraints, model_validator

from workflows.model.base import CheckName, FreeText, OneLine, SecretReference, Value, between
from workflows.model.findings import Severity
from workflows.model.load_balancers.base import LoadBalancer, Probe
from workflows.model.load_balancers.registry import AnyLoadBalancer
from workflows.model.machines import (
    AbsolutePath,
    Account,
    AdminAccess,
    Fingerprint,
    Host,
    JumpHost,
    Kind,
    Machine,
    MonitorCommands,
    Name,
    Network,
    Node,
    NodePath,
    Port,
    Protocol,
    RelativePath,
    SshAccess,
    Way,
)
from workflows.model.replications.base import Replication, ReplicationLink
from workflows.model.replications.registry import AnyReplication
from workflows.model.site_policy import Approvals, ChangeWindow, Webhook
from workflows.model.stages import StageName
from workflows.model.task_queues import OwnQueue
from workflows.model.windows import unfit_word

__all__ = [
    "AbsolutePath",
    "Adjusted",
    "AdminAccess",
    "Cluster",
    "Database",
    "Estate",
    "Fingerprint",
    "JumpHost",
    "Kind",
    "Limits",
    "LoadBalancer",
    "Machine",
    "MonitorCommands",
    "Name",
    "Node",
    "NodePath",
    "Port",
    "Probe",
    "Protocol",
    "RelativePath",
    "Replication",
    "ReplicationLink",
    "SshAccess",
    "Timing",
]


MAX_NODES = 100
"""Of one cluster."""
MAX_DEFAULTS = 100
"""Keys under ``defaults`` and below them: a node has 40."""
NOTHING, INSTANT, SECOND = timedelta(), timedelta(seconds=0.01), timedelta(seconds=1)
DAY, YEAR = timedelta(days=1), timedelta(days=365)


def _whole(span: timedelta) -> timedelta:
    if span % SECOND:
        raise ValueError("write whole seconds: a script takes no fractions")
    return span


ItemPattern = Annotated[str, StringConstraints(min_length=1, max_length=200), OneLine]


class Database(Value):
    """One cluster's PostgreSQL database."""

    name: Name
    address: Host
    port: Port = 5432
    database: Account
    user: Account
    password: SecretReference
    ca: AbsolutePath | None = None
    """Verify TLS against these CA certificates; without it the connection is not encrypted."""
    via: Way = Field(default=(), exclude_if=lambda hops: not hops)
    """Jump hosts on the way to it: the last one connects to it. TLS is verified all the same."""
    wal_space: PositiveInt | None = None
    """Bytes that its disk can give to WAL that is kept, where the server itself sets no limit."""


class Cluster(Value):
    """Servers that share a database and a file system, and the Edges before them."""

    name: Name
    nodes: tuple[Node, ...] = Field(min_length=1, max_length=MAX_NODES)
    database: Database
    storage: NodePath
    """Where the shared file system is mounted on the Servers."""
    storage_markers: RelativePath | None = None
    """A directory on it where checks may write a marker file, to measure the storage's delay."""
    task_queue: OwnQueue | None = Field(default=None, exclude_if=lambda queue: queue is None)
    """Where workers near the cluster poll for what is done on its nodes; None for the main queue.

    Without it nothing of an estate is written in another way than before there was such a key: its
    seals and its plan's hash stay the same.
    """

    @property
    def servers(self) -> tuple[Node, ...]:
        """The nodes that host a Transaction Manager."""
        return tuple(node for node in self.nodes if node.kind is Kind.SERVER)

    @property
    def edges(self) -> tuple[Node, ...]:
        """The nodes in the DMZ."""
        return tuple(node for node in self.nodes if node.kind is Kind.EDGE)

    @property
    def client_facing_nodes(self) -> tuple[Node, ...]:
        """The nodes that clients reach: the Edges, or the Servers where there is no Edge."""
        return self.edges or self.servers

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """Every protocol that clients are served, in a stable order."""
        return tuple(p for p in Protocol if any(p in node.protocols for node in self.nodes))

    @model_validator(mode="after")
    def _has_a_server(self) -> Self:
        if not self.servers:
            raise ValueError(f"{self.name} has no node of kind server")
        return self

    @model_validator(mode="after")
    def _storage_is_a_path_there(self) -> Self:
        # Servers of two systems are a finding, which says more.
        if not any(server.is_path(self.storage) for server in self.servers):
            first = self.servers[0]
            raise ValueError(
                f"{self.name}: storage {self.storage} is no path on {first.name}, whose system is "
                f"{first.system}"
            )
        for objection in unfit_word("storage", self.storage) if "\\" in self.storage else ():
            raise ValueError(f"{self.name}: {objection}")
        return self


class Timing(Value):
    """How long things take here. Numbers are seconds; ISO 8601 durations are read too."""

    grace: Annotated[timedelta, between(SECOND, DAY), AfterValidator(_whole)] = timedelta(
        seconds=120
    )
    """The timeout of a protocol server's graceful stop, once no session remains."""
    transaction_manager_grace: Annotated[
        timedelta, between(timedelta(seconds=30), DAY), AfterValidator(_whole)
    ] = timedelta(seconds=120)
    """Below 30 s the vendor's stop is not graceful (section 5)."""
    stop_margin: Annotated[timedelta, between(NOTHING, DAY)] = timedelta(seconds=30)
    """A stop has completed at the latest at its start plus its timeout plus this."""
    start_timeout: Annotated[timedelta, between(INSTANT, DAY)] = timedelta(seconds=600)
    """How long admin may take to answer after a start (section 3)."""
    drain_timeout: Annotated[timedelta, between(INSTANT, 30 * DAY)] = timedelta(days=1)
    """How long sessions and the event queue may take to empty before an operator is asked."""
    takeover: Annotated[timedelta, between(NOTHING, DAY)] = timedelta(seconds=60)
    """``FolderMonitor.heartbeatTimeout``: another Server may take it over until then."""
    storage_delay: Annotated[timedelta, between(NOTHING, DAY)] = timedelta(seconds=30)
    """How long a file may take from one cluster's storage to the other's."""
    replication_timeout: Annotated[timedelta, between(INSTANT, DAY)] = timedelta(minutes=10)
    """How long the replication lag may take to reach zero."""
    unreachable_timeout: Annotated[timedelta, between(INSTANT, DAY)] = timedelta(minutes=5)
    """How long a place that does not answer is retried before an operator is asked."""
    reach_timeout: Annotated[timedelta, between(SECOND, timedelta(minutes=10))] = timedelta(
        seconds=10
    )
    """How long a place may be silent before a reading counts it as unreachable."""
    answer_timeout: Annotated[timedelta, between(SECOND, timedelta(hours=1))] = timedelta(
        seconds=60
    )
    """How long one command or request may take at a place that is not silent."""
    reading_interval: Annotated[timedelta, between(INSTANT, timedelta(minutes=10))] = timedelta(
        seconds=5
    )
    """Between two readings while a run waits for a state."""
    readings: int = Field(default=3, ge=1, le=100)
    """How many readings in a row must agree: the session list is not stable (section 8)."""
    cool_down: Annotated[timedelta, between(NOTHING, YEAR)] = timedelta(hours=1)
    """How long after a switchover the next one may not begin."""
    configuration_interval: Annotated[timedelta, between(INSTANT, timedelta(hours=1))] = timedelta(
        seconds=20
    )
    """Between two readings of the configuration while replication is suspended."""


class Limits(Value):
    """Thresholds of the checks."""

    ledger_free: int = Field(default=100 * 1024**2, ge=0)
    """Bytes that must be free on a ledger's disk."""
    oldest_event: Annotated[timedelta, between(INSTANT, YEAR)] = timedelta(hours=1)
    """An event that has been queued for longer is stuck."""
    orphan_age: Annotated[timedelta, between(INSTANT, YEAR)] = timedelta(hours=1)
    """An unfinished file that has not changed for longer is an orphan."""
    clock: Annotated[timedelta, between(INSTANT, YEAR)] = timedelta(seconds=5)
    """How much a node's clock may differ from the worker's."""
    slow_answer: Annotated[timedelta, between(INSTANT, YEAR)] = timedelta(seconds=2)
    """A node whose slowest command takes longer is slow."""
    storage_sample: int = Field(default=200, ge=1, le=100_000)
    """How many files of each cluster are compared with the other's."""


class Adjusted(Value):
    """This site's own severity of a check, and the reason."""

    severity: Severity
    reason: Annotated[FreeText, StringConstraints(min_length=1)]


class Estate(Value):
    """Everything that a switchover may touch."""

    name: Name
    clusters: tuple[Cluster, Cluster]
    load_balancer: AnyLoadBalancer
    replication: AnyReplication
    timing: Timing = Timing()
    ignored_peers: tuple[Network, ...] = ()
    """Addresses of monitoring and health checks: their connections do not count as sessions."""
    on_configuration_change: Literal["warn", "pause"] = "warn"
    """What a run does where the configuration is changed while replication is suspended."""
    ignored_changes: tuple[ItemPattern, ...] = ()
    """Items whose change nobody reports, such as a table that records logins: patterns with ``*``
    and ``?`` for the item as a change names it (``table public.login*``)."""
    scheduling_returns_with_tm: bool = True
    """Whether Scheduler or Folder Monitor may start by themselves when their Transaction Manager
    starts (section 7); false only where this site has proven that they stay stopped: then a rejoin
    does not pause scheduling on the active cluster."""
    stop_target_monitors: bool = False
    """Whether stage 1 stops the target's Monitors too ("if applicable", section 2)."""
    approve_before: tuple[StageName, ...] = ()
    """Stages that always wait for an approval here, whatever a request says."""
    approvals: Approvals = Approvals()
    change_window: ChangeWindow | None = None
    """Outside it, stages 1 to 3 wait for an approval, or for the window."""
    webhook: Webhook | None = None
    limits: Limits = Limits()
    taeh: Literal["everywhere", "by_kind"] = "everywhere"
    """Whether all nodes share one ``taeh`` file, or Servers one and Edges one (section 9)."""
    checks: dict[CheckName, Adjusted] = {}
    """Checks with another severity at this site, by name."""

    @model_validator(mode="before")
    @classmethod
    def _spread_defaults(cls, given: Any) -> Any:  # noqa: ANN401 - raw input, whatever it is
        """Lay ``defaults`` under every node, so that a file says a thing once."""
        if not isinstance(given, dict) or "defaults" not in given:
            return given
        defaults = given["defaults"]
        if not isinstance(defaults, dict):
            raise ValueError("defaults: expected the keys of a node")  # noqa: TRY004 - pydantic's
        if _keys(defaults) > MAX_DEFAULTS:
            raise ValueError(f"defaults: there are more than {MAX_DEFAULTS} keys")
        clusters = given.get("clusters")
        if not isinstance(clusters, list | tuple):
            return given
        spread = [
            {**c, "nodes": [_under(defaults, n) for n in c["nodes"]]}
            if isinstance(c, dict) and _is_spread(c.get("nodes"))
            else c
            for c in clusters
        ]
        return {k: v for k, v in given.items() if k != "defaults"} | {"clusters": spread}

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for objection in chain(self._names(), self._addresses(), self._references()):
            raise ValueError(objection)
        return self

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every SecureTransport machine of both clusters."""
        return tuple(chain.from_iterable(cluster.nodes for cluster in self.clusters))

    def cluster(self, name: str) -> Cluster:
        """Return the cluster of that name; KeyError where there is none."""
        return {cluster.name: cluster for cluster in self.clusters}[name]

    def node(self, name: str) -> Node:
        """Return the node of that name; KeyError where there is none."""
        return {node.name: node for node in self.nodes}[name]

    def cluster_of(self, node: str) -> Cluster:
        """Return the cluster that node belongs to; KeyError where there is none."""
        return {n.name: cluster for cluster in self.clusters for n in cluster.nodes}[node]

    @property
    def task_queues(self) -> tuple[str, ...]:
        """The clusters' own task queues, each once."""
        queues = (cluster.task_queue for cluster in self.clusters)
        return tuple(dict.fromkeys(queue for queue in queues if queue is not None))

    def task_queue_of(self, node: str) -> str | None:
        """Return the own queue of a node's cluster; None where it has none."""
        return self.cluster_of(node).task_queue

    def without_markers(self) -> "Estate":
        """Return it without the marker files by which stage 0 may measure a storage's delay."""
        clusters = (c.model_copy(update={"storage_markers": None}) for c in self.clusters)
        return self.model_copy(update={"clusters": tuple(clusters)})

    def link(self, name: str) -> ReplicationLink:
        """Return the replication link of that name; KeyError where there is none."""
        return self.replication.link(name)

    def publisher(self, link: str) -> Database:
        """Return the database that a replication link reads from."""
        return self.cluster(self.link(link).source).database

    def subscriber(self, link: str) -> Database:
        """Return the database that a replication link writes to."""
        return self.cluster(self.link(link).target).database

    def probe(self, protocol: Protocol) -> Probe:
        """Return the probe of that protocol; KeyError where there is none."""
        probes: dict[Protocol, Probe] = {p.protocol: p for p in self.load_balancer.probes}
        return probes[protocol]

    def _names(self) -> Iterator[str]:
        places = [
            *(cluster.name for cluster in self.clusters),
            *(node.name for node in self.nodes),
            *(cluster.database.name for cluster in self.clusters),
            *self.load_balancer.places,
        ]
        for name in _repeated(places):
            yield f"the name {name} is given twice; every place has its own"
        if _repeated([link.name for link in self.replication.links]):
            yield "two replication links have the same name"

    def _addresses(self) -> Iterator[str]:
        owner: dict[tuple[object, ...], str] = {}
        for node in self.nodes:
            address, port = node.address, node.ssh.port
            # Behind other jump hosts the same address may be another machine.
            other = owner.setdefault((address, port, node.ssh.jump), node.name)
            if other != node.name:
                yield (
                    f"{node.name} and {other} are the same machine ({address}:{port}); "
                    "clusters share no node"
                )

    def _references(self) -> Iterator[str]:
        clusters = {cluster.name for cluster in self.clusters}
        yield from (f"load_balancer.{one}" for one in self.load_balancer.mistakes(clusters))
        for link in self.replication.links:
            if {link.source, link.target} != clusters:
                yield f"replication link {link.name} must lead from one cluster to the other"
        probed = {probe.protocol for probe in self.load_balancer.probes}
        served = {p for cluster in self.clusters for edge in cluster.edges for p in edge.protocols}
        for protocol in sorted((served & {Protocol.SSH, Protocol.HTTP}) - probed):
            yield (
                f"load_balancer.probes has none for {protocol}, which the Edges serve; "
                "without it no check can tell where that traffic goes"
            )


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _keys(given: dict[str, Any]) -> int:
    return len(given) + sum(len(below) for below in given.values() if isinstance(below, dict))


def _is_spread(nodes: Any) -> bool:  # noqa: ANN401 - raw input, whatever it is
    """Whether defaults are laid under each: so many nodes times so many keys have room."""
    return isinstance(nodes, list | tuple) and len(nodes) <= MAX_NODES


def _under(defaults: dict[str, Any], given: Any) -> Any:  # noqa: ANN401 - raw input, whatever it is
    if not isinstance(given, dict):
        return given
    merged = defaults | given
    for key in defaults.keys() & given.keys():
        if isinstance(defaults[key], dict) and isinstance(given[key], dict):
            merged[key] = defaults[key] | given[key]
    return merged
