"""What must hold before, and while, traffic is moved: readings in, findings out. Pure.

A prerequisite holds *until* a stage whose work ends it: replication runs until it is suspended.
That is how the same list serves stage 0 and the look again after a long wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from workflows.estate import Cluster, Estate, Kind, Node, Protocol
from workflows.plan import Plan
from workflows.reports import (
    DOWN,
    PROTOCOL_SERVERS,
    SCHEDULING,
    Finding,
    NodeReading,
    Reading,
    ReplicationReading,
    Service,
    Severity,
    State,
    TrafficReading,
)
from workflows.stages import Slug
from workflows.tables import left_out


@dataclass(frozen=True)
class Seen:
    """Everything that was read, beside what it is held against."""

    plan: Plan
    readings: tuple[Reading, ...]

    @property
    def estate(self) -> Estate:
        """The plan's snapshot."""
        return self.plan.estate

    @property
    def source(self) -> Cluster:
        """The cluster that traffic leaves."""
        return self.estate.cluster(self.plan.source)

    @property
    def target(self) -> Cluster:
        """The cluster that traffic reaches."""
        return self.estate.cluster(self.plan.target)

    def of(self, cluster: Cluster) -> Iterator[tuple[Node, NodeReading]]:
        """Yield each node of the cluster that could be read at all, with its reading."""
        readings = {r.place: r for r in self.readings if isinstance(r, NodeReading)}
        for node in cluster.nodes:
            if node.name in readings and readings[node.name].services:
                yield node, readings[node.name]


@dataclass(frozen=True)
class Prerequisite:
    """Something that must hold until *until* has begun; None means all the way."""

    until: Slug | None
    objections: Callable[[Seen], Iterable[Finding]]


def objections(
    plan: Plan, readings: Sequence[Reading], begun: frozenset[Slug] = frozenset()
) -> tuple[Finding, ...]:
    """Everything that speaks against going on, given which stages have begun."""
    seen = Seen(plan, tuple(readings))
    trouble = chain.from_iterable(reading.trouble for reading in readings)
    found = chain.from_iterable(
        prerequisite.objections(seen)
        for prerequisite in PREREQUISITES
        if prerequisite.until not in begun
    )
    return (*trouble, *found)


def blocking(findings: Iterable[Finding], accepted: Iterable[str] = ()) -> tuple[Finding, ...]:
    """The findings that stop a run, less those that someone accepted with a reason."""
    standing = set(accepted)
    return tuple(
        finding
        for finding in findings
        if finding.severity is Severity.BLOCKS
        and not (finding.name in standing and finding.name in ACCEPTABLE)
    )


ACCEPTABLE = frozenset(
    {"service_unreadable", "target_has_sessions", "monitor_not_running", "clock_out_of_step"}
)
"""What an operator may let stand with a reason; the rest would break the promise."""


def _protocol_servers_run(seen: Seen, cluster: Cluster, role: str) -> Iterator[Finding]:
    for node, reading in seen.of(cluster):
        for protocol in node.protocols:
            state = reading.services.get(Service(protocol.value), State.UNKNOWN)
            if state is State.UNKNOWN:
                continue  # said by unreadable_services, with the node's own words
            if state is not State.RUNNING:
                yield Finding(
                    name="protocol_server_not_running",
                    place=node.name,
                    seen=f"{protocol} {state}",
                    expected=f"{protocol} running, as the estate says the {role} serves it",
                    advice=f"start it, or take {protocol} out of the node's protocols",
                )


def source_protocol_servers(seen: Seen) -> Iterator[Finding]:
    """The source serves what the estate says."""
    return _protocol_servers_run(seen, seen.source, "source")


def target_protocol_servers(seen: Seen) -> Iterator[Finding]:
    """The target is up: it must serve from the first connection on."""
    return _protocol_servers_run(seen, seen.target, "target")


def unlisted_protocol_servers(seen: Seen) -> Iterator[Finding]:
    """A protocol server that the estate does not know would never be drained."""
    for node, reading in seen.of(seen.source):
        for service in PROTOCOL_SERVERS:
            listed = Protocol(service.value) in node.protocols
            if not listed and reading.services.get(service) is State.RUNNING:
                yield Finding(
                    name="protocol_server_not_in_estate",
                    place=node.name,
                    seen=f"{service} running",
                    expected="only the protocol servers that the estate lists",
                    advice=f"add {service} to the node's protocols, or stop it",
                )


