"""Plan the rollback of a run from what it started and from what ran at the baseline.

Each action is undone to the baseline and no further. The stages are undone in the reverse sequence
of the plan; services of the source that were stopped start again before traffic returns to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from workflows.model import actions
from workflows.model.estate import Cluster, Kind
from workflows.model.observations import NodeReading, Reading, ReplicationReading
from workflows.model.results import Service, State
from workflows.model.stages import StageName
from workflows.planning.observations import rests
from workflows.planning.plan import Plan, Stage
from workflows.planning.waves import Wave, in_turn

BACK = (
    StageName.START_SCHEDULING,
    StageName.STOP_SCHEDULING,
    StageName.REDIRECT_TRAFFIC,
    StageName.SUSPEND_REPLICATION,
    StageName.STOP_MONITORS,
)
"""Before the point of no return: the source still serves, only its scheduling is stopped."""

FAR_BACK = (
    # A Scheduler may start with its Transaction Manager: the target's is stopped first, or
    # scheduled transfers would run twice.
    StageName.START_SCHEDULING,
    StageName.STOP_REMAINING_SERVICES,
    StageName.DRAIN_TRANSACTION_MANAGER,
    StageName.DRAIN_PROTOCOL_SERVERS,
    StageName.REDIRECT_TRAFFIC,
    StageName.STOP_SCHEDULING,
    StageName.SUSPEND_REPLICATION,
    StageName.STOP_MONITORS,
)
"""After it: the source's services start before traffic returns to them."""


@dataclass(frozen=True)
class Baseline:
    """What ran before the run changed anything, as far as it was read."""

    nodes: Mapping[str, NodeReading] = field(default_factory=dict)
    links: Mapping[str, ReplicationReading] = field(default_factory=dict)
    assume_all_ran: bool = False
    """Whether an interrupted run had changed the estate before, so that no reading tells."""

    @classmethod
    def of(cls, readings: Sequence[Reading], *, assume_all_ran: bool) -> Baseline:
        """Keep what a rollback needs: the services of nodes, and replication."""
        nodes = {one.place: one for one in readings if isinstance(one, NodeReading)}
        links = {one.place: one for one in readings if isinstance(one, ReplicationReading)}
        return cls(nodes, links, assume_all_ran)

    def monitor_ran(self, node: str) -> bool:
        """Whether the node's Monitor ran."""
        return self._ran(node, Service.MONITOR)

    def scheduling(self, node: str) -> tuple[actions.SchedulingService, ...]:
        """Which of Scheduler and Folder Monitor ran on the Server."""
        names: tuple[actions.SchedulingService, ...] = ("scheduler", "folder_monitor")
        return tuple(name for name in names if self._ran(node, Service(name)))

    def replicated(self, link: str, plan: Plan) -> bool:
        """Whether the link was enabled."""
        reading = self.links.get(link)
        if self.assume_all_ran:
            return reading is None or not rests(plan, reading)
        return reading is not None and bool(reading.enabled)

    def _ran(self, node: str, service: Service) -> bool:
        reading = self.nodes.get(node)
        state = State.UNKNOWN if reading is None else reading.services.get(service, State.UNKNOWN)
        if self.assume_all_ran:
            return state not in (State.DISABLED, State.ABSENT)
        return state is State.RUNNING


def plan_rollback(
    plan: Plan, started: Mapping[StageName, Sequence[actions.Action]], baseline: Baseline
) -> tuple[Stage, ...]:
    """Return the stages that undo every started action, also those whose outcome is unknown.

    *started* holds the actions by stage; stages without anything to undo are omitted.
    """
    far = bool(started.get(StageName.DRAIN_PROTOCOL_SERVERS))
    undo = _Rollback(plan, started, baseline)
    stages = ((name, tuple(filter(None, undo.waves(name)))) for name in (FAR_BACK if far else BACK))
    return tuple(Stage(name=name, waves=waves, undo=True) for name, waves in stages if waves)


@dataclass(frozen=True)
class _Rollback:
    plan: Plan
    started: Mapping[StageName, Sequence[actions.Action]]
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
                    if isinstance(action, actions.StartMonitor)
                    and self.baseline.monitor_ran(action.node)
                )
            case _:
                # Transfers fail on an Edge that reaches no Transaction Manager.
                yield from self._servers_first(name)

    def _target_scheduling(self) -> Iterator[Wave]:
        started = self._opposites(StageName.START_SCHEDULING)
        starts_managers = any(
            self.started.get(name)
            for name in (StageName.DRAIN_TRANSACTION_MANAGER, StageName.STOP_REMAINING_SERVICES)
        )
        if not started and not starts_managers:
            return
        servers = self._cluster(self.plan.target).servers
        yield started
        yield tuple(actions.VerifySchedulingStopped(node=server.name) for server in servers)
        if started:
            # Files that its Folder Monitor processes must not be picked up by the source's.
            yield (actions.AwaitInFlightEvents(node=servers[0].name),)

    def _redirect_back(self) -> Iterator[Wave]:
        hosts = self._opposites(StageName.REDIRECT_TRAFFIC)
        if not hosts:
            return
        yield tuple(
            actions.VerifyServing(node=node.name) for node in self._cluster(self.plan.source).nodes
        )
        for places in self.plan.estate.load_balancer.steps:
            yield tuple(action for action in hosts if action.place in places)
        yield tuple(
            actions.VerifyTraffic(protocol=probe.protocol, to=self.plan.source)
            for probe in self.plan.estate.load_balancer.probes
        )

    def _resume_replication(self) -> Iterator[Wave]:
        opposites = self._opposites(StageName.SUSPEND_REPLICATION)
        resumed = tuple(
            action
            for action in opposites
            if isinstance(action, actions.ResumeReplication)
            and self.baseline.replicated(action.place, self.plan)
        )
        # Where both sides wrote the same rows, neither direction is resumed.
        yield tuple(actions.VerifyNoConflicts(link=action.place) for action in resumed)
        yield resumed
        # A slot is still compared with until replication runs, and keeps WAL for ever afterwards.
        yield tuple(action for action in opposites if isinstance(action, actions.DropSlot))

    def _source_scheduling(self) -> Iterator[actions.Action]:
        for action in self._opposites(StageName.STOP_SCHEDULING):
            if services := self.baseline.scheduling(action.place):
                yield actions.StartScheduling(node=action.place, services=services)

    def _servers_first(self, name: StageName) -> Iterator[Wave]:
        opposites = self._opposites(name)
        for kind in (Kind.SERVER, Kind.EDGE):
            yield from in_turn(a for a in opposites if self.plan.estate.node(a.place).kind is kind)

    def _opposites(self, name: StageName) -> Wave:
        return tuple(a.undo for a in self.started.get(name, ()) if a.undo is not None)

    def _cluster(self, name: str) -> Cluster:
        return self.plan.estate.cluster(name)
