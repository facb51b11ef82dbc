"""SecureTransport's scripts, and what they print (docs/securetransport.md, section 3)."""

import re
from collections.abc import Collection

from activities.securetransport.service_state import ObservedState
from activities.transport.commands import command_for
from activities.transport.ssh import Command
from workflows.model import actions
from workflows.model.estate import Kind, Node, Protocol
from workflows.model.results import PROTOCOL_SERVERS, Service, State

SCRIPTS = {
    Service.MONITOR: "monitord",
    Service.FTP: "ftpd",
    Service.HTTP: "httpd",
    Service.AS2: "as2d",
    Service.SSH: "sshd",
    Service.PESIT: "pesitd",
    Service.TRANSACTION_MANAGER: "tm",
    Service.ADMIN: "admin",
    Service.PROXY: "socks",
    Service.DATABASE: "db",
}
"""The name of each service in ``start_X``, ``stop_X`` and ``status_X``."""

PID_FILES = {service: (f"{name}.pid",) for service, name in SCRIPTS.items()} | {
    Service.TRANSACTION_MANAGER: ("tm.pid", "tm-java.pid"),
    Service.ADMIN: ("admin/tomcat.pid",),
}
"""Under ``var/run``."""

SUFFIXES = {"linux": "", "windows": ".com"}
"""By system: how the names of all scripts end."""

_COMMON = (Service.MONITOR, *PROTOCOL_SERVERS, Service.ADMIN)
SERVICES = {
    Kind.SERVER: (*_COMMON, Service.TRANSACTION_MANAGER),
    Kind.EDGE: (*_COMMON, Service.PROXY, Service.DATABASE),
}
"""What runs on each kind of node and has a script."""

_STATUS = re.compile(r"(\w+) is (alive|down|disabled)\.?")
_STATES = {"alive": State.RUNNING, "down": State.STOPPED, "disabled": State.DISABLED}


def expected(node: Node) -> frozenset[Service]:
    """Return the services whose scripts the node must have."""
    served = {Service(protocol.value) for protocol in node.protocols}
    manager = {Service.TRANSACTION_MANAGER} if node.kind is Kind.SERVER else set()
    return frozenset({Service.MONITOR, Service.ADMIN} | served | manager)


def serving(node: Node) -> tuple[Service, ...]:
    """Return what clients need running here, in a stable sequence; an Edge has no manager."""
    served = tuple(s for s in PROTOCOL_SERVERS if Protocol(s.value) in node.protocols)
    manager = (Service.TRANSACTION_MANAGER,) if node.kind is Kind.SERVER else ()
    return (*served, *manager)


def needed(node: Node) -> tuple[str, ...]:
    """Return the names of all scripts that a switchover or its rollback may run on a node."""
    services = [s for s in SERVICES[node.kind] if s is not Service.MONITOR]
    names = [
        f"{verb}_{SCRIPTS[service]}"
        for service in services
        if service in expected(node)
        for verb in ("start", "stop", "status")
    ]
    monitor = node.monitor
    commands = (monitor.start, monitor.stop, monitor.status, node.stop_all, ("start_all",))
    return (*names, *(first for first, *_ in commands))


def status(node: Node, service: Service) -> Command:
    """Return the command that reads the state of a service."""
    if service is Service.MONITOR:
        return _command(node, *node.monitor.status)
    return _command(node, f"status_{SCRIPTS[service]}")


def service_of(action: actions.Change) -> Service:
    """Return the service that an action on a node starts or stops."""
    if isinstance(action, actions.StopGracefully | actions.StartProtocolServer):
        return Service(action.protocol.value)
    if isinstance(action, actions.StopTransactionManager | actions.StartTransactionManager):
        return Service.TRANSACTION_MANAGER
    if isinstance(action, actions.StartAdmin):
        return Service.ADMIN
    return Service.MONITOR


def command(node: Node, action: actions.Change) -> Command:
    """Return the one command that an action runs on its node."""
    match action:
        case actions.StopMonitor():
            return _command(node, *node.monitor.stop)
        case actions.StartMonitor():
            return _command(node, *node.monitor.start)
        case actions.StopGracefully() | actions.StopTransactionManager():
            # The timeout is explicit, since HTTP's default is 30 s.
            timeout = ("-timeout", str(int(action.grace.total_seconds())))
            return _command(node, f"stop_{SCRIPTS[service_of(action)]}", "-g", *timeout)
        case (
            actions.StartProtocolServer() | actions.StartTransactionManager() | actions.StartAdmin()
        ):
            return _command(node, f"start_{SCRIPTS[service_of(action)]}")
        case actions.StopRemaining():
            return _command(node, *node.stop_all)
        case actions.StartAll():
            return _command(node, "start_all")
        case _:
            raise AssertionError(action)  # it runs no command on a node


def installed(names: Collection[str], node: Node, service: Service) -> ObservedState | None:
    """Return what a missing status script means; None if the script is there.

    A disabled server's scripts are renamed ``status_ftpd.disable`` and so on.
    """
    argv = node.monitor.status if service is Service.MONITOR else (f"status_{SCRIPTS[service]}",)
    if node.is_path(argv[0]) or argv[0] in names:
        return None
    disabled = {f"{verb}_{SCRIPTS[service]}.disable" for verb in ("start", "stop", "status")}
    if disabled & set(names):
        return ObservedState(State.DISABLED, "its scripts are renamed .disable")
    if service in expected(node):
        return ObservedState(State.UNKNOWN, f"there is no {argv[0]}")
    return ObservedState(State.ABSENT, f"there is no {argv[0]}")


def parse_status(service: Service, text: str) -> ObservedState:
    """Read a status script's answer; UNKNOWN unless it is exactly one line, the last.

    Banners and warnings may come first.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    matches = {line: match for line in lines if (match := _STATUS.fullmatch(line))}
    own = [line for line in lines if line in matches and matches[line][1] == SCRIPTS[service]]
    if len(own) == 1 and own[0] == lines[-1]:
        return ObservedState(_STATES[matches[own[0]][2]], own[0])
    return ObservedState(State.UNKNOWN, text.strip()[-300:] or "no answer")


def _command(node: Node, name: str, *arguments: str) -> Command:
    """Return the script by its absolute path, with the installation's alias if it has one."""
    own = not node.is_path(name)
    script = f"{name}{SUFFIXES[node.system]}"
    path = node.below(node.filedrivehome, "bin", script) if own else name
    alias = ("-A", node.alias) if node.alias and own else ()
    return command_for(node, (path, *alias, *arguments))