def transaction_managers(seen: Seen) -> Iterator[Finding]:
    """Every Server's Transaction Manager runs, on both sides."""
    for cluster in (seen.source, seen.target):
        for node, reading in seen.of(cluster):
            state = reading.services.get(Service.TRANSACTION_MANAGER, State.UNKNOWN)
            if node.kind is Kind.SERVER and state not in (State.RUNNING, State.UNKNOWN):
                yield Finding(
                    name="transaction_manager_not_running",
                    place=node.name,
                    seen=f"the Transaction Manager {state}",
                    expected="running on every Server of both clusters",
                    advice="start it with start_tm and check again",
                )


def source_scheduling(seen: Seen) -> Iterator[Finding]:
    """Scheduler and Folder Monitor run somewhere on the source: it is the active side."""
    for service in SCHEDULING:
        states = [
            reading.services.get(service, State.UNKNOWN)
            for node, reading in seen.of(seen.source)
            if node.kind is Kind.SERVER
        ]
        if states and State.RUNNING not in states and State.UNKNOWN not in states:
            yield Finding(
                name="source_not_active",
                place=seen.source.name,
                seen=f"{service} running on no Server",
                expected=f"{service} running: {seen.source.name} is to be the active cluster",
                advice="look whether source and target are the right way round",
            )


def target_scheduling(seen: Seen) -> Iterator[Finding]:
    """Scheduling never runs on both clusters, and the target's can be started."""
    for node, reading in seen.of(seen.target):
        for service in SCHEDULING:
            state = reading.services.get(service)
            if state is State.RUNNING:
                yield Finding(
                    name="target_not_idle",
                    place=node.name,
                    seen=f"{service} running",
                    expected="Scheduler and Folder Monitor stopped on the passive cluster",
                    advice="stop it; look whether source and target are the right way round",
                )
            if state is State.DISABLED:
                yield Finding(
                    name="scheduling_disabled",
                    place=node.name,
                    seen=f"{service} disabled by its option",
                    expected="an option that lets it start",
                    advice="set Scheduler.enable and FolderMonitor.enable to true",
                )


def target_sessions(seen: Seen) -> Iterator[Finding]:
    """No client is on the target yet."""
    for node, reading in seen.of(seen.target):
        if reading.sessions:
            yield Finding(
                name="target_has_sessions",
                place=node.name,
                seen=f"{reading.sessions} client connections",
                expected="none on the passive cluster",
                advice="find out who connects past the load balancer, or list it in ignored_peers",
            )


def unreadable_services(seen: Seen) -> Iterator[Finding]:
    """A service whose state nobody understands is neither running nor stopped."""
    for node, reading in chain(seen.of(seen.source), seen.of(seen.target)):
        for service, state in reading.services.items():
            if state is State.UNKNOWN:
                yield Finding(
                    name="service_unreadable",
                    place=node.name,
                    seen=f"{service}: {reading.words.get(service, 'no answer')!r}",
                    expected="a status that is known",
                    advice="ask the node by hand; report the words if they are the vendor's",
                )


def one_taeh(seen: Seen) -> Iterator[Finding]:
    """Both clusters share one ``taeh`` file (section 9: the strict reading)."""
    digests: dict[str, list[str]] = {}
    for node, reading in chain(seen.of(seen.source), seen.of(seen.target)):
        if reading.taeh is not None:
            digests.setdefault(reading.taeh, []).append(node.name)
    if len(digests) < 2:  # noqa: PLR2004 - one digest everywhere, or none to compare
        return
    common = max(digests, key=lambda digest: len(digests[digest]))
    for digest, nodes in digests.items():
        if digest != common:
            for name in nodes:
                yield Finding(
                    name="taeh_differs",
                    place=name,
                    seen=f"taeh with SHA-256 {digest[:12]}...",
                    expected=f"{common[:12]}..., as on {', '.join(digests[common])}",
                    advice="the clusters cannot read each other's files; install the same taeh",
                )


def one_version(seen: Seen) -> Iterator[Finding]:
    """Both clusters run the same version and update level."""
    versions = {
        node.name: reading.version
        for node, reading in chain(seen.of(seen.source), seen.of(seen.target))
        if reading.version is not None
    }
    wanted = list(versions.values())
    for name, version in versions.items():
        if version != max(wanted, key=wanted.count):
            yield Finding(
                name="version_differs",
                place=name,
                seen=version,
                expected=max(wanted, key=wanted.count),
                advice="bring both clusters to the same update level first",
            )


def replication_runs(seen: Seen) -> Iterator[Finding]:
    """Replication runs from active to passive, and nothing strange happens on the way back."""
    for reading in seen.readings:
        if not isinstance(reading, ReplicationReading) or reading.enabled is None:
            continue
        link = seen.estate.link(reading.place)
        broken = not reading.enabled or not reading.running
        if broken:
            yield Finding(
                name="replication_not_running",
                place=link.name,
                seen="disabled" if not reading.enabled else "enabled, but its worker does not run",
                expected=f"running from {link.source} to {link.target}",
                advice="resume it and let it catch up; look at the subscriber's log",
            )


