"""What runs on the nodes: services, sessions, timeouts."""

from __future__ import annotations

from collections.abc import Iterator

from workflows.model.estate import Cluster, Kind, Protocol
from workflows.model.findings import Finding
from workflows.model.results import DOWN, PROTOCOL_SERVERS, SCHEDULING, Service, State
from workflows.model.stages import StageName
from workflows.preflight.context import Seen, finding

SHORTEST_GRACE = 60
"""Seconds; HTTP's default is 30 (section 4)."""
SHORTEST_MANAGER_GRACE = 30
"""Seconds: below it the Transaction Manager's stop is not graceful (section 5)."""
MANAGER_GRACE = "TransactionManager.GracefulShutdownTimeout"


def _protocol_servers_run(seen: Seen, cluster: Cluster, role: str) -> Iterator[Finding]:
    for node, reading in seen.of(cluster):
        for protocol in node.protocols:
            state = reading.services.get(Service(protocol.value), State.UNKNOWN)
            if state is State.UNKNOWN:
                continue  # said by unreadable_services, with the node's own words
            if state is not State.RUNNING:
                yield finding(
                    "protocol_server_not_running",
                    node.name,
                    seen=f"{protocol} {state}",
                    expected=f"{protocol} running, as the estate says the {role} serves it",
                    advice=f"start it, or take {protocol} out of the node's protocols",
                )


def source_protocol_servers(seen: Seen) -> Iterator[Finding]:
    """The source serves what the estate says, until it drains."""
    if StageName.DRAIN_PROTOCOL_SERVERS in seen.begun:
        return iter(())
    return _protocol_servers_run(seen, seen.source, "source")


def target_protocol_servers(seen: Seen) -> Iterator[Finding]:
    """The target is up: it must serve from the first connection on."""
    return _protocol_servers_run(seen, seen.target, "target")


def unlisted_protocol_servers(seen: Seen) -> Iterator[Finding]:
    """A protocol server that the estate does not know would never be drained."""
    for node, reading in seen.of(seen.source):
        for service in PROTOCOL_SERVERS:
            listed = Protocol(service.value) in node.protocols
            if not listed and reading.services.get(service) is State.RUNNING:
                yield finding(
                    "protocol_server_not_in_estate",
                    node.name,
                    seen=f"{service} running",
                    expected="only the protocol servers that the estate lists",
                    advice=f"add {service} to the node's protocols, or stop it",
                )


def transaction_managers(seen: Seen) -> Iterator[Finding]:
    """Every Server's Transaction Manager runs, on both sides."""
    for cluster in (seen.source, seen.target):
        for node, reading in seen.of(cluster):
            state = reading.services.get(Service.TRANSACTION_MANAGER, State.UNKNOWN)
            if node.kind is Kind.SERVER and state not in (State.RUNNING, State.UNKNOWN):
                yield finding(
                    "transaction_manager_not_running",
                    node.name,
                    seen=f"the Transaction Manager {state}",
                    expected="running on every Server of both clusters",
                    advice="start it with start_tm and check again",
                )


def source_scheduling(seen: Seen) -> Iterator[Finding]:
    """Scheduler and Folder Monitor run somewhere on the source: it is the active side."""
    for service in SCHEDULING:
        states = [
            reading.services.get(service, State.UNKNOWN)
            for node, reading in seen.of(seen.source)
            if node.kind is Kind.SERVER
        ]
        if states and State.RUNNING not in states and State.UNKNOWN not in states:
            yield finding(
                "source_not_active",
                seen.source.name,
                seen=f"{service} running on no Server",
                expected=f"{service} running: {seen.source.name} is to be the active cluster",
                advice="look whether source and target are the right way round",
            )


def target_scheduling(seen: Seen) -> Iterator[Finding]:
    """Scheduling never runs on both clusters, and the target's can be started."""
    for node, reading in seen.of(seen.target):
        for service in SCHEDULING:
            state = reading.services.get(service)
            if state is State.RUNNING:
                yield finding(
                    "target_not_idle",
                    node.name,
                    seen=f"{service} running",
                    expected="Scheduler and Folder Monitor stopped on the passive cluster",
                    advice="stop it; look whether source and target are the right way round",
                )
            if state is State.DISABLED:
                yield finding(
                    "scheduling_disabled",
                    node.name,
                    seen=f"{service} disabled by its option",
                    expected="an option that lets it start",
                    advice="set Scheduler.enable and FolderMonitor.enable to true",
                )


def target_sessions(seen: Seen) -> Iterator[Finding]:
    """No client is on the target yet."""
    for node, reading in seen.of(seen.target):
        if reading.sessions:
            yield finding(
                "target_has_sessions",
                node.name,
                seen=f"{reading.sessions} client connections",
                expected="none on the passive cluster",
                advice="find out who connects past the load balancer, or list it in ignored_peers",
            )


def unreadable_services(seen: Seen) -> Iterator[Finding]:
    """A service whose state nobody understands is neither running nor stopped."""
    for node, reading in seen.nodes:
        for service, state in reading.services.items():
            if state is State.UNKNOWN:
                yield finding(
                    "service_unreadable",
                    node.name,
                    seen=f"{service}: {reading.texts.get(service, 'no answer')!r}",
                    expected="a status that is known",
                    advice="ask the node by hand; report the words if they are the vendor's",
                )


def monitors_down(seen: Seen) -> Iterator[Finding]:
    """A Monitor that does not run before a switchover is worth knowing, and will stay down."""
    for node, reading in seen.of(seen.source):
        if reading.services.get(Service.MONITOR) in DOWN:
            yield finding(
                "monitor_not_running",
                node.name,
                seen="the Monitor down",
                expected="running, as on a cluster that serves",
                advice="nothing restarts a service that dies; start it if that is not meant",
            )


def short_timeouts(seen: Seen) -> Iterator[Finding]:
    """A configured graceful timeout below a minute cuts transfers when anyone else stops it."""
    for node, reading in seen.of(seen.source):
        for option, value in sorted(reading.graceful_timeouts.items()):
            manager = option == MANAGER_GRACE
            least = SHORTEST_MANAGER_GRACE if manager else SHORTEST_GRACE
            if value.isdigit() and int(value) < least:
                name = "transaction_manager_timeout_short" if manager else "graceful_timeout_short"
                yield finding(
                    name,
                    node.name,
                    seen=f"{option} is {value} s",
                    expected=f"at least {least} s",
                    advice="a switchover passes its own timeout; a stop by hand would not",
                )


SERVICES = (
    unreadable_services,
    target_protocol_servers,
    source_protocol_servers,
    unlisted_protocol_servers,
    transaction_managers,
    source_scheduling,
    target_scheduling,
    target_sessions,
    monitors_down,
    short_timeouts,
)
