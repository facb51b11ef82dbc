"""Checks of what runs on the nodes: services, sessions, timeouts."""

from collections.abc import Iterator
from functools import partial

from workflows.model.checks import Check, Heading, Scope
from workflows.model.estate import Cluster, Kind, Protocol
from workflows.model.findings import Finding, Severity
from workflows.model.observations import LoginReading
from workflows.model.results import DOWN, PROTOCOL_SERVERS, SCHEDULING, Service, State
from workflows.model.stages import StageName
from workflows.model.text import listed
from workflows.preflight.context import CheckContext, declare

check = partial(declare, heading=Heading.SERVICES)

MIN_GRACEFUL_TIMEOUT = 60
"""Seconds; HTTP's default is 30 (section 4)."""
MIN_TRANSACTION_MANAGER_TIMEOUT = 30
"""Seconds: below it the Transaction Manager's stop is not graceful (section 5)."""
TRANSACTION_MANAGER_TIMEOUT = "TransactionManager.GracefulShutdownTimeout"


@check(Scope.NODES, acceptable=True)
def service_unreadable(context: CheckContext) -> Iterator[Finding]:
    """Every service's state is known."""
    for node, reading in context.nodes:
        # Scheduling is not asked about where its Transaction Manager is down: it cannot run.
        managed = reading.services.get(Service.TRANSACTION_MANAGER) not in DOWN
        for service, state in reading.services.items():
            if state is State.UNKNOWN and (managed or service not in SCHEDULING):
                yield service_unreadable.finding(
                    node.name,
                    seen=f"{service}: {reading.texts.get(service, 'no answer')!r}",
                    expected="a known status",
                    advice="run the status command by hand; if the text is the vendor's, report it",
                )


@check(Scope.NODES)
def protocol_server_not_running(context: CheckContext) -> Iterator[Finding]:
    """Every protocol server that the estate lists runs."""
    for cluster, role in _serving(context):
        for node, reading in context.nodes_of(cluster):
            for protocol in node.protocols:
                state = reading.services.get(Service(protocol.value), State.UNKNOWN)
                # An unknown state is service_unreadable's finding, with the node's own text.
                if state not in (State.RUNNING, State.UNKNOWN):
                    yield protocol_server_not_running.finding(
                        node.name,
                        seen=f"{protocol} {state}",
                        expected=f"{protocol} running, as the estate says the {role} serves it",
                        advice=f"start it, or remove {protocol} from the node's protocols",
                    )


@check(Scope.NODES)
def port_not_listening(context: CheckContext) -> Iterator[Finding]:
    """Every port that the estate lists has a listener."""
    # A status script says "alive" as soon as one listener of several works. An undo waits until the
    # source listens on all of its ports again.
    for cluster, _ in _serving(context):
        for node, reading in context.nodes_of(cluster):
            if reading.silent_ports:
                yield port_not_listening.finding(
                    node.name,
                    seen=f"nothing listens on {listed(reading.silent_ports)}"
                    + (f" at {listed(node.listen_on)}" if node.listen_on else ""),
                    expected="a listener on every port and address that clients use",
                    advice="start the listener, or correct protocols and listen_on in the estate",
                )


def _serving(context: CheckContext) -> Iterator[tuple[Cluster, str]]:
    """Yield the clusters that serve clients now, or are to, each with its role."""
    if context.plan.procedure == "rejoin":
        yield context.source, "active cluster"
        return
    # The source serves until it drains; the target serves from the first connection on.
    if StageName.DRAIN_PROTOCOL_SERVERS not in context.begun:
        yield context.source, "source"
    yield context.target, "target"


@check(Scope.SOURCE_NODES, until=StageName.DRAIN_PROTOCOL_SERVERS, only="switchover")
def protocol_server_not_in_estate(context: CheckContext) -> Iterator[Finding]:
    """Every protocol server that runs is in the estate."""
    # A protocol server that the estate does not list would never be drained.
    for node, reading in context.nodes_of(context.source):
        for service in PROTOCOL_SERVERS:
            known = Protocol(service.value) in node.protocols
            if not known and reading.services.get(service) is State.RUNNING:
                yield protocol_server_not_in_estate.finding(
                    node.name,
                    seen=f"{service} running",
                    expected="only the protocol servers that the estate lists",
                    advice=f"add {service} to the node's protocols, or stop it",
                )


@check(Scope.SERVERS, until=StageName.DRAIN_TRANSACTION_MANAGER)
def transaction_manager_not_running(context: CheckContext) -> Iterator[Finding]:
    """Every Transaction Manager runs."""
    needed = context.nodes
    if context.plan.procedure == "rejoin":
        needed = context.nodes_of(context.source)
    for node, reading in needed:
        state = reading.services.get(Service.TRANSACTION_MANAGER, State.UNKNOWN)
        if node.kind is Kind.SERVER and state not in (State.RUNNING, State.UNKNOWN):
            yield transaction_manager_not_running.finding(
                node.name,
                seen=f"the Transaction Manager {state}",
                expected="running on every Server of a cluster that serves, or is to",
                advice="start it with start_tm and check again",
            )


@check(Scope.SOURCE, until=StageName.STOP_SCHEDULING, only="switchover")
def source_not_active(context: CheckContext) -> Iterator[Finding]:
    """Scheduler and Folder Monitor run on the source."""
    yield from not_active(context, source_not_active, "check whether source and target are swapped")


