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
from workflows.model.results import Operation, Remaining, Report
from workflows.planning.plan import Plan
from workflows.ports.contract import (
    ActionInput,
    ClusterInput,
    ClusterPairInput,
    Configurations,
    Databases,
    LoginInput,
    NodeInput,
    Nodes,
    Orchestration,
    ReplicationInput,
    Scheduling,
    SessionInput,
    StorageInput,
    Storages,
    Traffic,
    TrafficInput,
    Waits,
)

EFFECTS = (
    *(o.StopMonitor, o.StartMonitor, o.SuspendReplication, o.ResumeReplication, o.Redirect),
    *(o.StopScheduling, o.StartScheduling, o.StopGracefully, o.StartProtocolServer),
    *(o.StopTransactionManager, o.StartTransactionManager, o.StopRemaining, o.StartAll),
)
"""Orders that may change something."""

OBSERVERS: Mapping[type[o.Action], Callable[[Any, Any], Awaitable[Reading]]] = {
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

LOOKS: Mapping[type[o.Action], Callable[[Any, Any], Awaitable[Remaining]]] = {
    o.ReadSessions: Waits.read_sessions,
    o.ReadQueue: Waits.read_queue,
}
"""Orders that say whom or what a decision concerns."""

HANDS: Mapping[type[o.Action], Callable[[Any, Any], Awaitable[Report]]] = {
    o.StopMonitor: Nodes.stop_monitor,
    o.StartMonitor: Nodes.start_monitor,
    o.SuspendReplication: Databases.suspend_replication,
    o.VerifyNoConflicts: Databases.verify_no_conflicts,
    o.ResumeReplication: Databases.resume_replication,
    o.Redirect: Traffic.redirect,
    o.VerifyTraffic: Traffic.verify_traffic,
    o.StopScheduling: Scheduling.stop_scheduling,
    o.VerifySchedulingStopped: Scheduling.verify_scheduling_stopped,
    o.AwaitInFlightEvents: Waits.await_in_flight_events,
    o.StartScheduling: Scheduling.start_scheduling,
    o.AwaitSessions: Waits.await_sessions,
    o.StopGracefully: Nodes.stop_gracefully,
    o.StartProtocolServer: Nodes.start_protocol_server,
    o.VerifyStopped: Nodes.verify_stopped,
    o.VerifyServing: Nodes.verify_serving,
    o.VerifyUnreachable: Nodes.verify_unreachable,
    o.AwaitQueue: Waits.await_queue,
    o.StopTransactionManager: Nodes.stop_transaction_manager,
    o.FindOrphanedFiles: Nodes.find_orphaned_files,
    o.StartTransactionManager: Nodes.start_transaction_manager,
    o.StopRemaining: Nodes.stop_remaining,
    o.StartAll: Nodes.start_all,
}


def is_effect(action: o.Action) -> bool:
    """Whether the order may change something; all others only look."""
    return isinstance(action, EFFECTS)


class Dispatcher:
    """Carries orders out on the places that the plan's snapshot of the estate names."""

    def __init__(self, plan: Plan, identity: str) -> None:
        self._estate = plan.estate
        self._identity = identity
        self.redirected_at: datetime | None = None
        """When new sessions were first sent to the target."""
        self._compared_at: dict[str, datetime] = {}
        """By replication link: when the run last began to compare what both sides wrote."""

    async def observe(self, action: o.Action, stage: str) -> Reading:
        """Bring the reading that an observation asks for; ActivityError where none came."""
        return await workflow.execute_activity_method(
            OBSERVERS[type(action)], self._input(action, stage, 1), **self._config(action, 1)
        )

    async def look(self, action: o.Action, stage: str, turn: int) -> Remaining:
        """Bring what is left; *turn* tells several looks of one stage apart."""
        return await workflow.execute_activity_method(
            LOOKS[type(action)], self._input(action, stage, turn), **self._config(action, turn)
        )

    async def execute(self, action: o.Action, stage: str, round_: int) -> Report:
        """Have the order done; ActivityError where it was not."""
        report = await workflow.execute_activity_method(
            HANDS[type(action)], self._input(action, stage, round_), **self._config(action, round_)
        )
        if isinstance(action, o.VerifyNoConflicts):
            self._compared_at[action.link] = report.at
        return report

    def _input(self, action: o.Action, stage: str, round_: int) -> ActionInput[o.Action]:
        operation = Operation(identity=self._identity, stage=stage, action=action.key, round=round_)
        base = {"operation": operation, "action": action, "timing": self._estate.timing}
        if isinstance(action, ob.Observation):
            return self._observing(action, base)
        estate = self._estate
        match action:
            case o.AwaitSessions() | o.ReadSessions():
                return SessionInput(
                    **base,
                    node=estate.node(action.node),
                    ignored_peers=estate.ignored_peers,
                    redirected_at=self.redirected_at,
                )
            case o.FindOrphanedFiles():
                storage = estate.cluster_of(action.node).storage
                return StorageInput(**base, node=estate.node(action.node), storage=storage)
            case o.SuspendReplication() | o.VerifyNoConflicts() | o.ResumeReplication():
                return self._replicating(action.link, base)
            case o.Redirect() | o.VerifyTraffic():
                return TrafficInput(
                    **base, load_balancer=estate.load_balancer, clusters=estate.clusters
                )
            case _:
                return NodeInput(**base, node=estate.node(action.place))

    def _observing(self, action: ob.Observation, base: Mapping[str, Any]) -> ActionInput[o.Action]:
        estate = self._estate
        match action:
            case ob.ObserveNode():
                node, peers = estate.node(action.node), estate.ignored_peers
                given: ActionInput[Any] = SessionInput(**base, node=node, ignored_peers=peers)
            case ob.ObserveReplication():
                given = self._replicating(action.link, base)
            case ob.ObserveTraffic():
                balancer = estate.load_balancer
                given = TrafficInput(**base, load_balancer=balancer, clusters=estate.clusters)
            case ob.ObserveCluster():
                node, storage = estate.node(action.node), estate.cluster_of(action.node).storage
                given = ClusterInput(**base, node=node, storage=storage, limits=estate.limits)
            case ob.CompareConfiguration() | ob.CompareStorage():
                source, target = estate.cluster(action.source), estate.cluster(action.target)
                given = ClusterPairInput(**base, source=source, target=target, limits=estate.limits)
            case ob.TryLogin():
                node, probe = estate.node(action.node), estate.probe(action.protocol)
                given = LoginInput(**base, node=node, probe=probe)
            case ob.ObserveTemporal():
                given = ActionInput(**base)
            case _:
                assert_never(action)
        return given

    def _replicating(self, name: str, base: Mapping[str, Any]) -> ActionInput[o.Action]:
        link = self._estate.link(name)
        return ReplicationInput(
            **base,
            link=link,
            publisher=self._estate.cluster(link.source).database,
            subscriber=self._estate.cluster(link.target).database,
            replication=self._estate.replication,
            compared_at=self._compared_at.get(name),
        )

    def _config(self, action: o.Action, round_: int) -> ActivityConfig:
        """The policy of the order's intent; the Web UI shows the order's own sentence."""
        config = policies.saying(_policy(action, self._estate.timing), str(action))
        config["activity_id"] = o.activity_id(action, round_)
        return config


def _policy(action: o.Action, timing: Timing) -> ActivityConfig:  # noqa: PLR0911 - one per intent
    if isinstance(action, ob.Observation):
        return policies.compare(timing) if isinstance(action, ob.CompareStorage) else policies.LOOK
    match action:
        case o.ReadSessions() | o.ReadQueue():
            return policies.LOOK
        case (
            o.VerifyStopped()
            | o.VerifyServing()
            | o.VerifyUnreachable()
            | o.VerifySchedulingStopped()
            | o.VerifyTraffic()
            | o.FindOrphanedFiles()
        ):
            return policies.prove(timing)
        case o.VerifyNoConflicts():
            return policies.compare_databases(timing)
        case o.AwaitInFlightEvents() | o.AwaitSessions() | o.AwaitQueue():
            return policies.WATCH
        case o.StopScheduling() | o.StartScheduling():
            return policies.call(timing)
        case o.SuspendReplication() | o.ResumeReplication():
            return policies.statement(timing)
        case o.StopGracefully() | o.StopTransactionManager():
            return policies.command(action.grace + 2 * timing.stop_margin, timing)
        case o.Redirect() | o.StopMonitor() | o.StopRemaining():
            return policies.command(2 * timing.stop_margin + timedelta(minutes=2), timing)
        case (
            o.StartMonitor() | o.StartProtocolServer() | o.StartTransactionManager() | o.StartAll()
        ):
            pending = max(timing.grace, timing.transaction_manager_grace) + timing.stop_margin
            return policies.command(timing.start_timeout + 2 * pending, timing)
        case _:
            assert_never(action)
