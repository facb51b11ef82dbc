"""Check the invariants after every effect and in every sample.

1. At most one cluster runs scheduling.
2. Traffic goes to a cluster that serves every protocol.
3. A Transaction Manager stops only after the protocol servers that use it.
4. Traffic is not redirected while databases replicate; file replication always runs.
5. Nothing is stopped on the cluster that serves in the end: on a switchover's target except
   Monitors and what this run started, on a rejoin's active cluster except scheduling.
6. A graceful stop begins only while the node's Monitor is down, which then stays down.
7. A pending graceful stop is neither repeated nor overtaken by a start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from lab.checker.expected import Variant
from lab.checker.links import subscription_of
from lab.node import services
from lab.recorder.effects import Effect, RecordedEffect
from lab.recorder.samples import Sample
from workflows.model.estate import Cluster, Estate, Node
from workflows.model.stages import Procedure

SCHEDULING = tuple(services.SCHEDULING.values())


@dataclass(frozen=True)
class Violation:
    """One invariant, broken."""

    at: float
    number: int
    message: str

    def __str__(self) -> str:
        return f"invariant {self.number}: {self.message}"


@dataclass(frozen=True)
class Roles:
    """An estate and which of its clusters traffic leaves and reaches.

    In a rejoin the source is the active cluster, and the target the one that comes back.
    """

    estate: Estate
    source: str
    target: str
    variant: Variant = "by_stage"
    procedure: Procedure = "switchover"

    def before_manager(self, server: str) -> set[str]:
        """The nodes whose protocol servers end before this Server's Transaction Manager."""
        cluster = self.estate.cluster_of(server)
        if self.variant == "by_stage":
            return {node.name for node in cluster.nodes}
        return {server, *(edge.name for edge in cluster.edges)}

    def protocol_servers(self, node: Node) -> list[str]:
        """The protocol servers that run on such a node in the baseline."""
        return [s for s in services.baseline(node.kind.value) if s in services.PROTOCOLS]

    def client_facing_nodes(self, cluster: Cluster) -> tuple[Node, ...]:
        """The nodes that clients reach."""
        return cluster.edges or cluster.servers

    @property
    def kept(self) -> Cluster:
        """The cluster that serves in the end: nothing of it is stopped."""
        return self.estate.cluster(self.source if self.procedure == "rejoin" else self.target)

    @property
    def kept_nodes(self) -> set[str]:
        """The names of its nodes."""
        return {node.name for node in self.kept.nodes}


@dataclass
class EstateState:
    """Which services run, and where traffic goes, between two effects."""

    roles: Roles
    running: set[tuple[str, str]] = field(default_factory=set)
    draining: set[tuple[str, str]] = field(default_factory=set)
    replicating: set[str] = field(default_factory=set)
    traffic: str = ""
    started: set[tuple[str, str]] = field(default_factory=set)
    """What this run has started on the cluster that serves in the end."""

    @classmethod
    def before(cls, roles: Roles) -> EstateState:
        """The source is active; the target runs as well, or it is drained and comes back."""
        estate, source = roles.estate, roles.estate.cluster(roles.source)
        drained = roles.procedure == "rejoin"
        up = source.nodes if drained else estate.nodes
        running = {(n.name, s) for n in up for s in services.baseline(n.kind.value)}
        running |= {(server.name, s) for server in source.servers for s in SCHEDULING}
        every = () if drained else estate.replication.links
        links = {subscription_of(link) for link in every}
        return cls(roles, running, set(), links, roles.source)

    def apply(self, effect: Effect) -> None:
        """Make the effect true."""
        service = (effect.place, effect.service)
        match effect.effect:
            case "start":
                self.running.add(service)
                if effect.place in self.roles.kept_nodes:
                    self.started.add(service)
            case "stop" | "stopped" | "died":
                self.running.discard(service)
                self.draining.discard(service)
            case "drain" if service in self.running:
                self.draining.add(service)
            case "disable":
                self.replicating.discard(effect.service)
            case "enable":
                self.replicating.add(effect.service)
            case "redirect":
                self.traffic = effect.to

    def serves(self, cluster: Cluster) -> bool:
        """Whether some node serves each protocol to new clients."""
        client_facing_nodes = self.roles.client_facing_nodes(cluster)
        return all(
            any((n.name, p) in self.running - self.draining for n in client_facing_nodes)
            for p in self.roles.protocol_servers(client_facing_nodes[0])
        )

    def protocol_servers_up(self, names: set[str]) -> list[str]:
        """Every protocol server of these nodes that runs, draining or not."""
        return sorted(f"{n} {s}" for n, s in self.running if n in names and s in services.PROTOCOLS)


Rule = Callable[[EstateState, RecordedEffect], str | None]


def _manager_before_protocols(state: EstateState, recorded: RecordedEffect) -> str | None:
    effect = recorded.effect
    if effect.service != "tm" or effect.effect not in ("stop", "drain"):
        return None
    up = state.protocol_servers_up(state.roles.before_manager(effect.place))
    return f"{effect} while {', '.join(up)} ran" if up else None


def _traffic_while_replicating(state: EstateState, recorded: RecordedEffect) -> str | None:
    if recorded.effect.effect != "redirect" or not recorded.changed or not state.replicating:
        return None
    return f"{recorded.effect} while {', '.join(sorted(state.replicating))} replicated"


