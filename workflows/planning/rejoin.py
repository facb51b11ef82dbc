"""Plan a rejoin: how the drained cluster comes back as the passive one.

The vendor's page ends before it. What it needs follows from what the other pages say of a start
(docs/securetransport.md): services need their node's admin service, a started Transaction Manager
may bring scheduling back, and every start also starts the Monitor.
"""

from collections.abc import Iterable

from workflows.errors import BadInput
from workflows.model import actions
from workflows.model.estate import Cluster, Estate, Protocol
from workflows.model.replications.base import ReplicationLink
from workflows.model.request import RejoinRequest
from workflows.model.stages import StageName
from workflows.planning.approvals import gates_of, stricter
from workflows.planning.plan import Plan, Stage
from workflows.planning.replication_slots import drop_resting_slots, repair_lost_changes
from workflows.planning.waves import Wave, in_turn, observations_of_links_and_traffic, on


def plan_rejoin(estate: Estate, request: RejoinRequest) -> Plan:
    """Plan the start of the cluster, from the active one's side first.

    Raises:
        BadInput: the request names a cluster that the estate does not have, or a wrong gate.
    """
    names = [cluster.name for cluster in estate.clusters]
    if request.cluster not in names:
        raise BadInput(
            f"cluster: estate {estate.name} has no cluster {request.cluster}; "
            f"it has {' and '.join(names)}"
        )
    returning = estate.cluster(request.cluster)
    [active] = [cluster for cluster in estate.clusters if cluster.name != returning.name]
    gates = gates_of("rejoin", estate, request)
    return Plan(
        procedure="rejoin",
        estate=estate,
        source=active.name,
        target=returning.name,
        approvals=stricter(estate.approvals, request),
        sequence=tuple(
            Stage(name=name, gated=name in gates, waves=tuple(filter(None, waves)))
            for name, waves in _stages(estate, active, returning).items()
        ),
    )


def _stages(
    estate: Estate, active: Cluster, returning: Cluster
) -> dict[StageName, tuple[Wave, ...]]:
    paused = active.servers if estate.scheduling_returns_with_tm else ()
    temporal = actions.ObserveTemporal(estate=estate.name, task_queues=estate.task_queues)
    own_queues = (temporal,) if estate.task_queues else ()
    return {
        StageName.CHECK_PREREQUISITES: (
            (
                *on(estate.nodes, actions.ObserveNode),
                *on(active.servers[:1], actions.ObserveCluster),
                actions.CompareStorage(source=active.name, target=returning.name),
                *observations_of_links_and_traffic(estate),
                temporal,
            ),
        ),
        # An Edge has no scheduling, so the vendor's own script may start it at once.
        StageName.START_ADMIN: (
            (*on(returning.servers, actions.StartAdmin), *on(returning.edges, actions.StartAll)),
            # Events that are queued there start as soon as a Transaction Manager does.
            (
                *on(returning.servers[:1], actions.FindUnfinishedWork),
                *on(returning.servers[:1], actions.FindOrphanedFiles),
            ),
        ),
        StageName.CHECK_RETURNED: (
            (
                *on(estate.nodes, actions.ObserveNode),
                *on((active.servers[0], returning.servers[0]), actions.ObserveCluster),
                actions.CompareConfiguration(source=active.name, target=returning.name),
                *observations_of_links_and_traffic(estate),
                # Who polls them may have changed since stage 0.
                *own_queues,
            ),
        ),
        # Nobody knows whether scheduling returns with its Transaction Manager, although it was
        # stopped. A gap delays scheduled transfers; an overlap runs them twice.
        StageName.PAUSE_SCHEDULING: (
            on(paused, actions.StopScheduling),
            on(paused, actions.VerifySchedulingStopped),
        ),
        StageName.START_TRANSACTION_MANAGERS: (
            on(returning.servers, actions.StartTransactionManager),
            on(returning.servers, actions.StopScheduling),
            on(returning.servers, actions.VerifySchedulingStopped),
        ),
        StageName.RESUME_SCHEDULING: (on(paused, actions.StartScheduling),),
        StageName.START_SERVICES: (
            *in_turn(
                actions.StartProtocolServer(node=node.name, protocol=protocol)
                for node in returning.servers
                for protocol in Protocol
                if protocol in node.protocols
            ),
            on(returning.nodes, actions.VerifyServing),
            on(returning.nodes, actions.VerifyIdle),
        ),
        StageName.RESUME_REPLICATION: (
            *repair_lost_changes(estate, active.name),
            # Compared before the first is resumed: as long as both are off, each shows all that
            # its side wrote.
            tuple(actions.VerifyNoConflicts(link=link.name) for link in estate.replication.links),
            # Before anything arrives there: it would have to be read to find what is owed.
            drop_resting_slots(estate, active.name),
            *_resumed(link for link in estate.replication.links if link.target == returning.name),
            *_resumed(link for link in estate.replication.links if link.target == active.name),
        ),
        StageName.START_MONITORS: (on((*returning.nodes, *active.nodes), actions.StartMonitor),),
    }


def _resumed(links: Iterable[ReplicationLink]) -> tuple[Wave, ...]:
    names = [link.name for link in links]
    return (
        tuple(actions.ResumeReplication(link=name) for name in names),
        tuple(actions.AwaitDelivery(link=name) for name in names),
    )
