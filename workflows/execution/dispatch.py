"""Who carries out which order, with what, under which policy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, assert_never

from temporalio import workflow
from temporalio.workflow import ActivityConfig

from workflows import activity_options as policies
from workflows.model.actions import change as o
from workflows.model.actions import observe as ob
from workflows.model.estate import Timing
from workflows.model.observations import Reading
from workflows.model.results import Left, Operation, Report
from workflows.planning.plan import Plan
from workflows.ports.contract import (
    BothErrand,
    ClusterErrand,
    Configurations,
    Databases,
    Errand,
    LoginErrand,
    NodeErrand,
    Nodes,
    Orchestration,
    ReplicationErrand,
    Scheduling,
    SessionErrand,
    StorageErrand,
    Storages,
    Traffic,
    TrafficErrand,
    Waits,
)

EFFECTS = (
    *(o.StopMonitor, o.StartMonitor, o.SuspendReplication, o.ResumeReplication, o.Redirect),
    *(o.StopScheduling, o.StartScheduling, o.StopGracefully, o.StartProtocolServer),
    *(o.StopTransactionManager, o.StartTransactionManager, o.StopRemaining, o.StartAll),
)
"""Orders that may change something."""

OBSERVERS: Mapping[type[o.Order], Callable[[Any, Any], Awaitable[Reading]]] = {
    ob.ObserveNode: Nodes.observe_node,
    ob.ObserveReplication: Databases.observe_replication,
    ob.ObserveTraffic: Traffic.observe_traffic,
    ob.ObserveCluster: Configurations.observe_cluster,
    ob.CompareConfiguration: Configurations.compare_configuration,
    ob.CompareStorage: Storages.compare_storage,
    ob.TryLogin: Traffic.try_login,
    ob.ObserveTemporal: Orchestration.observe_temporal,
}
"""Orders that bring a reading instead of a report."""

LOOKS: Mapping[type[o.Order], Callable[[Any, Any], Awaitable[Left]]] = {
    o.LookAtSessions: Waits.look_at_sessions,
    o.LookAtQueue: Waits.look_at_queue,
}
"""Orders that say whom or what a decision concerns."""

HANDS: Mapping[type[o.Order], Callable[[Any, Any], Awaitable[Report]]] = {
    o.StopMonitor: Nodes.stop_monitor,
    o.StartMonitor: Nodes.start_monitor,
    o.SuspendReplication: Databases.suspend_replication,
    o.ResumeReplication: Databases.resume_replication,
    o.Redirect: Traffic.redirect,
    o.ProveTraffic: Traffic.prove_traffic,
    o.StopScheduling: Scheduling.stop_scheduling,
    o.ProveSchedulingStopped: Scheduling.prove_scheduling_stopped,
    o.AwaitWorkInHand: Waits.await_work_in_hand,
    o.StartScheduling: Scheduling.start_scheduling,
    o.AwaitSessions: Waits.await_sessions,
    o.StopGracefully: Nodes.stop_gracefully,
    o.StartProtocolServer: Nodes.start_protocol_server,
    o.ProveStopped: Nodes.prove_stopped,
    o.ProveServing: Nodes.prove_serving,
    o.ProveDead: Nodes.prove_dead,
    o.AwaitQueue: Waits.await_queue,
    o.StopTransactionManager: Nodes.stop_transaction_manager,
    o.LookForOrphans: Nodes.look_for_orphans,
    o.StartTransactionManager: Nodes.start_transaction_manager,
    o.StopRemaining: Nodes.stop_remaining,
    o.StartAll: Nodes.start_all,
}


def is_effect(order: o.Order) -> bool:
    """Whether the order may change something; all others only look."""
    return isinstance(order, EFFECTS)


class Errands:
    """Carries orders out on the places that the plan's snapshot of the estate names."""

    def __init__(self, plan: Plan, identity: str) -> None:
        self._estate = plan.estate
        self._identity = identity
        self.redirected_at: datetime | None = None
        """When new sessions were first sent to the target."""

    async def observe(self, order: o.Order, stage: str) -> Reading:
        """Bring the reading that an observation asks for; ActivityError where none came."""
        return await workflow.execute_activity_method(
            OBSERVERS[type(order)], self._errand(order, stage, 1), **self._config(order, 1)
        )

    async def look(self, order: o.Order, stage: str, turn: int) -> Left:
        """Bring what is left; *turn* tells several looks of one stage apart."""
        return await workflow.execute_activity_method(
            LOOKS[type(order)], self._errand(order, stage, turn), **self._config(order, turn)
        )

    async def carry_out(self, order: o.Order, stage: str, round_: int) -> Report:
        """Have the order done; ActivityError where it was not."""
        return await workflow.execute_activity_method(
            HANDS[type(order)], self._errand(order, stage, round_), **self._config(order, round_)
        )

    def _errand(self, order: o.Order, stage: str, round_: int) -> Errand[o.Order]:
        operation = Operation(identity=self._identity, stage=stage, order=order.key, round=round_)
        base = {"operation": operation, "order": order, "timing": self._estate.timing}
        if isinstance(order, ob.Observation):
            return self._observing(order, base)
        estate = self._estate
        match order:
            case o.AwaitSessions() | o.LookAtSessions():
                return SessionErrand(
                    **base,
                    node=estate.node(order.node),
                    ignored_peers=estate.ignored_peers,
                    redirected_at=self.redirected_at,
                )
            case o.LookForOrphans():
                storage = estate.cluster_of(order.node).storage
                return StorageErrand(**base, node=estate.node(order.node), storage=storage)
            case o.SuspendReplication() | o.ResumeReplication():
                return self._replicating(order.link, base)
            case o.Redirect() | o.ProveTraffic():
                return TrafficErrand(
                    **base, load_balancer=estate.load_balancer, clusters=estate.clusters
                )
            case _:
                return NodeErrand(**base, node=estate.node(order.place))

    def _observing(self, order: ob.Observation, base: Mapping[str, Any]) -> Errand[o.Order]:
        estate = self._estate
        match order:
            case ob.ObserveNode():
                node, peers = estate.node(order.node), estate.ignored_peers
                errand: Errand[Any] = SessionErrand(**base, node=node, ignored_peers=peers)
            case ob.ObserveReplication():
                errand = self._replicating(order.link, base)
            case ob.ObserveTraffic():
                balancer = estate.load_balancer
                errand = TrafficErrand(**base, load_balancer=balancer, clusters=estate.clusters)
            case ob.ObserveCluster():
                node, storage = estate.node(order.node), estate.cluster_of(order.node).storage
                errand = ClusterErrand(**base, node=node, storage=storage, limits=estate.limits)
            case ob.CompareConfiguration() | ob.CompareStorage():
                source, target = estate.cluster(order.source), estate.cluster(order.target)
                errand = BothErrand(**base, source=source, target=target, limits=estate.limits)
            case ob.TryLogin():
                node, probe = estate.node(order.node), estate.probe(order.protocol)
                errand = LoginErrand(**base, node=node, probe=probe)
            case ob.ObserveTemporal():
                errand = Errand(**base)
            case _:
                assert_never(order)
        return errand

    def _replicating(self, name: str, base: Mapping[str, Any]) -> Errand[o.Order]:
        link = self._estate.link(name)
        return ReplicationErrand(
            **base,
            link=link,
            publisher=self._estate.cluster(link.source).database,
            subscriber=self._estate.cluster(link.target).database,
            replication=self._estate.replication,
        )

    def _config(self, order: o.Order, round_: int) -> ActivityConfig:
        """The policy of the order's intent; the Web UI shows the order's own sentence."""
        config = policies.saying(_policy(order, self._estate.timing), str(order))
        config["activity_id"] = o.activity_id(order, round_)
        return config