def _kept_stopped(state: EstateState, recorded: RecordedEffect) -> str | None:
    effect = recorded.effect
    stops = effect.effect in ("stop", "drain", "stopped") and recorded.changed
    if not stops or effect.place not in state.roles.kept_nodes:
        return None
    ours = (effect.place, effect.service) in state.started
    if state.roles.procedure == "rejoin":
        allowed = effect.service in SCHEDULING
    else:
        allowed = effect.service == "monitor" or (ours and effect.service in SCHEDULING)
    return None if allowed else f"{recorded} on {state.roles.kept.name}"


def _drain_under_monitor(state: EstateState, recorded: RecordedEffect) -> str | None:
    effect = recorded.effect
    watched = (effect.place, "monitor") in state.running
    if effect.effect == "drain" and watched:
        return f"{effect} while the Monitor ran"
    pending = sorted(service for place, service in state.draining if place == effect.place)
    if (effect.service, effect.effect) == ("monitor", "start") and pending and recorded.changed:
        return f"{effect} while {', '.join(pending)} stopped gracefully"
    return None


def _pending_stop_disturbed(state: EstateState, recorded: RecordedEffect) -> str | None:
    effect = recorded.effect
    pending = (effect.place, effect.service) in state.draining
    if not pending or effect.effect not in ("drain", "start"):
        return None
    return f"{effect} while its graceful stop was pending"


ON_EFFECT: tuple[tuple[int, Rule], ...] = (
    (3, _manager_before_protocols),
    (4, _traffic_while_replicating),
    (5, _kept_stopped),
    (6, _drain_under_monitor),
    (7, _pending_stop_disturbed),
)


def in_intervals(roles: Roles, record: Iterable[RecordedEffect]) -> tuple[int, list[Violation]]:
    """Judge every effect and what held after it; return how many judgements, and the bad ones."""
    state = EstateState.before(roles)
    judged, found, lasting = 0, [], set(_between(state))
    for recorded in record:
        for number, judge in ON_EFFECT:
            judged += 1
            if message := judge(state, recorded):
                found.append(Violation(recorded.at, number, message))
        state.apply(recorded.effect)
        now = set(_between(state))
        judged += 2
        # What lasts for several intervals is one violation.
        found += [Violation(recorded.at, *broken) for broken in sorted(now - lasting)]
        lasting = now
    return judged, found


def _between(state: EstateState) -> Iterator[tuple[int, str]]:
    clusters = state.roles.estate.clusters
    schedules = [
        cluster.name
        for cluster in clusters
        if any((s.name, word) in state.running for s in cluster.servers for word in SCHEDULING)
    ]
    if len(schedules) > 1:
        yield 1, f"scheduling runs on {' and '.join(schedules)}"
    serving = [cluster.name for cluster in clusters if state.serves(cluster)]
    if state.traffic not in serving:
        yield 2, f"traffic goes to {state.traffic or 'nowhere'}, which does not serve"


def in_samples(roles: Roles, samples: Iterable[Sample]) -> tuple[int, list[Violation]]:
    """Judge what was really seen; return how many judgements, and the bad ones."""
    judged, found, lasting = 0, [], set[tuple[int, str]]()
    before: Sample | None = None
    for sample in samples:
        now = set(_seen(roles, sample, before or sample))
        before = sample
        judged += 5
        found += [Violation(sample.at, *broken) for broken in sorted(now - lasting)]
        lasting = now
    return judged, found


def _seen(roles: Roles, sample: Sample, before: Sample) -> Iterator[tuple[int, str]]:
    clusters = roles.estate.clusters
    schedules = [c.name for c in clusters if any(sample.scheduling[s.name] for s in c.servers)]
    if len(schedules) > 1:
        yield 1, f"scheduling was seen on {' and '.join(schedules)}"
    if not sample.traffic or not _serves(roles, sample):
        yield 2, f"traffic went to {sample.traffic or 'nowhere'}, which was seen not to serve"
    for cluster in clusters:
        # One that does not run yet, on a node that is being started, was not stopped.
        stopped = [
            server.name
            for server in cluster.servers
            if "tm" in before.running[server.name] and "tm" not in sample.running[server.name]
        ]
        for server in stopped:
            names = roles.before_manager(server)
            if any(p in services.PROTOCOLS for name in names for p in sample.running[name]):
                yield 3, f"{server} was seen to lose its Transaction Manager under protocol servers"
    if not sample.synced:
        yield 4, "the file replication was seen not to run"
    for node in roles.kept.nodes:
        missing = {*services.baseline(node.kind.value)} - {"monitor", *sample.running[node.name]}
        if missing:
            yield 5, f"{node.name} was seen without {', '.join(sorted(missing))}"


def _serves(roles: Roles, sample: Sample) -> bool:
    """Whether every cluster serves that traffic goes to: one, or both during a redirect."""
    return all(
        any(protocol in sample.serving[node.name] for node in nodes)
        for cluster in sample.traffic.split(" and ")
        for nodes in [roles.client_facing_nodes(roles.estate.cluster(cluster))]
        for protocol in roles.protocol_servers(nodes[0])
    )
