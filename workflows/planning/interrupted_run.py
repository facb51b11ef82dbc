"""Find a switchover with the plan's own roles that was terminated before its end.

It is found by readings alone: nothing else is sure to have outlived that run. Pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workflows.model.estate import Cluster, Node
from workflows.model.observations import Reading
from workflows.model.results import DOWN, SCHEDULING, Service, State
from workflows.model.stages import StageName
from workflows.planning.observations import Observations
from workflows.planning.plan import Plan


@dataclass(frozen=True)
class InterruptedRun:
    """How far an earlier run came."""

    begun: frozenset[StageName] = frozenset()
    """Empty where no switchover was interrupted."""
    stopped_nodes: frozenset[str] = frozenset()
    """Source nodes on which no service runs any more, admin included."""
    complete: bool = False
    """Whether nothing remains to be done."""


def find_interrupted_run(plan: Plan, readings: Sequence[Reading]) -> InterruptedRun:
    """Return how far a switchover with this plan's roles had come.

    It is found only by a chain without a gap: source Monitors down and replication suspended, then
    traffic on the target, then the rest. Whatever does not fit in there is checked as usual.
    """
    observed = Observations(plan, tuple(readings))
    suspended = [link.enabled is False for link in observed.links]
    if not (any(suspended) and all(_down(observed, node) for node in observed.source.nodes)):
        return InterruptedRun()
    begun = {StageName.STOP_MONITORS, StageName.SUSPEND_REPLICATION}
    if all(suspended):
        begun.update(_later_stages(observed))
    stopped = _stopped_nodes(observed)
    if StageName.STOP_REMAINING_SERVICES not in begun:
        stopped = frozenset()
    return InterruptedRun(
        frozenset(begun),
        stopped,
        complete=len(stopped) == len(observed.source.nodes)
        and StageName.START_SCHEDULING in begun
        and not _target_monitors_are_down(observed),
    )


def _later_stages(observed: Observations) -> Iterator[StageName]:
    """Yield the stages after the second, as long as each follows from the one before."""
    moved = list(observed.destinations_on(observed.target.name))
    if any(moved):
        yield StageName.REDIRECT_TRAFFIC
    if not moved or not all(moved):
        return
    source = observed.source
    servers = [(server, service) for server in source.servers for service in SCHEDULING]
    if any(_down(observed, server, service) for server, service in servers):
        yield StageName.STOP_SCHEDULING
    if _may_schedule(observed, observed.target) and not _may_schedule(observed, source):
        yield StageName.START_SCHEDULING
    if any(
        _stops(observed, node, Service(protocol.value))
        for node in source.nodes
        for protocol in node.protocols
    ):
        yield StageName.DRAIN_PROTOCOL_SERVERS
    if any(_stops(observed, node, Service.TRANSACTION_MANAGER) for node in source.servers):
        yield StageName.DRAIN_TRANSACTION_MANAGER
    if _stopped_nodes(observed):
        yield StageName.STOP_REMAINING_SERVICES


def _stopped_nodes(observed: Observations) -> frozenset[str]:
    nodes = observed.source.nodes
    return frozenset(node.name for node in nodes if _down(observed, node, Service.ADMIN))


def _target_monitors_are_down(observed: Observations) -> bool:
    return observed.estate.stop_target_monitors and any(
        _down(observed, node) for node in observed.target.nodes
    )


def _may_schedule(observed: Observations, cluster: Cluster) -> bool:
    return any(
        not _down(observed, server, service) for server in cluster.servers for service in SCHEDULING
    )


def _down(observed: Observations, node: Node, service: Service = Service.MONITOR) -> bool:
    return observed.state(node.name, service) in DOWN


def _stops(observed: Observations, node: Node, service: Service) -> bool:
    """Return whether a service is down or about to be."""
    return observed.state(node.name, service) in (*DOWN, State.STOPPING)
