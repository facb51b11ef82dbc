"""Activities on a model of an estate: a typed subclass of every port."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity

from tests.support.estate_model import World
from workflows.errors import BadInput, NotReady, Refused, Unreachable
from workflows.model import actions
from workflows.model import observations as rd
from workflows.model import results as r
from workflows.model.estate import Estate, Kind, Protocol
from workflows.model.outcome import Notice, Outcome
from workflows.model.request import Request
from workflows.planning.diff import refusal
from workflows.planning.plan import Plan, plan_switchover
from workflows.planning.preview import CommandPreview
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
from workflows.ports.notifications import NoticeInput, NotificationPort
from workflows.ports.planning import PlanningPort
from workflows.ports.preview import PreviewPort
from workflows.ports.replication import ReplicationInput, ReplicationPort
from workflows.ports.routes import activities_of
from workflows.ports.scheduling import SchedulingPort
from workflows.ports.storage import StoragePort
from workflows.ports.temporal import TemporalPort
from workflows.preflight.report import Direction, ReadinessReport


class FakeActivities(
    PlanningPort,
    PreviewPort,
    NodesPort,
    SchedulingPort,
    DrainPort,
    LoadBalancerPort,
    ReplicationPort,
    ConfigurationPort,
    StoragePort,
    TemporalPort,
    NotificationPort,
):
    """Obeys at once, unless a fault was planted or the order is held."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self.world = World(estate, "cluster1", "cluster2")
        self.failures: dict[str, list[Exception]] = {}
        """By order key: raised by the next attempts, one each."""
        self.late: dict[str, list[Exception]] = {}
        """By order key: raised by the next attempts after they had their effect."""
        self.silent: set[str] = set()
        """Keys of orders that nobody answers to, which the engine tries again and again."""
        self.deaf = False
        """Whether nobody takes notices."""
        self.held: dict[str, asyncio.Event] = {}
        """By order key: the order does not end before the event is set."""
        self.readings: dict[str, dict[str, Any]] = {}
        """By place: what to change in the reading of that place."""
        self.asked: Counter[str] = Counter()
        """How often each operation was asked for, by its id without the identity."""
        self.effects: Counter[str] = Counter()
        """How often each operation had its effect, by its id."""
        self.when_met: Callable[[str], Awaitable[None]] | None = None
        """Called with an order's key whenever an attempt at it begins."""
        self.ended: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        """By order key: set once an attempt has ended."""
        self.last: ReadinessReport | None = None
        """What the last look at this estate's readiness came to."""
        self.kept: list[Outcome] = []
        self.reviewed: dict[str, Plan] = {}
        """By hash: plans that someone looked at."""
        self.marked: list[str] = []
        """Clusters whose storage got a marker file."""
        self.forgetful = False
        """Whether no reviewed plan can be kept."""
        self.told: list[Notice] = []

    @activity.defn
    async def make_plan(self, request: Request) -> Plan:
        """Plan for the one estate there is."""
        if request.estate != self.estate.name:
            raise BadInput(f"there is no estate {request.estate}; there is {self.estate.name}")
        plan = plan_switchover(self.estate, request)
        if request.plan_hash not in (None, plan.hash):
            raise refusal(request.plan_hash, self.reviewed.get(request.plan_hash), plan)
        return plan

    @activity.defn
    async def save_plan(self, plan: Plan) -> str:
        """Keep it in memory."""
        if self.forgetful:
            raise Refused("no room")
        self.reviewed[plan.hash] = plan
        return f"/records/plans/{plan.hash}.json"

    @activity.defn
    async def preview_commands(self, plan: Plan) -> tuple[CommandPreview, ...]:
        """Say each order's own sentence."""
        return tuple(
            CommandPreview(stage=stage.name, action=action.key, commands=(f"would {action}",))
            for stage in plan.stages
            for action in stage.actions
        )

    @activity.defn
    async def save_outcome(self, outcome: Outcome) -> str:
        """Keep it in memory."""
        self.kept.append(outcome)
        return "/records/outcome.json"

    @activity.defn
    async def observe_node(self, given: SessionInput[actions.ObserveNode]) -> rd.NodeReading:
        """Read the model."""
        await self._meet(given)
        node = given.node
        reading = rd.NodeReading(
            place=node.name,
            services=self.services(node.name),
            taeh="a" * 64,
            version="5.5-20260101",
            sessions=0,
            clock_ahead=timedelta(),
        )
        return reading.model_copy(update=self.readings.get(node.name, {}))

    @activity.defn
    async def observe_replication(
        self, given: ReplicationInput[actions.ObserveReplication]
    ) -> rd.ReplicationReading:
        """Read the model."""
        await self._meet(given)
        runs = given.link.name in self.world.replicating
        reading = rd.ReplicationReading(
            place=given.link.name, enabled=runs, running=runs, tables=("account",)
        )
        return reading.model_copy(update=self.readings.get(given.link.name, {}))

    @activity.defn
    async def observe_traffic(
        self, given: TrafficInput[actions.ObserveTraffic]
    ) -> rd.TrafficReading:
        """Read the model."""
        await self._meet(given)
        cluster = self.world.traffic[given.action.host]
        front = self.world.fronts(cluster)[0].name
        reading = rd.TrafficReading(
            place=given.action.host,
            destinations=(rd.Destination(item="traffic", seen=cluster, cluster=cluster),),
            lands_on={probe.protocol: front for probe in given.load_balancer.probes},
        )
        return reading.model_copy(update=self.readings.get(given.action.host, {}))

    @activity.defn
    async def observe_cluster(
        self, given: ClusterInput[actions.ObserveCluster]
    ) -> rd.ClusterReading:
        """See a cluster that is as the estate says."""
        await self._meet(given)
        cluster = self.estate.cluster_of(given.node.name)
        reading = rd.ClusterReading(
            place=given.node.name,
            servers=tuple(rd.Member(name=n.name, address=n.address) for n in cluster.servers),
            edges=tuple(rd.Member(name=n.name, address=n.address) for n in cluster.edges),
            events=0,
        )
        return reading.model_copy(update=self.readings.get(given.action.key, {}))

    @activity.defn
    async def compare_configuration(
        self, given: ClusterPairInput[actions.CompareConfiguration]
    ) -> rd.ParityReading:
        """See no difference."""
        await self._meet(given)
        reading = rd.ParityReading(place=given.target.name)
        return reading.model_copy(update=self.readings.get(given.action.key, {}))

    @activity.defn
    async def compare_storage(
        self, given: ClusterPairInput[actions.CompareStorage]
    ) -> rd.StorageReading:
        """See no difference, and write a marker file where there is a place for it."""
        await self._meet(given)
        self.marked += [s.name for s in (given.source, given.target) if s.storage_markers]
        reading = rd.StorageReading(place=given.target.name, sampled=100)
        return reading.model_copy(update=self.readings.get(given.action.key, {}))

    @activity.defn
    async def try_login(self, given: LoginInput) -> rd.LoginReading:
        """Succeed."""
        await self._meet(given)
        reading = rd.LoginReading(place=given.node.name, protocol=given.action.protocol)
        return reading.model_copy(update=self.readings.get(given.action.key, {}))

    @activity.defn
    async def observe_temporal(
        self, given: ActionInput[actions.ObserveTemporal]
    ) -> rd.TemporalReading:
        """See nothing that is under way."""
        await self._meet(given)
        reading = rd.TemporalReading(place=given.action.estate)
        return reading.model_copy(update=self.readings.get(given.action.key, {}))

    @activity.defn
    async def last_readiness(self, direction: Direction) -> ReadinessReport | None:
        """Return what a test has put there."""
        known = self.last is not None and self.last.direction == direction
        return self.last if known else None

    @activity.defn
    async def stop_monitor(self, given: NodeInput[actions.StopMonitor]) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def start_monitor(self, given: NodeInput[actions.StartMonitor]) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def stop_gracefully(self, given: NodeInput[actions.StopGracefully]) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def start_protocol_server(
        self, given: NodeInput[actions.StartProtocolServer]
    ) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def verify_stopped(self, given: NodeInput[actions.VerifyStopped]) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def verify_serving(self, given: NodeInput[actions.VerifyServing]) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def verify_unreachable(self, given: NodeInput[actions.VerifyUnreachable]) -> r.Report:
        """Look whether anything of the node still runs."""
        if any(node == given.node.name for node, _ in self.world.running):
            raise NotReady(f"{given.node.name} answers, so it is not down")
        return await self._obey(given)

    @activity.defn
    async def stop_transaction_manager(
        self, given: NodeInput[actions.StopTransactionManager]
    ) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def find_orphaned_files(self, given: StorageInput[actions.FindOrphanedFiles]) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def start_transaction_manager(
        self, given: NodeInput[actions.StartTransactionManager]
    ) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def stop_remaining(self, given: NodeInput[actions.StopRemaining]) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def start_all(self, given: NodeInput[actions.StartAll]) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def stop_scheduling(self, given: NodeInput[actions.StopScheduling]) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def verify_scheduling_stopped(
        self, given: NodeInput[actions.VerifySchedulingStopped]
    ) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def start_scheduling(self, given: NodeInput[actions.StartScheduling]) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def await_in_flight_events(
        self, given: NodeInput[actions.AwaitInFlightEvents]
    ) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def await_sessions(self, given: SessionInput[actions.AwaitSessions]) -> r.Report:
        """Obey."""
        assert given.redirected_at is not None
        return await self._obey(given)

    @activity.defn
    async def read_sessions(self, given: SessionInput[actions.ReadSessions]) -> r.RemainingSessions:
        """Say that someone is there."""
        await self._meet(given)
        return r.RemainingSessions(
            node=given.node.name,
            at=datetime.now(UTC),
            connections={Protocol.SSH: 1},
            accounts=("partner001 over ssh",),
        )

    @activity.defn
    async def read_queue(self, given: NodeInput[actions.ReadQueue]) -> r.RemainingQueue:
        """Say that something is queued."""
        await self._meet(given)
        return r.RemainingQueue(
            node=given.node.name, at=datetime.now(UTC), events=1, queued=("event 17",)
        )

    @activity.defn
    async def await_queue(self, given: NodeInput[actions.AwaitQueue]) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def redirect(self, given: TrafficInput[actions.Redirect]) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def verify_traffic(self, given: TrafficInput[actions.VerifyTraffic]) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def suspend_replication(
        self, given: ReplicationInput[actions.SuspendReplication]
    ) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def verify_no_conflicts(
        self, given: ReplicationInput[actions.VerifyNoConflicts]
    ) -> r.Report:
        """Find nothing."""
        return await self._obey(given)

    @activity.defn
    async def resume_replication(
        self, given: ReplicationInput[actions.ResumeReplication]
    ) -> r.Report:
        """Obey."""
        return await self._obey(given)

    @activity.defn
    async def notify(self, given: NoticeInput) -> None:
        """Keep it in memory."""
        if self.deaf:
            raise Refused("nobody takes it")
        self.told.append(given.notice)

    def services(self, name: str) -> dict[r.Service, r.State]:
        """Return what runs on a node of the model now."""
        node = self.estate.node(name)
        services = [r.Service.MONITOR, r.Service.ADMIN, *map(r.Service, node.protocols)]
        if node.kind is Kind.SERVER:
            services += [r.Service.TRANSACTION_MANAGER, *r.SCHEDULING]
        return {service: self.world.state(name, service) for service in services}

    @property
    def activities(self) -> list[Any]:
        """Everything a worker has to register."""
        return activities_of(self)

    async def _obey(self, given: ActionInput[Any]) -> r.Report:
        try:
            return await self._do(given)
        finally:
            self.ended[given.action.key].set()

    async def _do(self, given: ActionInput[Any]) -> r.Report:
        await self._meet(given)
        action: actions.Action = given.action
        if self.world.is_stopped(action):
            return r.unchanged(action, f"was so: {action}", datetime.now(UTC))
        if given.operation.id in self.effects:  # as a ledger does: attach, and report the same
            return r.changed(action, f"did: {action}", datetime.now(UTC))
        if action.undo is not None:
            self.effects[given.operation.id] += 1
        self.world.obey(action)
        if self.late.get(action.key):
            raise self.late[action.key].pop(0)
        words = f"did: {action}"
        now = datetime.now(UTC)
        return r.seen(action, words, now) if action.undo is None else r.changed(action, words, now)

    async def _meet(self, given: ActionInput[Any]) -> None:
        """Count the attempt, wait while held, and raise what was planted."""
        key = given.action.key
        self.asked[given.operation.id.removeprefix(f"{given.operation.identity}.")] += 1
        if self.when_met is not None:
            await self.when_met(key)
        while key in self.held and not self.held[key].is_set():
            activity.heartbeat()
            await asyncio.sleep(0.05)
        if key in self.silent:
            raise Unreachable("nobody answers")
        if self.failures.get(key):
            raise self.failures[key].pop(0)
