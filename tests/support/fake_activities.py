"""Hands that carry orders out on the model of an estate: the contract's typed subclass."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity

from tests.support.estate_model import World
from workflows.errors import BadInput, NotReady, Refused, Unreachable
from workflows.model import observations as rd
from workflows.model import results as r
from workflows.model.actions import change as o
from workflows.model.actions import observe as ob
from workflows.model.estate import Estate, Kind, Protocol
from workflows.model.progress import Notice, Outcome
from workflows.model.request import Request
from workflows.planning.plan import Plan, plan_switchover
from workflows.planning.preview import Spelled
from workflows.ports.contract import (
    BothErrand,
    ClusterErrand,
    Configurations,
    Databases,
    Errand,
    LoginErrand,
    NodeErrand,
    Nodes,
    NoticeErrand,
    Notices,
    Orchestration,
    Planning,
    ReplicationErrand,
    Scheduling,
    SessionErrand,
    Spelling,
    StorageErrand,
    Storages,
    Traffic,
    TrafficErrand,
    Waits,
)
from workflows.preflight.report import Direction, Verdict


class FakeHands(
    Planning,
    Spelling,
    Nodes,
    Scheduling,
    Waits,
    Traffic,
    Databases,
    Configurations,
    Storages,
    Orchestration,
    Notices,
):
    """Obeys at once, unless a fault was planted or the order is held."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self.world = World(estate, "cluster1", "cluster2")
        self.faults: dict[str, list[Exception]] = {}
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
        self.last: Verdict | None = None
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
        return plan_switchover(self.estate, request, self.reviewed.get(request.plan_hash or ""))

    @activity.defn
    async def keep_plan(self, plan: Plan) -> str:
        """Keep it in memory."""
        if self.forgetful:
            raise Refused("no room")
        self.reviewed[plan.hash] = plan
        return f"/records/plans/{plan.hash}.json"

    @activity.defn
    async def spell_out(self, plan: Plan) -> tuple[Spelled, ...]:
        """Say each order's own sentence."""
        return tuple(
            Spelled(stage=stage.slug, order=order.key, commands=(f"would {order}",))
            for stage in plan.stages
            for order in stage.orders
        )

    @activity.defn
    async def keep_outcome(self, outcome: Outcome) -> str:
        """Keep it in memory."""
        self.kept.append(outcome)
        return "/records/outcome.json"

    @activity.defn
    async def observe_node(self, errand: SessionErrand[ob.ObserveNode]) -> rd.NodeReading:
        """Read the model."""
        await self._meet(errand)
        node = errand.node
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
        self, errand: ReplicationErrand[ob.ObserveReplication]
    ) -> rd.ReplicationReading:
        """Read the model."""
        await self._meet(errand)
        runs = errand.link.name in self.world.replicating
        reading = rd.ReplicationReading(
            place=errand.link.name, enabled=runs, running=runs, lag=0, tables=("account",)
        )
        return reading.model_copy(update=self.readings.get(errand.link.name, {}))

    @activity.defn
    async def observe_traffic(self, errand: TrafficErrand[ob.ObserveTraffic]) -> rd.TrafficReading:
        """Read the model."""
        await self._meet(errand)
        cluster = self.world.traffic[errand.order.host]
        front = self.world.fronts(cluster)[0].name
        reading = rd.TrafficReading(
            place=errand.order.host,
            resolves_to={n: a[cluster] for n, a in errand.load_balancer.names.items()},
            lands_on={probe.protocol: front for probe in errand.load_balancer.probes},
        )
        return reading.model_copy(update=self.readings.get(errand.order.host, {}))

    @activity.defn
    async def observe_cluster(self, errand: ClusterErrand[ob.ObserveCluster]) -> rd.ClusterReading:
        """See a cluster that is as the estate says."""
        await self._meet(errand)
        cluster = self.estate.cluster_of(errand.node.name)
        reading = rd.ClusterReading(
            place=errand.node.name,
            servers=tuple(rd.Member(name=n.name, address=n.address) for n in cluster.servers),
            edges=tuple(rd.Member(name=n.name, address=n.address) for n in cluster.edges),
            events=0,
        )
        return reading.model_copy(update=self.readings.get(errand.order.key, {}))

    @activity.defn
    async def compare_configuration(
        self, errand: BothErrand[ob.CompareConfiguration]
    ) -> rd.ParityReading:
        """See no difference."""
        await self._meet(errand)
        reading = rd.ParityReading(place=errand.target.name, compared={"options": 100})
        return reading.model_copy(update=self.readings.get(errand.order.key, {}))

    @activity.defn
    async def compare_storage(self, errand: BothErrand[ob.CompareStorage]) -> rd.StorageReading:
        """See no difference, and write a marker file where there is a place for it."""
        await self._meet(errand)
        self.marked += [s.name for s in (errand.source, errand.target) if s.storage_markers]
        reading = rd.StorageReading(place=errand.target.name, sampled=100)
        return reading.model_copy(update=self.readings.get(errand.order.key, {}))

    @activity.defn
    async def try_login(self, errand: LoginErrand[ob.TryLogin]) -> rd.LoginReading:
        """Succeed."""
        await self._meet(errand)
        reading = rd.LoginReading(place=errand.node.name, protocol=errand.order.protocol)
        return reading.model_copy(update=self.readings.get(errand.order.key, {}))

    @activity.defn
    async def observe_temporal(self, errand: Errand[ob.ObserveTemporal]) -> rd.TemporalReading:
        """See nothing that is under way."""
        await self._meet(errand)
        reading = rd.TemporalReading(place=errand.order.estate)
        return reading.model_copy(update=self.readings.get(errand.order.key, {}))

    @activity.defn
    async def last_readiness(self, direction: Direction) -> Verdict | None:
        """Return what a test has put there."""
        known = self.last is not None and self.last.direction == direction
        return self.last if known else None

    @activity.defn
    async def stop_monitor(self, errand: NodeErrand[o.StopMonitor]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def start_monitor(self, errand: NodeErrand[o.StartMonitor]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def stop_gracefully(self, errand: NodeErrand[o.StopGracefully]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def start_protocol_server(self, errand: NodeErrand[o.StartProtocolServer]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def prove_stopped(self, errand: NodeErrand[o.ProveStopped]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def prove_serving(self, errand: NodeErrand[o.ProveServing]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def prove_dead(self, errand: NodeErrand[o.ProveDead]) -> r.Report:
        """Look whether anything of the node still runs."""
        if any(node == errand.node.name for node, _ in self.world.running):
            raise NotReady(f"{errand.node.name} answers, so it is not dead")
        return await self._obey(errand)

    @activity.defn
    async def stop_transaction_manager(
        self, errand: NodeErrand[o.StopTransactionManager]
    ) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def look_for_orphans(self, errand: StorageErrand[o.LookForOrphans]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def start_transaction_manager(
        self, errand: NodeErrand[o.StartTransactionManager]
    ) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def stop_remaining(self, errand: NodeErrand[o.StopRemaining]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def start_all(self, errand: NodeErrand[o.StartAll]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def stop_scheduling(self, errand: NodeErrand[o.StopScheduling]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def prove_scheduling_stopped(
        self, errand: NodeErrand[o.ProveSchedulingStopped]
    ) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def start_scheduling(self, errand: NodeErrand[o.StartScheduling]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def await_work_in_hand(self, errand: NodeErrand[o.AwaitWorkInHand]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def await_sessions(self, errand: SessionErrand[o.AwaitSessions]) -> r.Report:
        """Obey."""
        assert errand.redirected_at is not None
        return await self._obey(errand)

    @activity.defn
    async def look_at_sessions(self, errand: SessionErrand[o.LookAtSessions]) -> r.SessionsLeft:
        """Say that someone is there."""
        await self._meet(errand)
        return r.SessionsLeft(
            node=errand.node.name,
            at=datetime.now(UTC),
            connections={Protocol.SSH: 1},
            accounts=("partner001 over ssh",),
        )

    @activity.defn
    async def look_at_queue(self, errand: NodeErrand[o.LookAtQueue]) -> r.QueueLeft:
        """Say that something is queued."""
        await self._meet(errand)
        return r.QueueLeft(
            node=errand.node.name, at=datetime.now(UTC), events=1, queued=("event 17",)
        )

    @activity.defn
    async def await_queue(self, errand: NodeErrand[o.AwaitQueue]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def redirect(self, errand: TrafficErrand[o.Redirect]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def prove_traffic(self, errand: TrafficErrand[o.ProveTraffic]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def suspend_replication(
        self, errand: ReplicationErrand[o.SuspendReplication]
    ) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def resume_replication(self, errand: ReplicationErrand[o.ResumeReplication]) -> r.Report:
        """Obey."""
        return await self._obey(errand)

    @activity.defn
    async def tell(self, errand: NoticeErrand) -> None:
        """Keep it in memory."""
        if self.deaf:
            raise Refused("nobody takes it")
        self.told.append(errand.notice)

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
        contracts = FakeHands.__bases__
        names = [n for c in contracts for n in vars(c) if hasattr(getattr(c, n), ACTIVITY)]
        return [getattr(self, name) for name in names]

    async def _obey(self, errand: Errand[Any]) -> r.Report:
        try:
            return await self._do(errand)
        finally:
            self.ended[errand.order.key].set()

    async def _do(self, errand: Errand[Any]) -> r.Report:
        await self._meet(errand)
        order: o.Order = errand.order
        if self.world.is_stopped(order):
            return r.unchanged(order, f"was so: {order}", datetime.now(UTC))
        if errand.operation.id in self.effects:  # as a ledger does: attach, and report the same
            return r.changed(order, f"did: {order}", datetime.now(UTC))
        if order.undo is not None:
            self.effects[errand.operation.id] += 1
        self.world.obey(order)
        if self.late.get(order.key):
            raise self.late[order.key].pop(0)
        words = f"did: {order}"
        now = datetime.now(UTC)
        return r.seen(order, words, now) if order.undo is None else r.changed(order, words, now)

    async def _meet(self, errand: Errand[Any]) -> None:
        """Count the attempt, wait while held, and raise what was planted."""
        key = errand.order.key
        self.asked[errand.operation.id.removeprefix(f"{errand.operation.identity}.")] += 1
        if self.when_met is not None:
            await self.when_met(key)
        while key in self.held and not self.held[key].is_set():
            activity.heartbeat()
            await asyncio.sleep(0.05)
        if key in self.silent:
            raise Unreachable("nobody answers")
        if self.faults.get(key):
            raise self.faults[key].pop(0)


ACTIVITY = "__temporal_activity_definition"
