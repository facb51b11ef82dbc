"""Was this estate left half-switched, by a run with the very same roles that was terminated?

Told from readings alone: nothing else is sure to have outlived that run. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from workflows.model.estate import Cluster, Kind
from workflows.model.findings import Finding, Severity
from workflows.model.observations import NodeReading, Reading, ReplicationReading, TrafficReading
from workflows.model.results import DOWN, SCHEDULING, Service, State
from workflows.model.stages import StageName
from workflows.planning.plan import Plan


@dataclass(frozen=True)
class HalfSwitched:
    """How far an earlier run came."""

    begun: frozenset[StageName]
    """Empty where nothing speaks for an interrupted switchover."""
    gone: frozenset[str]
    """Source nodes on which nothing runs any more, admin included."""
    complete: bool = False
    """Nothing is left to be done."""

    def findings(self, plan: Plan) -> tuple[Finding, ...]:
        """Say what was found, and what follows from it."""
        if not self.begun:
            return ()
        reached = ", ".join(name.value for name in StageName if name in self.begun)
        if self.complete:
            return (
                Finding(
                    name="already_switched_over",
                    place=plan.source,
                    seen=f"it is down, and traffic and scheduling are on {plan.target}",
                    expected=f"{plan.source} serving",
                    advice="nothing is left to be done; look whether the roles are the wrong way",
                ),
            )
        return (
            Finding(
                name="half_switched",
                place=plan.source,
                seen=f"a switchover with these roles was interrupted: {reached} had begun",
                expected="an estate in its normal state",
                advice="this run goes on from there; a roll-back takes for wait that "
                f"{plan.source} had run whole before",
                severity=Severity.WARNS,
            ),
        )


def recognise(plan: Plan, readings: Sequence[Reading]) -> HalfSwitched:
    """Return how far a switchover with this plan's roles had come.

    It is recognised only by a chain without a gap: source Monitors down and replication suspended,
    then traffic on the target, then the rest. Whatever does not fit in there is judged as ever.
    """
    seen = _Seen(plan, readings)
    if not (seen.monitors_down() and seen.suspended(any)):
        return HalfSwitched(frozenset(), frozenset())
    begun = {StageName.STOP_MONITORS, StageName.SUSPEND_REPLICATION, *seen.later()}
    gone = seen.gone() if StageName.STOP_REMAINING_SERVICES in begun else frozenset()
    whole = len(gone) == len(plan.estate.cluster(plan.source).nodes)
    return HalfSwitched(
        frozenset(begun),
        gone,
        complete=whole and StageName.START_SCHEDULING in begun and not seen.target_monitors_wait(),
    )


class _Seen:
    def __init__(self, plan: Plan, readings: Sequence[Reading]) -> None:
        self._plan = plan
        self._source = plan.estate.cluster(plan.source)
        self._target = plan.estate.cluster(plan.target)
        self._nodes = {r.place: r for r in readings if isinstance(r, NodeReading)}
        self._links = [r for r in readings if isinstance(r, ReplicationReading)]
        self._traffic = [r for r in readings if isinstance(r, TrafficReading)]

    def monitors_down(self) -> bool:
        return all(self._state(node.name, Service.MONITOR) in DOWN for node in self._source.nodes)

    def suspended(self, quantity: Callable[[Iterator[bool]], bool]) -> bool:
        return bool(self._links) and quantity(link.enabled is False for link in self._links)

    def later(self) -> Iterator[StageName]:
        """Yield the stages after the second, as long as they follow from one another."""
        if not (self.suspended(all) and self._moved(any)):
            return
        yield StageName.REDIRECT_TRAFFIC
        if not self._moved(all):
            return
        if self._any_scheduling_down():
            yield StageName.STOP_SCHEDULING
        if self._scheduled(self._target) and not self._scheduled(self._source):
            yield StageName.START_SCHEDULING
        if self._stopped(Kind.SERVER, Kind.EDGE, protocols=True):
            yield StageName.DRAIN_PROTOCOL_SERVERS
        if self._stopped(Kind.SERVER, protocols=False):
            yield StageName.DRAIN_TRANSACTION_MANAGER
        if self.gone():
            yield StageName.STOP_REMAINING_SERVICES

    def gone(self) -> frozenset[str]:
        return frozenset(
            node.name
            for node in self._source.nodes
            if self._state(node.name, Service.ADMIN) in DOWN
        )

    def target_monitors_wait(self) -> bool:
        return self._plan.estate.stop_target_monitors and any(
            self._state(node.name, Service.MONITOR) in DOWN for node in self._target.nodes
        )

    def _moved(self, quantity: Callable[[Iterator[bool]], bool]) -> bool:
        names = self._plan.estate.load_balancer.names
        places = [
            address == names[name][self._target.name]
            for reading in self._traffic
            for name, address in reading.resolves_to.items()
        ]
        return bool(places) and quantity(iter(places))

    def _any_scheduling_down(self) -> bool:
        return any(
            self._state(server.name, service) in DOWN
            for server in self._source.servers
            for service in SCHEDULING
        )

    def _scheduled(self, cluster: Cluster) -> bool:
        return any(
            self._state(server.name, service) not in DOWN
            for server in cluster.servers
            for service in SCHEDULING
        )

    def _stopped(self, *kinds: Kind, protocols: bool) -> bool:
        return any(
            self._state(node.name, service) in (*DOWN, State.STOPPING)
            for node in self._source.nodes
            if node.kind in kinds
            for service in (
                [Service(protocol.value) for protocol in node.protocols]
                if protocols
                else [Service.TRANSACTION_MANAGER]
            )
        )

    def _state(self, node: str, service: Service) -> State:
        reading = self._nodes.get(node)
        return State.UNKNOWN if reading is None else reading.services.get(service, State.UNKNOWN)
