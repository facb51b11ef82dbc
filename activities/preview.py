"""In which exact words would each order of a plan be sent? Asks nobody.

The words come from the very functions that the hands send; tests hold one against the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from temporalio import activity

from activities.load_balancer.driver import Drivers
from activities.nodes import linux
from activities.replication.activities import ReplicationLinks
from activities.securetransport import admin_requests as requests
from activities.securetransport import scripts as securetransport
from workflows.model import actions
from workflows.model.estate import Estate, Node
from workflows.model.results import PROTOCOL_SERVERS, SCHEDULING, Service
from workflows.planning.plan import Plan
from workflows.planning.preview import CommandPreview
from workflows.ports.preview import PreviewPort


class CommandPreviews(PreviewPort):
    """Spells for the same shell, API, load balancer and databases that the hands reach."""

    def __init__(self, load_balancers: Drivers, replication: ReplicationLinks) -> None:
        self._load_balancers = load_balancers
        self._replication = replication

    @activity.defn
    async def preview_commands(self, plan: Plan) -> tuple[CommandPreview, ...]:
        """Return the exact words of every order of the plan."""
        return tuple(
            CommandPreview(
                stage=stage.name,
                action=action.key,
                commands=tuple(self.words(plan.estate, action)),
            )
            for stage in plan.stages
            for action in stage.actions
        )

    def words(self, estate: Estate, action: actions.Action) -> Iterable[str]:
        """Return what one order sends; nothing for an observation, which only looks."""
        match action:
            case actions.Redirect():
                return self._load_balancers.of(estate.load_balancer).preview(action)
            case actions.VerifyTraffic():
                return _proving_traffic(estate, action)
            case (
                actions.SuspendReplication()
                | actions.VerifyNoConflicts()
                | actions.ResumeReplication()
            ):
                return self._replication.preview(estate, action)
            case actions.AwaitInFlightEvents() | actions.AwaitSessions() | actions.AwaitQueue():
                return _waiting(estate, action)
            case actions.FindOrphanedFiles():
                storage = estate.cluster_of(action.node).storage
                return _twice((str(linux.orphans(storage)),), estate.timing.reading_interval)
            case _:
                return (*_looking(estate, action), *_sending(estate, action))


def _sending(estate: Estate, action: actions.Action) -> Iterator[str]:
    match action:
        case actions.StopScheduling():
            yield from (str(requests.operation("stop", service)) for service in SCHEDULING)
        case actions.StartScheduling():
            services = map(Service, action.services)
            yield from (str(requests.operation("start", service)) for service in services)
        case actions.StopMonitor():
            yield str(securetransport.stop_monitor(estate.node(action.node)))
        case actions.StopGracefully():
            yield _gracefully(estate, action, Service(action.protocol.value))
        case actions.StopTransactionManager():
            yield _gracefully(estate, action, Service.TRANSACTION_MANAGER)
        case actions.StopRemaining():
            yield str(securetransport.stop_all(estate.node(action.node)))
        case actions.StartAll():
            yield str(securetransport.start_all(estate.node(action.node)))
        case (
            actions.StartMonitor()
            | actions.StartProtocolServer()
            | actions.StartTransactionManager()
        ):
            yield str(securetransport.start(estate.node(action.node), _started(action)))


def _looking(estate: Estate, action: actions.Action) -> Iterator[str]:
    timing = estate.timing
    match action:
        case actions.VerifySchedulingStopped():
            looks = tuple(str(requests.state(service)) for service in SCHEDULING)
            yield from _twice(looks, timing.takeover)
        case actions.VerifyStopped():
            services = (*PROTOCOL_SERVERS, Service.MONITOR)
            yield from _twice(
                _statuses(estate.node(action.node), services), timing.reading_interval
            )
        case actions.VerifyServing():
            node = estate.node(action.node)
            services = securetransport.serving(node)
            yield from _twice(_statuses(node, services), timing.reading_interval)


def _statuses(node: Node, services: Iterable[Service]) -> Iterator[str]:
    """Of the status scripts only those are asked that the listing has."""
    yield str(securetransport.scripts(node))
    yield from (str(securetransport.status(node, service)) for service in services)


def _gracefully(
    estate: Estate,
    action: actions.StopGracefully | actions.StopTransactionManager,
    service: Service,
) -> str:
    return str(securetransport.stop_gracefully(estate.node(action.node), service, action.grace))


def _started(
    action: actions.StartMonitor | actions.StartProtocolServer | actions.StartTransactionManager,
) -> Service:
    match action:
        case actions.StartMonitor():
            return Service.MONITOR
        case actions.StartProtocolServer():
            return Service(action.protocol.value)
        case actions.StartTransactionManager():
            return Service.TRANSACTION_MANAGER


def _proving_traffic(estate: Estate, action: actions.VerifyTraffic) -> Iterator[str]:
    for probe in estate.load_balancer.probes:
        if probe.protocol is action.protocol:
            yield f"login as {probe.user} over {probe.protocol} at {probe.address}:{probe.port}"
            where = f"on every node that serves {probe.protocol}"
            yield f"{where}, until one of {action.to} lists it: {requests.SESSIONS}"


def _waiting(
    estate: Estate, action: actions.AwaitInFlightEvents | actions.AwaitSessions | actions.AwaitQueue
) -> Iterator[str]:
    timing = estate.timing
    agree = f"in {timing.readings} readings, {_seconds(timing.reading_interval)} apart"
    match action:
        case actions.AwaitSessions():
            served = estate.node(action.node).protocols
            ports = [f"{port} ({name})" for name, ports in served.items() for port in ports]
            yield f"until nobody is connected to {', '.join(ports)} {agree}: cat {linux.TABLES}"
            yield f"until nobody is listed {agree}: {requests.SESSIONS}"
        case actions.AwaitQueue():
            for path in ("events", "transfers"):
                yield f"until totalCount is 0 {agree}: {requests.counting(path)}"
        case actions.AwaitInFlightEvents():
            listing = requests.page("events", {"fields": "id"})
            yield f"until nothing is left of what was listed first: {listing}"
            yield f"then {_seconds(timing.storage_delay)} more"


def _twice(looks: Iterable[str], apart: timedelta) -> Iterator[str]:
    yield from looks
    yield f"and once more, {_seconds(apart)} later"


def _seconds(time: timedelta) -> str:
    return f"{time.total_seconds():g} s"
