"""What takes a run back, and in which order: a pure function of what was begun, and of what ran.

Each order is taken back to the baseline and no further. The order of the stages is the reverse of
the plan's; once services of the source were stopped, they come back before anything is sent to
them (design.md, section 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from workflows.model.actions import (
    Action,
    AwaitInFlightEvents,
    SchedulingService,
    StartMonitor,
    StartScheduling,
    VerifyNoConflicts,
    VerifySchedulingStopped,
    VerifyServing,
    VerifyTraffic,
)
from workflows.model.estate import Cluster, Kind
from workflows.model.observations import NodeReading, Reading, ReplicationReading
from workflows.model.results import SCHEDULING, Service, State
from workflows.model.stages import StageName
from workflows.planning.plan import Plan, Stage, Wave

BACK = (
    StageName.START_SCHEDULING,
    StageName.STOP_SCHEDULING,
    StageName.REDIRECT_TRAFFIC,
    StageName.SUSPEND_REPLICATION,
    StageName.STOP_MONITORS,
)
"""Before the point of no return: the source still serves, only scheduling stands still."""

FAR_BACK = (
    # Nobody knows whether a started Scheduler returns with its Transaction Manager: the target's
    # stops first, or scheduled transfers would run twice.
    StageName.START_SCHEDULING,
    StageName.STOP_REMAINING_SERVICES,
    StageName.DRAIN_TRANSACTION_MANAGER,
    StageName.DRAIN_PROTOCOL_SERVERS,
    StageName.REDIRECT_TRAFFIC,
    StageName.STOP_SCHEDULING,
    StageName.SUSPEND_REPLICATION,
    StageName.STOP_MONITORS,
)
"""After it: the source's services come back before traffic does."""


@dataclass(frozen=True)
class Baseline:
    """What ran before the run changed anything, as far as it was seen."""

    readings: Mapping[str, Reading] = field(default_factory=dict)
    whole: bool = False
    """The estate was found half-switched: what had run before nobody saw, so all of it counts."""

    @classmethod
    def of(cls, readings: Iterable[Reading], *, whole: bool) -> Baseline:
        """Keep what undo goes by: the services of nodes, and replication."""
        kinds = (NodeReading, ReplicationReading)
        return cls({r.place: r for r in readings if isinstance(r, kinds)}, whole=whole)

    def monitor_ran(self, node: str) -> bool:
        """Whether the node's Monitor ran."""
        return self.whole or self._state(node, Service.MONITOR) is State.RUNNING

    def scheduling(self, node: str) -> tuple[SchedulingService, ...]:
        """Which of Scheduler and Folder Monitor ran on the Server."""
        names: tuple[SchedulingService, ...] = ("scheduler", "folder_monitor")
        ran = {s.value for s in SCHEDULING if self._state(node, s) is State.RUNNING}
        return tuple(name for name in names if self.whole or name in ran)

    def replicated(self, link: str) -> bool:
        """Whether the link's subscription was enabled."""
        reading = self.readings.get(link)
        return self.whole or (isinstance(reading, ReplicationReading) and bool(reading.enabled))

    def _state(self, node: str, service: Service) -> State:
        reading = self.readings.get(node)
        if not isinstance(reading, NodeReading):
            return State.UNKNOWN
        return reading.services.get(service, State.UNKNOWN)


def plan_undo(
    plan: Plan, begun: Mapping[StageName, Sequence[Action]], baseline: Baseline
) -> tuple[Stage, ...]:
    """Return what takes back every order that was begun, whether or not it is known to have ended.

    *begun* holds the orders by stage; stages of which nothing is to be taken back are left out.
    """
    far = bool(begun.get(StageName.DRAIN_PROTOCOL_SERVERS))
    undo = _Undo(plan, begun, baseline)
    stages = ((name, tuple(filter(None, undo.waves(name)))) for name in (FAR_BACK if far else BACK))
    return tuple(Stage(name=name, waves=waves, undo=True) for name, waves in stages if waves)


@dataclass(frozen=True)
class _Undo:
    plan: Plan
    begun: Mapping[StageName, Sequence[Action]]
    baseline: Baseline

    def waves(self, name: StageName) -> Iterator[Wave]:
        match name:
            case StageName.START_SCHEDULING:
                yield from self._target_scheduling()
            case StageName.REDIRECT_TRAFFIC:
                yield from self._redirect_back()
            case StageName.STOP_SCHEDULING:
                yield tuple(self._source_scheduling())
            case StageName.SUSPEND_REPLICATION:
                yield from self._resume_replication()
            case StageName.STOP_MONITORS:
                yield tuple(
                    action
                    for action in self._opposites(name)
                    if isinstance(action, StartMonitor) and self.baseline.monitor_ran(action.node)
                )
            case _:
                # An Edge that streams to no Transaction Manager fails its transfers.
                yield from self._servers_first(name)

    def _target_scheduling(self) -> Iterator[Wave]:
        started = self._opposites(StageName.START_SCHEDULING)
        starts_managers = any(
            self.begun.get(name)
            for name in (StageName.DRAIN_TRANSACTION_MANAGER, StageName.STOP_REMAINING_SERVICES)
        )
        if not started and not starts_managers:
            return
        servers = self._cluster(self.plan.target).servers
        yield started
        yield tuple(VerifySchedulingStopped(node=server.name) for server in servers)
        if started:
            # What its Folder Monitor has in hand, the source's must not pick up again.
            yield (AwaitInFlightEvents(node=servers[0].name),)

    def _redirect_back(self) -> Iterator[Wave]:
        hosts = self._opposites(StageName.REDIRECT_TRAFFIC)
        if not hosts:
            return
        yield tuple(VerifyServing(node=node.name) for node in self._cluster(self.plan.source).nodes)
        yield hosts
        yield tuple(
            VerifyTraffic(protocol=probe.protocol, to=self.plan.source)
            for probe in self.plan.estate.load_balancer.probes
        )

    def _resume_replication(self) -> Iterator[Wave]:
        resumed = tuple(
            action
            for action in self._opposites(StageName.SUSPEND_REPLICATION)
            if self.baseline.replicated(action.place)
        )
        # Where both sides wrote the same rows, neither direction is resumed.
        yield tuple(VerifyNoConflicts(link=action.place) for action in resumed)
        yield resumed

    def _source_scheduling(self) -> Iterator[Action]:
        for action in self._opposites(StageName.STOP_SCHEDULING):
            if services := self.baseline.scheduling(action.place):
                yield StartScheduling(node=action.place, services=services)

    def _servers_first(self, name: StageName) -> Iterator[Wave]:
        opposites = self._opposites(name)
        for kind in (Kind.SERVER, Kind.EDGE):
            yield tuple(o for o in opposites if self.plan.estate.node(o.place).kind is kind)

    def _opposites(self, name: StageName) -> Wave:
        return tuple(o.undo for o in self.begun.get(name, ()) if o.undo is not None)

    def _cluster(self, name: str) -> Cluster:
        return self.plan.estate.cluster(name)