def not_active(context: CheckContext, check_: Check, advice: str) -> Iterator[Finding]:
    """Yield a finding of the check for each service of scheduling that runs nowhere on the source.

    A service whose state is unknown is another check's.
    """
    for service in SCHEDULING:
        states = [
            reading.services.get(service, State.UNKNOWN)
            for node, reading in context.nodes_of(context.source)
            if node.kind is Kind.SERVER
        ]
        if states and State.RUNNING not in states and State.UNKNOWN not in states:
            yield check_.finding(
                context.source.name,
                seen=f"{service} running on no Server",
                expected=f"{service} running: {context.source.name} is to be the active cluster",
                advice=advice,
            )


@check(Scope.TARGET_NODES, until=StageName.START_SCHEDULING, only="switchover")
def target_not_idle(context: CheckContext) -> Iterator[Finding]:
    """Scheduler and Folder Monitor do not run on the target."""
    # Scheduling never runs on both clusters.
    for node, reading in context.nodes_of(context.target):
        for service in SCHEDULING:
            if reading.services.get(service) is State.RUNNING:
                yield target_not_idle.finding(
                    node.name,
                    seen=f"{service} running",
                    expected="Scheduler and Folder Monitor stopped on the passive cluster",
                    advice="stop it; check whether source and target are swapped",
                )


@check(Scope.TARGET_NODES, until=StageName.START_SCHEDULING, only="switchover")
def scheduling_disabled(context: CheckContext) -> Iterator[Finding]:
    """Scheduler and Folder Monitor can be started on the target."""
    for node, reading in context.nodes_of(context.target):
        for service in SCHEDULING:
            if reading.services.get(service) is State.DISABLED:
                yield scheduling_disabled.finding(
                    node.name,
                    seen=f"{service} disabled by its option",
                    expected="an option that allows it to start",
                    advice="set Scheduler.enable and FolderMonitor.enable to true",
                )


@check(Scope.TARGET_NODES, until=StageName.REDIRECT_TRAFFIC, acceptable=True)
def target_has_sessions(context: CheckContext) -> Iterator[Finding]:
    """No client is connected to the target."""
    for node, reading in context.nodes_of(context.target):
        if reading.sessions:
            yield target_has_sessions.finding(
                node.name,
                seen=f"client connections: {reading.sessions}",
                expected="none on the passive cluster",
                advice="find the client that bypasses the load balancer, or list its address in "
                "ignored_peers",
            )


@check(Scope.TARGET_FRONT, only="switchover")
def target_edge_login_fails(context: CheckContext) -> Iterator[Finding]:
    """A login and a listing on the target's client-facing nodes succeed."""
    # A listing shows that the Edge reaches a Transaction Manager.
    for reading in context.each(LoginReading):
        if reading.failure is not None:
            yield target_edge_login_fails.finding(
                reading.place,
                seen=f"{reading.protocol}: {reading.failure}",
                expected="a login and a listing",
                advice="check that the node reaches a Transaction Manager, and read its log",
            )


@check(
    Scope.SOURCE_NODES, severity=Severity.WARNS, until=StageName.STOP_MONITORS, only="switchover"
)
def monitor_not_running(context: CheckContext) -> Iterator[Finding]:
    """The Monitor runs."""
    # One that does not run before a switchover stays down after it.
    for node, reading in context.nodes_of(context.source):
        if reading.services.get(Service.MONITOR) in DOWN:
            yield monitor_not_running.finding(
                node.name,
                seen="the Monitor down",
                expected="running, as on a cluster that serves",
                advice="without it no failed service is restarted; start it unless this is "
                "intended",
            )


@check(Scope.SOURCE_NODES, severity=Severity.WARNS, only="switchover")
def graceful_timeout_short(context: CheckContext) -> Iterator[Finding]:
    """Graceful timeouts are at least a minute."""
    # A configured timeout below a minute cuts transfers when an operator stops the service.
    for node, reading in context.nodes_of(context.source):
        for option, value in sorted(reading.graceful_timeouts.items()):
            if option != TRANSACTION_MANAGER_TIMEOUT:
                yield from _short(graceful_timeout_short, node.name, option, value)


@check(Scope.SOURCE_NODES, severity=Severity.WARNS, only="switchover")
def transaction_manager_timeout_short(context: CheckContext) -> Iterator[Finding]:
    """The Transaction Manager's graceful timeout is at least 30 s."""
    # Below 30 seconds the Transaction Manager's stop is not graceful (section 5).
    for node, reading in context.nodes_of(context.source):
        value = reading.graceful_timeouts.get(TRANSACTION_MANAGER_TIMEOUT, "")
        yield from _short(
            transaction_manager_timeout_short, node.name, TRANSACTION_MANAGER_TIMEOUT, value
        )


def _short(check_: Check, node: str, option: str, value: str) -> Iterator[Finding]:
    manager = option == TRANSACTION_MANAGER_TIMEOUT
    least = MIN_TRANSACTION_MANAGER_TIMEOUT if manager else MIN_GRACEFUL_TIMEOUT
    if value.isdigit() and int(value) < least:
        yield check_.finding(
            node,
            seen=f"{option} is {value} s",
            expected=f"at least {least} s",
            advice="a switchover passes its own timeout; a stop by hand would not",
        )
