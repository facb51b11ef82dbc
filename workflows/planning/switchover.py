"""Plan a switchover: every action of the manual for one estate, stage by stage."""

from collections.abc import Iterable, Sequence

from workflows.errors import BadInput
from workflows.model import actions
from workflows.model.estate import Cluster, Estate, Protocol
from workflows.model.request import Request
from workflows.model.stages import StageName
from workflows.planning.approvals import gates_of, stricter
from workflows.planning.plan import Chain, Parallel, Plan, Stage
from workflows.planning.replication_slots import begin_slots
from workflows.planning.waves import Wave, observations_of_links_and_traffic, on


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


def _observations(estate: Estate, source: Cluster, target: Cluster) -> tuple[Wave, ...]:
    probed = [probe.protocol for probe in estate.load_balancer.probes]
    return (
        (
            *on(estate.nodes, actions.ObserveNode),
            *on((source.servers[0], target.servers[0]), actions.ObserveCluster),
            actions.CompareConfiguration(source=source.name, target=target.name),
            actions.CompareStorage(source=source.name, target=target.name),
            *observations_of_links_and_traffic(estate),
            actions.ObserveTemporal(estate=estate.name, task_queues=estate.task_queues),
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
    steps, probes = estate.load_balancer.steps, estate.load_balancer.probes
    return (
        *(
            tuple(actions.Redirect(host=p, to=target.name, back_to=source.name) for p in places)
            for places in steps
        ),
        tuple(actions.VerifyTraffic(protocol=p.protocol, to=target.name) for p in probes),
    )