def _policy(order: o.Order, timing: Timing) -> ActivityConfig:  # noqa: PLR0911 - one per intent
    if isinstance(order, ob.Observation):
        return policies.compare(timing) if isinstance(order, ob.CompareStorage) else policies.LOOK
    match order:
        case o.LookAtSessions() | o.LookAtQueue():
            return policies.LOOK
        case (
            o.ProveStopped()
            | o.ProveServing()
            | o.ProveDead()
            | o.ProveSchedulingStopped()
            | o.ProveTraffic()
            | o.LookForOrphans()
        ):
            return policies.prove(timing)
        case o.AwaitWorkInHand() | o.AwaitSessions() | o.AwaitQueue():
            return policies.WATCH
        case o.StopScheduling() | o.StartScheduling():
            return policies.call(timing)
        case o.SuspendReplication() | o.ResumeReplication():
            return policies.statement(timing)
        case o.StopGracefully() | o.StopTransactionManager():
            return policies.command(order.grace + 2 * timing.stop_margin, timing)
        case o.Redirect() | o.StopMonitor() | o.StopRemaining():
            return policies.command(2 * timing.stop_margin + timedelta(minutes=2), timing)
        case (
            o.StartMonitor() | o.StartProtocolServer() | o.StartTransactionManager() | o.StartAll()
        ):
            pending = max(timing.grace, timing.transaction_manager_grace) + timing.stop_margin
            return policies.command(timing.start_patience + 2 * pending, timing)
        case _:
            assert_never(order)
