"""The plan of a run: which actions, in which stages and waves, for which estate."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, zip_longest
from operator import add
from typing import Literal

from workflows.errors import BadInput
from workflows.model import actions
from workflows.model.base import Value
from workflows.model.estate import Cluster, Estate, Node, Protocol
from workflows.model.request import Request
from workflows.model.results import UNDO
from workflows.model.seals import Seals
from workflows.model.site_policy import Approvals
from workflows.model.stages import TITLES, Procedure, StageName
from workflows.planning.approvals import gates_of, stricter
from workflows.planning.replication_slots import begin_slots

Wave = tuple[actions.Action, ...]
"""Actions that run side by side; all of them finish before they are judged together."""


class Stage(Value):
    """One numbered stage of the manual, or a part of it."""

    name: StageName
    gated: bool = False
    """Whether it needs an approval before it begins."""
    waves: tuple[Wave, ...]
    undo: bool = False
    """Whether this rolls back the stage of that name."""

    @property
    def key(self) -> str:
        """The stage's id within a run; part of the ids of its operations."""
        return f"{self.name}{UNDO}" if self.undo else self.name.value

    @property
    def title(self) -> str:
        """What the stage is for, as in the table of the README."""
        return f"Roll back: {TITLES[self.name]}" if self.undo else TITLES[self.name]

    @property
    def actions(self) -> Wave:
        """Every action of the stage, wave by wave."""
        return tuple(action for wave in self.waves for action in wave)


class Chain(Value):
    """Stages, or parts of them, that run one after the other beside other chains."""

    after: tuple[int, ...] = ()
    """Positions of the earlier chains that must have ended before this one begins."""
    stages: tuple[Stage, ...]


class Parallel(Value):
    """Chains that run side by side; all of them end before the plan continues."""

    chains: tuple[Chain, ...]

    @property
    def stages(self) -> Iterable[Stage]:
        """What all chains together do of each stage, wave by wave.

        What waits for another chain comes in a later wave than that chain's part of the stage.
        """
        ends: list[Counter[StageName]] = []
        parts = []
        for one in self.chains:
            end = Counter[StageName]()
            for earlier in one.after:
                end |= ends[earlier]
            for stage in one.stages:
                waves = ((),) * end[stage.name] + stage.waves
                parts.append(stage.model_copy(update={"waves": waves}))
                end[stage.name] = len(waves)
            ends.append(end)
        return _joined(parts, _wave_by_wave)


