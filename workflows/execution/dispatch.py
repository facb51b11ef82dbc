"""Who carries out which order, with what, under which policy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, assert_never

from temporalio import workflow
from temporalio.workflow import ActivityConfig

from workflows import activity_options as policies
from workflows.model import actions
from workflows.model.estate import Timing
from workflows.model.observations import Reading
from workflows.model.results import Operation, Remaining, Report
from workflows.planning.plan import Plan
from workflows.ports.configuration import ClusterInput, ConfigurationPort
from workflows.ports.drain import DrainPort
from workflows.ports.inputs import (
    ActionInput,
    ClusterPairInput,
    NodeInput,
    SessionInput,
    StorageInput,
)
from workflows.ports.load_balancer import LoadBalancerPort, LoginInput, TrafficInput
from workflows.ports.nodes import NodesPort
from workflows.ports.replication import ReplicationInput, ReplicationPort
from workflows.ports.scheduling import SchedulingPort
from workflows.ports.storage import StoragePort
from workflows.ports.temporal import TemporalPort

EFFECTS = (
    *(
        actions.StopMonitor,
        actions.StartMonitor,
        actions.SuspendReplication,
        actions.ResumeReplication,
        actions.Redirect,
    ),
    *(
        actions.StopScheduling,
        actions.StartScheduling,
        actions.StopGracefully,
        actions.StartProtocolServer,
    ),
    *(
        actions.StopTransactionManager,
        actions.StartTransactionManager,
        actions.StopRemaining,
        actions.StartAll,
    ),
)
"""Orders that may change something."""

OBSERVERS: Mapping[type[actions.Action], Callable[[Any, Any], Awaitable[Reading]]] = {
    actions.ObserveNode: NodesPort.observe_node,
    actions.ObserveReplication: ReplicationPort.observe_replication,
    actions.ObserveTraffic: LoadBalancerPort.observe_traffic,
    actions.ObserveCluster: ConfigurationPort.observe_cluster,
    actions.CompareConfiguration: ConfigurationPort.compare_configuration,
    actions.CompareStorage: StoragePort.compare_storage,
    actions.TryLogin: LoadBalancerPort.try_login,
    actions.ObserveTemporal: TemporalPort.observe_temporal,
}
"""Orders that bring a reading instead of a report."""

LOOKS: Mapping[type[actions.Action], Callable[[Any, Any], Awaitable[Remaining]]] = {
    actions.ReadSessions: DrainPort.read_sessions,
    actions.ReadQueue: DrainPort.read_queue,
}
"""Orders that say whom or what a decision concerns."""

HANDS: Mapping[type[actions.Action], Callable[[Any, Any], Awaitable[Report]]] = {
    actions.StopMonitor: NodesPort.stop_monitor,
    actions.StartMonitor: NodesPort.start_monitor,
    actions.SuspendReplication: ReplicationPort.suspend_replication,
    actions.VerifyNoConflicts: ReplicationPort.verify_no_conflicts,
    actions.ResumeReplication: ReplicationPort.resume_replication,
    actions.Redirect: LoadBalancerPort.redirect,
    actions.VerifyTraffic: LoadBalancerPort.verify_traffic,
    actions.StopScheduling: SchedulingPort.stop_scheduling,
    actions.VerifySchedulingStopped: SchedulingPort.verify_scheduling_stopped,
    actions.AwaitInFlightEvents: DrainPort.await_in_flight_events,
    actions.StartScheduling: SchedulingPort.start_scheduling,
    actions.AwaitSessions: DrainPort.await_sessions,
    actions.StopGracefully: NodesPort.stop_gracefully,
    actions.StartProtocolServer: NodesPort.start_protocol_server,
    actions.VerifyStopped: NodesPort.verify_stopped,
    actions.VerifyServing: NodesPort.verify_serving,
    actions.VerifyUnreachable: NodesPort.verify_unreachable,
    actions.AwaitQueue: DrainPort.await_queue,
    actions.StopTransactionManager: NodesPort.stop_transaction_manager,
    actions.FindOrphanedFiles: NodesPort.find_orphaned_files,
    actions.StartTransactionManager: NodesPort.start_transaction_manager,
    actions.StopRemaining: NodesPort.stop_remaining,
    actions.StartAll: NodesPort.start_all,
}


def is_effect(action: actions.Action) -> bool:
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

    async def observe(self, action: actions.Action, stage: str) -> Reading:
        """Bring the reading that an observation asks for; ActivityError where none came."""
        return await workflow.execute_activity_method(
            OBSERVERS[type(action)], self._input(action, stage, 1), **self._config(action, 1)
        )

    async def look(self, action: actions.Action, stage: str, turn: int) -> Remaining:
        """Bring what is left; *turn* tells several looks of one stage apart."""
        return await workflow.execute_activity_method(
            LOOKS[type(action)], self._input(action, stage, turn), **self._config(action, turn)
        )

    async def execute(self, action: actions.Action, stage: str, round_: int) -> Report:
        """Have the order done; ActivityError where it was not."""
        report = await workflow.execute_activity_method(
            HANDS[type(action)], self._input(action, stage, round_), **self._config(action, round_)
        )
        if isinstance(action, actions.VerifyNoConflicts):
            self._compared_at[action.link] = report.at
        return report

    def _input(
        self, action: actions.Action, stage: str, round_: int
    ) -> ActionInput[actions.Action]:
        operation = Operation(identity=self._identity, stage=stage, action=action.key, round=round_)
        base = {"operation": operation, "action": action, "timing": self._estate.timing}
        if isinstance(action, actions.Observation):
            return self._observing(action, base)
        estate = self._estate
        match action:
            case actions.AwaitSessions() | actions.ReadSessions():
                return SessionInput(
                    **base,
                    node=estate.node(action.node),
                    ignored_peers=estate.ignored_peers,
                    redirected_at=self.redirected_at,
                )
            case actions.FindOrphanedFiles():
                storage = estate.cluster_of(action.node).storage
                return StorageInput(**base, node=estate.node(action.node), storage=storage)
            case (
                actions.SuspendReplication()
                | actions.VerifyNoConflicts()
                | actions.ResumeReplication()
            ):
                return self._replicating(action.link, base)
            case actions.Redirect() | actions.VerifyTraffic():
                return TrafficInput(
                    **base, load_balancer=estate.load_balancer, clusters=estate.clusters
                )
            case _:
                return NodeInput(**base, node=estate.node(action.place))

    def _observing(
        self, action: actions.Observation, base: Mapping[str, Any]
    ) -> ActionInput[actions.Action]:
        estate = self._estate
        match action:
            case actions.ObserveNode():
                node, peers = estate.node(action.node), estate.ignored_peers
                given: ActionInput[Any] = SessionInput(**base, node=node, ignored_peers=peers)
            case actions.ObserveReplication():
                given = self._replicating(action.link, base)
            case actions.ObserveTraffic():
                balancer = estate.load_balancer
                given = TrafficInput(**base, load_balancer=balancer, clusters=estate.clusters)
            case actions.ObserveCluster():
                node, storage = estate.node(action.node), estate.cluster_of(action.node).storage
                given = ClusterInput(**base, node=node, storage=storage, limits=estate.limits)
            case actions.CompareConfiguration() | actions.CompareStorage():
                source, target = estate.cluster(action.source), estate.cluster(action.target)
                given = ClusterPairInput(**base, source=source, target=target, limits=estate.limits)
            case actions.TryLogin():
                node, probe = estate.node(action.node), estate.probe(action.protocol)
                given = LoginInput(**base, node=node, probe=probe)
            case actions.ObserveTemporal():
                given = ActionInput(**base)
            case _:
                assert_never(action)
        return given

    def _replicating(self, name: str, base: Mapping[str, Any]) -> ActionInput[actions.Action]:
        link = self._estate.link(name)
        return ReplicationInput(
            **base,
            link=link,
            publisher=self._estate.cluster(link.source).database,
            subscriber=self._estate.cluster(link.target).database,
            replication=self._estate.replication,
            compared_at=self._compared_at.get(name),
        )

    def _config(self, action: actions.Action, round_: int) -> ActivityConfig:
        """The policy of the order's intent; the Web UI shows the order's own sentence."""
        config = policies.saying(_policy(action, self._estate.timing), str(action))
        config["activity_id"] = action.activity_id(round_)
        return config


def _policy(action: actions.Action, timing: Timing) -> ActivityConfig:  # noqa: C901, PLR0911 - one per intent
    if isinstance(action, actions.Observation):
        return (
            policies.compare(timing)
            if isinstance(action, actions.CompareStorage)
            else policies.LOOK
        )
    match action:
        case actions.ReadSessions() | actions.ReadQueue():
            return policies.LOOK
        case (
            actions.VerifyStopped()
            | actions.VerifyServing()
            | actions.VerifyUnreachable()
            | actions.VerifySchedulingStopped()
            | actions.VerifyTraffic()
            | actions.FindOrphanedFiles()
        ):
            return policies.prove(timing)
        case actions.VerifyNoConflicts():
            return policies.compare_databases(timing)
        case actions.AwaitInFlightEvents() | actions.AwaitSessions() | actions.AwaitQueue():
            return policies.WATCH
        case actions.StopScheduling() | actions.StartScheduling():
            return policies.call(timing)
        case actions.SuspendReplication() | actions.ResumeReplication():
            return policies.statement(timing)
        case actions.StopGracefully() | actions.StopTransactionManager():
            return policies.command(action.grace + 2 * timing.stop_margin, timing)
        case actions.Redirect() | actions.StopMonitor() | actions.StopRemaining():
            return policies.command(2 * timing.stop_margin + timedelta(minutes=2), timing)
        case (
            actions.StartMonitor()
            | actions.StartProtocolServer()
            | actions.StartTransactionManager()
            | actions.StartAll()
        ):
            pending = max(timing.grace, timing.transaction_manager_grace) + timing.stop_margin
            return policies.command(timing.start_timeout + 2 * pending, timing)
        case _:
            assert_never(action)
