"""Activities on a model of an estate: a typed subclass of every port."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import wraps
from types import MappingProxyType
from typing import Any, TypeVar, cast

from temporalio import activity

from tests.support.estate_model import World
from workflows.errors import BadInput, NotReady, Refused, Unreachable
from workflows.model import actions
from workflows.model import observations as rd
from workflows.model import results as r
from workflows.model.configuration import (
    ConfigurationChange,
    ConfigurationRecord,
    ConfigurationReport,
    PartDigest,
)
from workflows.model.estate import Estate, Kind, Protocol
from workflows.model.logs import LogPage, LogPlace, LogQuery, LogRecord
from workflows.model.outcome import Notice, Outcome
from workflows.model.request import AnyRequest
from workflows.planning.diff import refusal
from workflows.planning.plan import Plan
from workflows.planning.preview import CommandPreview
from workflows.planning.procedures import plan_for
from workflows.ports.configuration import ClusterInput, ConfigurationPort, WatchInput
from workflows.ports.drain import DrainPort
from workflows.ports.inputs import ActionInput, ClusterPairInput, NodeInput, SessionInput
from workflows.ports.load_balancer import LoadBalancerPort, LoginInput, TrafficInput
from workflows.ports.logs import LogsPort, RecordsInput
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

BASELINE = {"cluster1-server1 option": PartDigest(items=1, digest="0", buckets="0000")}
R = TypeVar("R", bound=rd.BaseReading)
F = TypeVar("F", bound=Callable[..., Awaitable[r.Report]])


def executing(port_activity: F) -> F:
    """Return an activity with the port's name and types that makes the model's state true."""

    @wraps(port_activity, updated=())
    async def execute(self: FakeActivities, given: ActionInput[Any]) -> r.Report:
        return await self._execute(given)

    return cast("F", activity.defn(execute))


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
    LogsPort,
):
    """Every action succeeds at once, unless a test plants a failure or holds the action."""

    late_parts: Mapping[str, PartDigest] = MappingProxyType({})
    """Of the configuration: what the first reading could not read."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self.world = World(estate, "cluster1", "cluster2")
        self.failures: dict[str, list[Exception]] = {}
        """By action key: raised by the next attempts, one each."""
        self.late: dict[str, list[Exception]] = {}
        """By action key: raised by the next attempts after they had their effect."""
        self.silent: set[str] = set()
        """Keys of actions whose place does not answer, so that Temporal attempts them again."""
        self.refuses_notices = False
        self.held: dict[str, asyncio.Event] = {}
        """By action key: the action does not end before the event is set."""
        self.readings: dict[str, dict[str, Any]] = {}
        """By place: what to change in the reading of that place."""
        self.asked: Counter[str] = Counter()
        """How many attempts each operation had, by its id without the identity."""
        self.effects: Counter[str] = Counter()
        """How many effects each operation had, by its id."""
        self.when_met: Callable[[str], Awaitable[None]] | None = None
        """Called with an action's key whenever an attempt at it begins."""
        self.ended: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        """By action key: set once an attempt has ended."""
        self.last: ReadinessReport | None = None
        """The last readiness report of this estate."""
        self.kept: list[Outcome] = []
        self.reviewed: dict[str, Plan] = {}
        """By hash: plans that were previewed."""
        self.marked: list[str] = []
        """Clusters whose storage got a marker file."""
        self.forgetful = False
        """Whether no reviewed plan can be kept."""
        self.notices: list[Notice] = []
        self.records: list[LogRecord] = []
        """What both clusters have recorded, by time."""
        self.records_per_page = 2
        self.unread: dict[str, str] = {}
        """By cluster: why the rest of its records cannot be read."""
        self.queries: list[LogQuery] = []
        self.planted: list[ConfigurationChange] = []
        """What was changed of the configuration, for the watch to see."""
        self.unwatched: dict[str, str] = {}
        """By place: why the watch cannot read it."""
        self.watched: list[WatchInput] = []
        self.blind = False
        """Whether every watch fails: a test's clock moves only while no activity is pending."""
        self.watch_failures: list[Exception] = []
        """Raised by the next attempts at a watch, one each."""
        self.left: ConfigurationRecord | None = None
        """What an earlier watch has left."""
        self.taken_over = 0
        self.take_over_failure: Exception | None = None

    @activity.defn
    async def make_plan(self, request: AnyRequest) -> Plan:
        if request.estate != self.estate.name:
            raise BadInput(f"there is no estate {request.estate}; there is {self.estate.name}")
        plan = plan_for(self.estate, request)
        if request.plan_hash not in (None, plan.hash):
            raise refusal(request.plan_hash, self.reviewed.get(request.plan_hash), plan)
        return plan

    @activity.defn
    async def save_plan(self, plan: Plan) -> str:
        if self.forgetful:
            raise Refused("no room")
        self.reviewed[plan.hash] = plan
        return f"/records/plans/{plan.hash}.json"

    @activity.defn
    async def preview_commands(self, plan: Plan) -> tuple[CommandPreview, ...]:
        return tuple(
            CommandPreview(stage=stage.name, action=action.key, commands=(f"would {action}",))
            for stage in plan.stages
            for action in stage.actions
        )

    @activity.defn
    async def save_outcome(self, outcome: Outcome) -> str:
        self.kept.append(outcome)
        return "/records/outcome.json"

    @activity.defn
    async def observe_node(self, given: SessionInput[actions.ObserveNode]) -> rd.NodeReading:
        await self._meet(given)
        node = given.node
        return self._changed(
            node.name,
            rd.NodeReading(
                place=node.name,
                services=self.services(node.name),
                taeh="a" * 64,
                version="5.5-20260101",
                sessions=0,
                clock_ahead=timedelta(),
            ),
        )

    @activity.defn
    async def observe_replication(
        self, given: ReplicationInput[actions.ObserveReplication]
    ) -> rd.ReplicationReading:
        await self._meet(given)
        runs = given.link.name in self.world.replicating
        return self._changed(
            given.link.name,
            rd.ReplicationReading(
                place=given.link.name, enabled=runs, running=runs, tables=("account",)
            ),
        )

    @activity.defn
    async def observe_traffic(
        self, given: TrafficInput[actions.ObserveTraffic]
    ) -> rd.TrafficReading:
        await self._meet(given)
        cluster = self.world.traffic[given.action.host]
        front = self.world.fronts(cluster)[0].name
        return self._changed(
            given.action.host,
            rd.TrafficReading(
                place=given.action.host,
                destinations=(rd.Destination(item="traffic", seen=cluster, cluster=cluster),),
                lands_on={probe.protocol: front for probe in given.load_balancer.probes},
            ),
        )

    @activity.defn
    async def observe_cluster(
        self, given: ClusterInput[actions.ObserveCluster]
    ) -> rd.ClusterReading:
        await self._meet(given)
        cluster = self.estate.cluster_of(given.node.name)
        return self._changed(
            given.action.key,
            rd.ClusterReading(
                place=given.node.name,
                servers=tuple(rd.Member(name=n.name, address=n.address) for n in cluster.servers),
                edges=tuple(rd.Member(name=n.name, address=n.address) for n in cluster.edges),
                events=0,
            ),
        )

    @activity.defn
    async def compare_configuration(
        self, given: ClusterPairInput[actions.CompareConfiguration]
    ) -> rd.ParityReading:
        await self._meet(given)
        return self._changed(given.action.key, rd.ParityReading(place=given.target.name))

    @activity.defn
    async def watch_configuration(self, given: WatchInput) -> ConfigurationReport:
        self.watched.append(given)
        if self.blind:
            raise Refused("nothing can be watched")
        if self.watch_failures:
            raise self.watch_failures.pop(0)
        if not given.record.parts:
            return ConfigurationReport(at=datetime.now(UTC), parts=BASELINE)
        while True:
            report = self._seen_by(given)
            unread = report.unread.keys() - given.record.unread.keys()
            if report.changes or unread or report.parts:
                return report
            activity.heartbeat()
            await asyncio.sleep(0.05)

    @activity.defn
    async def read_configuration_changes(self, given: WatchInput) -> ConfigurationReport:
        self.watched.append(given)
        return self._seen_by(given)

    @activity.defn
    async def take_over_watch(self, direction: Direction) -> ConfigurationRecord | None:
        assert direction.estate == self.estate.name
        self.taken_over += 1
        if self.take_over_failure is not None:
            raise self.take_over_failure
        return self.left

    @activity.defn
    async def compare_storage(
        self, given: ClusterPairInput[actions.CompareStorage]
    ) -> rd.StorageReading:
        await self._meet(given)
        self.marked += [s.name for s in (given.source, given.target) if s.storage_markers]
        return self._changed(
            given.action.key, rd.StorageReading(place=given.target.name, sampled=100)
        )

    @activity.defn
    async def try_login(self, given: LoginInput) -> rd.LoginReading:
        await self._meet(given)
        return self._changed(
            given.action.key, rd.LoginReading(place=given.node.name, protocol=given.action.protocol)
        )

    @activity.defn
    async def observe_temporal(
        self, given: ActionInput[actions.ObserveTemporal]
    ) -> rd.TemporalReading:
        await self._meet(given)
        return self._changed(given.action.key, rd.TemporalReading(place=given.action.estate))

    @activity.defn
    async def last_readiness(self, direction: Direction) -> ReadinessReport | None:
        known = self.last is not None and self.last.direction == direction
        return self.last if known else None

    start_monitor = executing(NodesPort.start_monitor)
    stop_monitor = executing(NodesPort.stop_monitor)
    stop_gracefully = executing(NodesPort.stop_gracefully)
    start_protocol_server = executing(NodesPort.start_protocol_server)
    verify_stopped = executing(NodesPort.verify_stopped)
    verify_serving = executing(NodesPort.verify_serving)
    stop_transaction_manager = executing(NodesPort.stop_transaction_manager)
    find_orphaned_files = executing(NodesPort.find_orphaned_files)
    find_unfinished_work = executing(LogsPort.find_unfinished_work)
    start_transaction_manager = executing(NodesPort.start_transaction_manager)
    stop_remaining = executing(NodesPort.stop_remaining)
    start_all = executing(NodesPort.start_all)
    start_admin = executing(NodesPort.start_admin)
    verify_idle = executing(NodesPort.verify_idle)
    stop_scheduling = executing(SchedulingPort.stop_scheduling)
    verify_scheduling_stopped = executing(SchedulingPort.verify_scheduling_stopped)
    start_scheduling = executing(SchedulingPort.start_scheduling)
    await_in_flight_events = executing(DrainPort.await_in_flight_events)
    await_queue = executing(DrainPort.await_queue)
    redirect = executing(LoadBalancerPort.redirect)
    verify_traffic = executing(LoadBalancerPort.verify_traffic)
    suspend_replication = executing(ReplicationPort.suspend_replication)
    verify_no_conflicts = executing(ReplicationPort.verify_no_conflicts)
    resume_replication = executing(ReplicationPort.resume_replication)
    await_delivery = executing(ReplicationPort.await_delivery)
    begin_slot = executing(ReplicationPort.begin_slot)
    drop_slot = executing(ReplicationPort.drop_slot)
    copy_tables = executing(ReplicationPort.copy_tables)
    renew_slot = executing(ReplicationPort.renew_slot)

    @activity.defn
    async def verify_unreachable(self, given: NodeInput[actions.VerifyUnreachable]) -> r.Report:
        if any(node == given.node.name for node, _ in self.world.running):
            raise NotReady(f"{given.node.name} answers, so it is not down")
        return await self._execute(given)

    @activity.defn
    async def await_sessions(self, given: SessionInput[actions.AwaitSessions]) -> r.Report:
        assert given.redirected_at is not None
        return await self._execute(given)

    @activity.defn
    async def count_records(self, given: RecordsInput[actions.CountRecords]) -> r.Report:
        assert given.redirected_at is not None
        return await self._execute(given)

    @activity.defn
    async def read_records(self, query: LogQuery) -> LogPage:
        if query.estate != self.estate.name:
            raise BadInput(f"there is no estate {query.estate}; there is {self.estate.name}")
        self.queries.append(query)
        side = self.estate.clusters[query.side - 1].name
        kept = [one for one in self.records if (one.side, one.kind) == (side, query.kind)]
        begin = query.after.position
        end = begin + self.records_per_page
        if end >= len(kept):
            return LogPage(side=side, records=tuple(kept[begin:]), unread=self.unread.get(side))
        return LogPage(side=side, records=tuple(kept[begin:end]), next=LogPlace(position=end))

    @activity.defn
    async def read_sessions(self, given: SessionInput[actions.ReadSessions]) -> r.RemainingSessions:
        await self._meet(given)
        return r.RemainingSessions(
            node=given.node.name,
            at=datetime.now(UTC),
            connections={Protocol.SSH: 1},
            accounts=("partner001 over ssh",),
        )

    @activity.defn
    async def read_queue(self, given: NodeInput[actions.ReadQueue]) -> r.RemainingQueue:
        await self._meet(given)
        return r.RemainingQueue(
            node=given.node.name, at=datetime.now(UTC), events=1, queued=("event 17",)
        )

    @activity.defn
    async def notify(self, given: NoticeInput) -> None:
        if self.refuses_notices:
            raise Refused("no receiver takes it")
        self.notices.append(given.notice)

    def _seen_by(self, given: WatchInput) -> ConfigurationReport:
        """Return what a watch over the model would report."""
        known = {change.key for change in given.record.changes}
        dark = {n.name for c in given.clusters if c.name in given.dark for n in c.nodes}
        return ConfigurationReport(
            at=datetime.now(UTC),
            parts={k: v for k, v in self.late_parts.items() if k not in given.record.parts},
            changes=tuple(
                one for one in self.planted if one.key not in known and one.place not in dark
            ),
            unread=dict(self.unwatched),
        )

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

    def _changed(self, place: str, reading: R) -> R:
        """Return the reading with what a test changed in it."""
        return reading.model_copy(update=self.readings.get(place, {}))

    async def _execute(self, given: ActionInput[Any]) -> r.Report:
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
        if isinstance(action, actions.Change):
            self.effects[given.operation.id] += 1
        self.world.execute(action)
        if self.late.get(action.key):
            raise self.late[action.key].pop(0)
        report = r.changed if isinstance(action, actions.Change) else r.seen
        return report(action, f"did: {action}", datetime.now(UTC))

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
            raise Unreachable("no answer")
        if self.failures.get(key):
            raise self.failures[key].pop(0)