class Plan(Value):
    """A run as it is executed: a snapshot of the estate, and its actions."""

    procedure: Procedure = "switchover"
    estate: Estate
    source: str
    """The cluster that traffic leaves; of a rejoin, the active one."""
    target: str
    """The cluster that traffic reaches; of a rejoin, the one that comes back."""
    variant: Literal["by_stage", "by_node"] = "by_stage"
    approvals: Approvals = Approvals()
    """The stricter of the estate's and the request's."""
    sequence: tuple[Stage | Parallel, ...]
    """What is executed, step by step."""
    seals: Seals = Seals()
    """Of the estate's parts, for the run that the plan was made for; no part of what is planned."""

    @property
    def hash(self) -> str:
        """SHA-256 over the whole plan: equal hashes mean the same actions on the same estate."""
        return hashlib.sha256(self.model_dump_json(exclude={"seals"}).encode()).hexdigest()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The ten stages by number, each with all its parts."""
        parts = chain.from_iterable(
            step.stages if isinstance(step, Parallel) else (step,) for step in self.sequence
        )
        return tuple(sorted(_joined(parts, add), key=lambda stage: stage.name.number))

    def stage(self, name: StageName) -> Stage:
        """Return the stage of that name, with all its parts."""
        return {stage.name: stage for stage in self.stages}[name]


def _joined(
    parts: Iterable[Stage], join: Callable[[tuple[Wave, ...], tuple[Wave, ...]], tuple[Wave, ...]]
) -> Iterable[Stage]:
    """Join the parts of the same stage."""
    whole: dict[StageName, Stage] = {}
    for part in parts:
        known = whole.setdefault(part.name, part)
        if known is not part:
            waves, gated = join(known.waves, part.waves), known.gated or part.gated
            whole[part.name] = known.model_copy(update={"waves": waves, "gated": gated})
    return whole.values()


def _wave_by_wave(one: tuple[Wave, ...], other: tuple[Wave, ...]) -> tuple[Wave, ...]:
    return tuple(a + b for a, b in zip_longest(one, other, fillvalue=()))


def plan_switchover(estate: Estate, request: Request) -> Plan:
    """Plan the actions of the manual for this estate (docs/securetransport.md, section 2).

    Raises:
        BadInput: the request names a cluster that the estate does not have, or a gate before the
            prerequisites.
    """
    names = [cluster.name for cluster in estate.clusters]
    for role, name in (("source", request.source), ("target", request.target)):
        if name not in names:
            raise BadInput(
                f"{role}: estate {estate.name} has no cluster {name}; it has {' and '.join(names)}"
            )
    gates = gates_of("switchover", estate, request)
    source, target = estate.cluster(request.source), estate.cluster(request.target)
    stages = _stages(estate, source, target)
    if request.variant == "by_node":
        # Each Server's chain waits for the queue by itself.
        verify, _, *rest = stages[StageName.DRAIN_TRANSACTION_MANAGER]
        queues = on(source.servers, actions.AwaitQueue)
        stages[StageName.DRAIN_TRANSACTION_MANAGER] = (verify, queues, *rest)
    whole = tuple(
        Stage(name=name, gated=name in gates, waves=tuple(filter(None, waves)))
        for name, waves in stages.items()
    )
    return Plan(
        estate=estate,
        source=request.source,
        target=request.target,
        variant=request.variant,
        approvals=stricter(estate.approvals, request),
        sequence=_by_node(whole, source) if request.variant == "by_node" else whole,
    )


def _by_node(stages: Sequence[Stage], source: Cluster) -> tuple[Stage | Parallel, ...]:
    """Move scheduling, then let each source Server drain and stop at its own pace (section 2)."""
    *before, drain, managers, remaining, monitors = stages
    verify_stop = managers.model_copy(update={"waves": managers.waves[:-1]})
    last_readings = managers.model_copy(update={"waves": managers.waves[-1:], "gated": False})
    edges = {node.name for node in source.edges}
    reader = source.servers[0].name
    verify_edges = _part(verify_stop, edges).model_copy(update={"gated": False})
    chains: list[Chain] = []

    def add_chain(*parts: Stage, after: Iterable[int] = ()) -> int:
        chains.append(Chain(after=tuple(after), stages=parts))
        return len(chains) - 1

    drained = [add_chain(_part(drain, edges), verify_edges)] if edges else []
    down = []
    for server in source.servers:
        own = {server.name}
        protocols = add_chain(_part(drain, own))
        stop = () if server.name == reader else (_part(remaining, own),)
        down.append(add_chain(_part(verify_stop, own), *stop, after=(*drained, protocols)))
    # What is left behind is read at the end, and over an admin API. A Transaction Manager that
    # still works may reach its partners through the Edges' proxies.
    add_chain(last_readings, _part(remaining, {reader, *edges}), after=down)
    return (*before, Parallel(chains=tuple(chains)), monitors)


def _part(stage: Stage, nodes: set[str]) -> Stage:
    """Return the part of a stage that concerns these nodes."""
    waves = (tuple(action for action in wave if action.place in nodes) for wave in stage.waves)
    return stage.model_copy(update={"waves": tuple(filter(None, waves))})


def _stages(estate: Estate, source: Cluster, target: Cluster) -> dict[StageName, tuple[Wave, ...]]:
    timing, first = estate.timing, source.servers[:1]
    monitored = source.nodes + (target.nodes if estate.stop_target_monitors else ())
    return {
        StageName.CHECK_PREREQUISITES: _observations(estate, source, target),
        StageName.STOP_MONITORS: (on(monitored, actions.StopMonitor),),
        StageName.SUSPEND_REPLICATION: (
            tuple(actions.SuspendReplication(link=link.name) for link in estate.replication.links),
            begin_slots(estate, target.name),
        ),
        StageName.REDIRECT_TRAFFIC: _redirect(estate, source, target),
        StageName.STOP_SCHEDULING: (
            on(source.servers, actions.StopScheduling),
            # A Folder Monitor that was stopped on one Server may have moved to another.
            on(source.servers, actions.VerifySchedulingStopped),
        ),
        StageName.START_SCHEDULING: (
            # The queue is the cluster's: one Server sees all of it.
            on(first, actions.AwaitInFlightEvents),
            on(target.servers, actions.StartScheduling),
        ),
        StageName.DRAIN_PROTOCOL_SERVERS: (
            on(source.nodes, actions.AwaitSessions),
            tuple(
                actions.StopGracefully(node=node.name, protocol=protocol, grace=timing.grace)
                for node in source.nodes
                for protocol in Protocol
                if protocol in node.protocols
            ),
        ),
        StageName.DRAIN_TRANSACTION_MANAGER: (
            on(source.nodes, actions.VerifyStopped),
            on(first, actions.AwaitQueue),
            tuple(
                actions.StopTransactionManager(
                    node=node.name, grace=timing.transaction_manager_grace
                )
                for node in source.servers
            ),
            # Now admin is still up, and no node of this cluster writes any more.
            (
                *on(first, actions.FindOrphanedFiles),
                *on(first, actions.FindUnfinishedWork),
                *(actions.CountRecords(node=node.name, cluster=source.name) for node in first),
            ),
        ),
        StageName.STOP_REMAINING_SERVICES: (on(source.nodes, actions.StopRemaining),),
        StageName.RESTORE_MONITORS: (
            on((node for node in monitored if node in target.nodes), actions.StartMonitor),
        ),
    }


def on(nodes: Iterable[Node], kind: Callable[..., actions.Action]) -> Wave:
    """Return an action of that kind on each of the nodes."""
    return tuple(kind(node=node.name) for node in nodes)


def observations_of_links_and_traffic(estate: Estate) -> Wave:
    """Return the observations of what leads from one cluster to the other."""
    return (
        *(actions.ObserveReplication(link=link.name) for link in estate.replication.links),
        *(actions.ObserveTraffic(host=place) for place in estate.load_balancer.places),
    )


def _observations(estate: Estate, source: Cluster, target: Cluster) -> tuple[Wave, ...]:
    probed = [probe.protocol for probe in estate.load_balancer.probes]
    return (
        (
            *on(estate.nodes, actions.ObserveNode),
            *on((source.servers[0], target.servers[0]), actions.ObserveCluster),
            actions.CompareConfiguration(source=source.name, target=target.name),
            actions.CompareStorage(source=source.name, target=target.name),
            *observations_of_links_and_traffic(estate),
            actions.ObserveTemporal(estate=estate.name),
        ),
        # Afterwards, or the probe's logins would be counted among the target's sessions.
        tuple(
            actions.TryLogin(node=node.name, protocol=protocol)
            for node in target.client_facing_nodes
            for protocol in probed
            if protocol in node.protocols
        ),
    )


def _redirect(estate: Estate, source: Cluster, target: Cluster) -> tuple[Wave, ...]:
    places, probes = estate.load_balancer.places, estate.load_balancer.probes
    return (
        tuple(actions.Redirect(host=p, to=target.name, back_to=source.name) for p in places),
        tuple(actions.VerifyTraffic(protocol=p.protocol, to=target.name) for p in probes),
    )
