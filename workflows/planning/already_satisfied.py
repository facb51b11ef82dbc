"""Tell which actions find their desired state already. Pure.

None means unknown, and is never taken for "no": the state was not read, or the action has none.
"""

from collections.abc import Iterable

from workflows.model import actions
from workflows.model.observations import NodeReading, ReplicationReading, TrafficReading
from workflows.model.results import DOWN, PROTOCOL_SERVERS, SCHEDULING, Service, State
from workflows.planning.observations import Observations
from workflows.planning.plan import Plan


def holds(observed: Observations, action: actions.Action) -> bool | None:  # noqa: PLR0911 - a case each
    """Return whether the desired state of an action was read, or another one."""
    match action:
        case actions.StartMonitor() | actions.StartScheduling() if _is_stopped_first(
            observed.plan, action
        ):
            return None  # its state now says nothing
        case actions.StartMonitor():
            return _up(observed, action.node, (Service.MONITOR,))
        case actions.SuspendReplication():
            return _not(_enabled(observed, action.link))
        case actions.ResumeReplication():
            return _enabled(observed, action.link)
        case actions.BeginSlot() | actions.DropSlot() | actions.CopyTables() | actions.RenewSlot():
            return _of_slot(observed, action)
        case actions.Redirect():
            return _redirected(observed, action.host, action.to)
        case actions.VerifyTraffic():
            return _logins_reach(observed, action)
        case actions.AwaitSessions():
            # As long as clients are sent to the node, its being without sessions says nothing.
            return _no_sessions(observed, action.node) if _traffic_moved(observed) else None
        case _:
            return _of_services(observed, action)


def _is_stopped_first(plan: Plan, action: actions.Change) -> bool:
    return any(action.undo in stage.actions for stage in plan.stages)


def _of_services(observed: Observations, action: actions.Action) -> bool | None:  # noqa: C901, PLR0911 - a case each
    match action:
        case actions.StopMonitor():
            return _down(observed, action.node, (Service.MONITOR,))
        case actions.StopScheduling() | actions.VerifySchedulingStopped():
            return _down(observed, action.node, SCHEDULING)
        case actions.StartScheduling():
            return _up(observed, action.node, map(Service, action.services))
        case actions.StopGracefully():
            return _down(observed, action.node, (Service(action.protocol.value),))
        case actions.StartAdmin():
            return _up(observed, action.node, (Service.ADMIN,))
        case actions.StartProtocolServer():
            return _up(observed, action.node, (Service(action.protocol.value),))
        case actions.VerifyStopped():
            return _down(observed, action.node, (*PROTOCOL_SERVERS, Service.MONITOR))
        case actions.StopTransactionManager():
            return _down(observed, action.node, (Service.TRANSACTION_MANAGER,))
        case actions.StartTransactionManager():
            return _up(observed, action.node, (Service.TRANSACTION_MANAGER,))
        case actions.StopRemaining():
            return _all_down(observed, action.node)
        case _:
            return None


def _down(observed: Observations, node: str, services: Iterable[Service]) -> bool | None:
    return _every(_is_down(observed.state(node, service)) for service in services)


def _up(observed: Observations, node: str, services: Iterable[Service]) -> bool | None:
    return _every(_not(_is_down(observed.state(node, service))) for service in services)


def _all_down(observed: Observations, node: str) -> bool | None:
    reading = observed.of(NodeReading, node)
    if reading is None or Service.ADMIN not in reading.services:
        return None
    return _down(observed, node, reading.services)


def _no_sessions(observed: Observations, node: str) -> bool | None:
    reading = observed.of(NodeReading, node)
    return None if reading is None or reading.sessions is None else reading.sessions == 0


def _enabled(observed: Observations, link: str) -> bool | None:
    reading = observed.of(ReplicationReading, link)
    return None if reading is None else reading.enabled


def _of_slot(observed: Observations, action: actions.Action) -> bool | None:
    """A link that runs, or that may run beside the other one, has its slot for good."""
    reading = observed.of(ReplicationReading, action.place)
    if reading is None or reading.enabled is None or reading.sends_back is None:
        return None
    kept = reading.changes_kept
    may_rest = reading.sends_back and not reading.enabled
    match action:
        case actions.BeginSlot():
            return kept if may_rest else True
        case actions.DropSlot():
            return _not(kept) if may_rest else True
        case _:
            return kept


def _traffic_moved(observed: Observations) -> bool | None:
    places = observed.estate.load_balancer.places
    return _every(_redirected(observed, place, observed.plan.target) for place in places)


def _redirected(observed: Observations, place: str, to: str) -> bool | None:
    reading = observed.of(TrafficReading, place)
    if reading is None or not reading.destinations:
        return None
    return all(one.cluster == to for one in reading.destinations)


def _logins_reach(observed: Observations, action: actions.VerifyTraffic) -> bool | None:
    nodes = [r.lands_on.get(action.protocol) for r in observed.each(TrafficReading)]
    desired = {node.name for node in observed.estate.cluster(action.to).nodes}
    return _every(None if node is None else node in desired for node in nodes)


def _is_down(state: State) -> bool | None:
    if state in DOWN:
        return True
    return False if state is State.RUNNING else None


def _not(answer: bool | None) -> bool | None:  # noqa: FBT001 - the value to negate
    return None if answer is None else not answer


def _every(answers: Iterable[bool | None]) -> bool | None:
    """Return the worst of the answers; unknown without any."""
    given = list(answers)
    if False in given:
        return False
    return True if given and None not in given else None