def replicated_tables(seen: Seen) -> Iterator[Finding]:
    """The tables that must not be replicated are not, nor their daily partitions."""
    profile = seen.estate.replication.profile
    for reading in seen.readings:
        if isinstance(reading, ReplicationReading):
            carried = sorted(table for table in reading.tables if left_out(table, profile))
            if carried:
                yield Finding(
                    name="excluded_tables_replicated",
                    place=reading.place,
                    seen=f"the publication carries {', '.join(carried)}",
                    expected=f"none of profile {profile}",
                    advice="drop them from the publication before anything else",
                )


def traffic_on_source(seen: Seen) -> Iterator[Finding]:
    """The load balancer sends traffic to the source now, by its hosts file and by a real login."""
    names = seen.estate.load_balancer.names
    for reading in seen.readings:
        if not isinstance(reading, TrafficReading):
            continue
        for name, address in reading.resolves_to.items():
            wanted = names[name][seen.source.name]
            if address != wanted:
                yield Finding(
                    name="traffic_not_on_source",
                    place=reading.place,
                    seen=f"{name} is {address}",
                    expected=f"{wanted}, on {seen.source.name}",
                    advice="look whether source and target are the right way round",
                )
        for protocol, node in reading.lands_on.items():
            if seen.estate.cluster_of(node).name != seen.source.name:
                yield Finding(
                    name="traffic_not_on_source",
                    place=reading.place,
                    seen=f"a {protocol} login landed on {node}",
                    expected=f"a node of {seen.source.name}",
                    advice="find out why traffic does not follow the load balancer's hosts file",
                )


def short_timeouts(seen: Seen) -> Iterator[Finding]:
    """A configured graceful timeout below a minute cuts transfers when anyone else stops it."""
    for node, reading in seen.of(seen.source):
        for option, value in sorted(reading.graceful_timeouts.items()):
            if value.isdigit() and int(value) < 60:  # noqa: PLR2004 - a minute, in seconds
                yield Finding(
                    name="graceful_timeout_short",
                    place=node.name,
                    seen=f"{option} is {value} s",
                    expected="at least 60 s",
                    advice="a switchover passes its own timeout; a stop by hand would not",
                    severity=Severity.WARNS,
                )


def monitors_down(seen: Seen) -> Iterator[Finding]:
    """A Monitor that does not run before a switchover is worth knowing, and will stay down."""
    for node, reading in seen.of(seen.source):
        if reading.services.get(Service.MONITOR) in DOWN:
            yield Finding(
                name="monitor_not_running",
                place=node.name,
                seen="the Monitor down",
                expected="running, as on a cluster that serves",
                advice="nothing restarts a service that dies; start it if that is not meant",
                severity=Severity.WARNS,
            )


def clocks_in_step(seen: Seen) -> Iterator[Finding]:
    """The nodes' clocks agree with the worker's, so that times can be compared."""
    for node, reading in chain(seen.of(seen.source), seen.of(seen.target)):
        ahead = reading.clock_ahead
        if ahead is not None and abs(ahead.total_seconds()) > 5:  # noqa: PLR2004 - seconds
            yield Finding(
                name="clock_out_of_step",
                place=node.name,
                seen=f"{ahead.total_seconds():+.0f} s from the worker's clock",
                expected="within 5 s",
                advice="let the node's time service catch up",
                severity=Severity.WARNS,
            )


PREREQUISITES = (
    Prerequisite(None, unreadable_services),
    Prerequisite(None, target_protocol_servers),
    Prerequisite(Slug.DRAIN_PROTOCOL_SERVERS, source_protocol_servers),
    Prerequisite(Slug.DRAIN_PROTOCOL_SERVERS, unlisted_protocol_servers),
    Prerequisite(Slug.DRAIN_TRANSACTION_MANAGER, transaction_managers),
    Prerequisite(Slug.STOP_SCHEDULING, source_scheduling),
    Prerequisite(Slug.START_SCHEDULING, target_scheduling),
    Prerequisite(Slug.REDIRECT_TRAFFIC, target_sessions),
    Prerequisite(None, one_taeh),
    Prerequisite(None, one_version),
    Prerequisite(Slug.SUSPEND_REPLICATION, replication_runs),
    Prerequisite(Slug.SUSPEND_REPLICATION, replicated_tables),
    Prerequisite(Slug.REDIRECT_TRAFFIC, traffic_on_source),
    Prerequisite(None, short_timeouts),
    Prerequisite(Slug.STOP_MONITORS, monitors_down),
    Prerequisite(None, clocks_in_step),
)
