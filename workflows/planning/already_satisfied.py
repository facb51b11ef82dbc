"""Which orders find their wished state already? Readings in, an answer out. Pure.

Nobody is told "no" where the answer is "nobody knows": both a reading that was not made and an
order that has no state to wish for are None.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workflows.model import actions
from workflows.model.estate import Estate
from workflows.model.observations import NodeReading, Reading, ReplicationReading, TrafficReading
from workflows.model.results import DOWN, PROTOCOL_SERVERS, SCHEDULING, Service, State
from workflows.model.stages import StageName
from workflows.planning.plan import Plan


def holds(plan: Plan, action: actions.Action, readings: Sequence[Reading]) -> bool | None:  # noqa: PLR0911 - one a wish
    """Return whether the state that an order wishes for was read, or another one."""
    seen = _Seen(plan.estate, readings)
    match action:
        case actions.StartMonitor():
            # Where the plan stops it first, what it is now says nothing.
            stopped = action.undo in plan.stage(StageName.STOP_MONITORS).actions
            return None if stopped else seen.up(action.node, (Service.MONITOR,))
        case actions.SuspendReplication():
            return seen.replicating(action.link, wished=False)
        case actions.ResumeReplication():
            return seen.replicating(action.link, wished=True)
        case actions.Redirect():
            return seen.points(action.host, action.to)
        case actions.VerifyTraffic():
            return seen.lands(action)
        case actions.AwaitSessions():
            # As long as clients are sent there, nobody there says nothing.
            return seen.remaining(action.node) if seen.moved(plan) else None
        case _:
            return _of_services(seen, action)


def _of_services(seen: _Seen, action: actions.Action) -> bool | None:  # noqa: PLR0911 - one per wish
    match action:
        case actions.StopMonitor():
            return seen.down(action.node, (Service.MONITOR,))
        case actions.StopScheduling() | actions.VerifySchedulingStopped():
            return seen.down(action.node, SCHEDULING)
        case actions.StartScheduling():
            return seen.up(action.node, map(Service, action.services))
        case actions.StopGracefully():
            return seen.down(action.node, (Service(action.protocol.value),))
        case actions.StartProtocolServer():
            return seen.up(action.node, (Service(action.protocol.value),))
        case actions.VerifyStopped():
            return seen.down(action.node, (*PROTOCOL_SERVERS, Service.MONITOR))
        case actions.StopTransactionManager():
            return seen.down(action.node, (Service.TRANSACTION_MANAGER,))
        case actions.StartTransactionManager():
            return seen.up(action.node, (Service.TRANSACTION_MANAGER,))
        case actions.StopRemaining():
            return seen.all_down(action.node)
        case _:
            return None


class _Seen:
    def __init__(self, estate: Estate, readings: Sequence[Reading]) -> None:
        self._estate = estate
        self._nodes = {r.place: r for r in readings if isinstance(r, NodeReading)}
        self._links = {r.place: r for r in readings if isinstance(r, ReplicationReading)}
        self._traffic = {r.place: r for r in readings if isinstance(r, TrafficReading)}

    def down(self, node: str, services: Iterable[Service]) -> bool | None:
        return _every(_is_down(self._state(node, service)) for service in services)

    def up(self, node: str, services: Iterable[Service]) -> bool | None:
        return _every(_not(_is_down(self._state(node, service))) for service in services)

    def all_down(self, node: str) -> bool | None:
        services = self._nodes[node].services if node in self._nodes else {}
        return self.down(node, services) if Service.ADMIN in services else None

    def remaining(self, node: str) -> bool | None:
        sessions = self._nodes[node].sessions if node in self._nodes else None
        return None if sessions is None else sessions == 0

    def replicating(self, link: str, *, wished: bool) -> bool | None:
        enabled = self._links[link].enabled if link in self._links else None
        return None if enabled is None else enabled is wished

    def moved(self, plan: Plan) -> bool | None:
        hosts = (host.name for host in self._estate.load_balancer.hosts)
        return _every(self.points(host, plan.target) for host in hosts)

    def points(self, host: str, to: str) -> bool | None:
        found = self._traffic[host].resolves_to if host in self._traffic else {}
        names = self._estate.load_balancer.names
        wanted = {name: addresses[to] for name, addresses in names.items()}
        return {name: found.get(name) for name in wanted} == wanted if found else None

    def lands(self, action: actions.VerifyTraffic) -> bool | None:
        nodes = [reading.lands_on.get(action.protocol) for reading in self._traffic.values()]
        wanted = {node.name for node in self._estate.cluster(action.to).nodes}
        return _every(None if node is None else node in wanted for node in nodes)

    def _state(self, node: str, service: Service) -> State:
        reading = self._nodes.get(node)
        return State.UNKNOWN if reading is None else reading.services.get(service, State.UNKNOWN)


def _is_down(state: State) -> bool | None:
    if state in DOWN:
        return True
    return False if state is State.RUNNING else None


def _not(answer: bool | None) -> bool | None:  # noqa: FBT001 - it is what it is about
    return None if answer is None else not answer


def _every(answers: Iterable[bool | None]) -> bool | None:
    """Return the worst of the answers; without any, nobody knows."""
    given = list(answers)
    if False in given:
        return False
    return True if given and None not in given else None
