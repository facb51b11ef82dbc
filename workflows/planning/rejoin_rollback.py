"""Plan the rollback of a rejoin: the returning cluster is down again, and all else as it was.

Nothing of it concerns a client: the active cluster serves throughout. The Transaction Managers are
stopped, and scheduling with them, before scheduling runs on the active cluster again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from workflows.model import actions
from workflows.model.estate import Cluster, Node, Protocol
from workflows.model.stages import StageName
from workflows.planning.plan import Plan, Stage
from workflows.planning.rollback import Baseline
from workflows.planning.waves import Wave, on

BACK = (
    StageName.START_MONITORS,
    StageName.RESUME_REPLICATION,
    StageName.START_SERVICES,
    StageName.START_TRANSACTION_MANAGERS,
    StageName.PAUSE_SCHEDULING,
    StageName.START_ADMIN,
)


def plan_rejoin_rollback(
    plan: Plan, started: Mapping[StageName, Sequence[actions.Action]], baseline: Baseline
) -> tuple[Stage, ...]:
    """Return the stages that undo every started action, also those whose outcome is unknown."""
    undo = _Rollback(plan, started, baseline)
    stages = ((name, tuple(filter(None, undo.waves(name)))) for name in BACK if started.get(name))
    return tuple(Stage(name=name, waves=waves, undo=True) for name, waves in stages if waves)


@dataclass(frozen=True)
class _Rollback:
    plan: Plan
    started: Mapping[StageName, Sequence[actions.Action]]
    baseline: Baseline

    def waves(self, name: StageName) -> Iterator[Wave]:
        started = self.started[name]
        match name:
            case StageName.START_MONITORS:
                yield tuple(
                    actions.StopMonitor(node=action.place)
                    for action in started
                    if self._returns(action.place) or not self.baseline.monitor_ran(action.place)
                )
            case StageName.RESUME_REPLICATION:
                yield tuple(
                    actions.SuspendReplication(link=action.place)
                    for action in started
                    if isinstance(action, actions.ResumeReplication)
                )
                # What the returning cluster writes is compared by the next rejoin.
                yield tuple(
                    actions.BeginSlot(link=action.place)
                    for action in started
                    if isinstance(action, actions.DropSlot)
                )
            case StageName.START_SERVICES:
                # A start whose outcome is unknown may have revived it, and it would interfere.
                yield on(self._returning.servers, actions.StopMonitor)
                yield self._stopped(self._returning.servers)
            case StageName.START_TRANSACTION_MANAGERS:
                yield on(self._returning.nodes, actions.StopMonitor)
                # Never stopped while a protocol server of its cluster runs.
                yield self._stopped(self._returning.edges)
                yield on(self._returning.nodes, actions.VerifyStopped)
                grace = self.plan.estate.timing.transaction_manager_grace
                yield tuple(
                    actions.StopTransactionManager(node=node.name, grace=grace)
                    for node in self._returning.servers
                )
            case StageName.PAUSE_SCHEDULING:
                yield tuple(
                    actions.StartScheduling(node=action.place, services=services)
                    for action in started
                    if (services := self.baseline.scheduling(action.place))
                )
            case _:
                yield on(self._returning.nodes, actions.StopRemaining)

    def _stopped(self, nodes: Sequence[Node]) -> Wave:
        grace = self.plan.estate.timing.grace
        return tuple(
            actions.StopGracefully(node=node.name, protocol=protocol, grace=grace)
            for node in nodes
            for protocol in Protocol
            if protocol in node.protocols
        )

    @property
    def _returning(self) -> Cluster:
        return self.plan.estate.cluster(self.plan.target)

    def _returns(self, node: str) -> bool:
        return self.plan.estate.cluster_of(node) == self._returning
