"""Find a rejoin of the plan's own cluster that ended before its time, or that is done. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from workflows.model.estate import Node
from workflows.model.observations import Reading
from workflows.model.results import DOWN, SCHEDULING, Service, State
from workflows.model.stages import StageName
from workflows.planning.interrupted_run import InterruptedRun
from workflows.planning.observations import Observations
from workflows.planning.plan import Plan

UP = (State.RUNNING, State.STOPPING)


def find_interrupted_rejoin(plan: Plan, readings: Sequence[Reading]) -> InterruptedRun:
    """Return how far the returning cluster is back, by what runs there."""
    observed = Observations(plan, tuple(readings))
    returning = observed.target
    if any(observed.destinations_on(returning.name)):
        return InterruptedRun()  # it serves: nothing of it is a rejoin's
    down = {n.name for n in returning.nodes if observed.state(n.name, Service.ADMIN) in DOWN}
    begun = frozenset(_begun(observed)) if _any_runs(observed, returning.nodes) else frozenset()
    return InterruptedRun(begun, frozenset(down), complete=_is_complete(observed))


def _begun(observed: Observations) -> Iterator[StageName]:
    """Yield the stages of which something is there: a rollback concerns them, too."""
    yield StageName.START_ADMIN
    servers = observed.target.servers
    if not _schedules(observed):
        yield StageName.PAUSE_SCHEDULING
    if _any_runs(observed, servers, (Service.TRANSACTION_MANAGER,)):
        yield StageName.START_TRANSACTION_MANAGERS
    if not any(_any_runs(observed, (node,), map(Service, node.protocols)) for node in servers):
        return
    yield StageName.START_SERVICES
    if any(link.enabled for link in observed.links):
        yield StageName.RESUME_REPLICATION
    if _any_runs(observed, observed.target.nodes, (Service.MONITOR,)):
        yield StageName.START_MONITORS


def _is_complete(observed: Observations) -> bool:
    """Return whether nothing remains to be done."""
    links = [link.enabled for link in observed.links]
    runs = [
        observed.state(node.name, service) is State.RUNNING
        for node in observed.target.nodes
        for service in (Service.ADMIN, Service.MONITOR, *map(Service, node.protocols))
    ]
    managers = [
        observed.state(server.name, Service.TRANSACTION_MANAGER) is State.RUNNING
        for server in observed.target.servers
    ]
    # Links that rest are not among them; without a reading nothing is known.
    return bool(links) and all(links) and all(runs) and all(managers)


def _schedules(observed: Observations) -> bool:
    """Return whether scheduling may run on the active cluster."""
    return any(
        observed.state(server.name, service) not in DOWN
        for server in observed.source.servers
        for service in SCHEDULING
    )


def _any_runs(
    observed: Observations, nodes: Sequence[Node], services: Iterable[Service] = Service
) -> bool:
    wanted = tuple(services)
    return any(observed.state(node.name, service) in UP for node in nodes for service in wanted)
