"""Verify that a node is unreachable from this worker, on every port."""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Iterable
from enum import StrEnum

from activities.time_limits import Stopwatch
from activities.transport.ssh import Command, Shell
from workflows.errors import NotReady, OutcomeUnknown, Unreachable
from workflows.model.estate import Node

PROBES = 3
PROBE_INTERVAL = 2.0
"""Seconds between two probes: a daemon that restarts is back within a few of them."""
PROBE_TIMEOUT = 3.0
"""Seconds for one connection: TCP has sent two requests by then."""
SHELL_TIMEOUT = 10.0

OWN_NETWORK_ERRORS = (errno.ENETUNREACH, errno.ENETDOWN)
"""Errors of the worker's own network: they say nothing about the node."""


class PortState(StrEnum):
    """What a probe of a port shows, in nmap's words."""

    OPEN = "open"
    CLOSED = "closed"
    FILTERED = "filtered"


async def require_unreachable(shell: Shell, node: Node) -> str:
    """Return in which way the node was unreachable, in several probes over some seconds.

    A closed port counts as unreachable: only a kernel answers, and neither a shell, nor the admin
    service, nor a protocol server listens, so nothing there serves a client or could be stopped. It
    does not prove that the machine is off, and the message says so. A filtered port does not prove
    it either: a machine behind a broken network looks the same from the worker.

    Raises:
        NotReady: something answers.
        OutcomeUnknown: the worker's own network or DNS fails.
    """
    endpoints = tuple(_endpoints(node))
    closed: set[int] = set()
    for turn in range(PROBES):
        if turn:
            await asyncio.sleep(PROBE_INTERVAL)
        states = await asyncio.gather(*(_probe(node, *endpoint) for endpoint in endpoints))
        probed = list(zip(endpoints, states, strict=True))
        if open_ports := [endpoint for endpoint, state in probed if state is PortState.OPEN]:
            raise NotReady(_answers(node, open_ports))
        closed |= {port for (_, port), state in probed if state is PortState.CLOSED}
        await _require_no_shell(shell, node)
    unreachable = f"{node.name} answers nowhere: no shell, and no connection to any of its ports"
    if not closed:
        return unreachable
    ports = ", ".join(map(str, sorted(closed)))
    return f"{unreachable} (closed: {ports}; the machine may be up, but nothing listens)"


def _endpoints(node: Node) -> Iterable[tuple[str, int]]:
    """Yield every address and port on which a service of the node could listen."""
    # Its further loopback addresses would be the worker's own.
    others = (address for address in node.listen_on if not is_loopback(address))
    ports = {port for ports in node.protocols.values() for port in ports}
    for address in dict.fromkeys((node.address, *others)):
        for port in sorted(ports | {node.ssh.port, node.admin.port}):
            yield address, port


def is_loopback(address: str) -> bool:
    """Whether an address is every machine's own."""
    return ipaddress.ip_address(address).is_loopback


async def _probe(node: Node, address: str, port: int) -> PortState:
    try:
        # A worker that stands still must not find a port filtered that has answered.
        _, writer = await Stopwatch().time(asyncio.open_connection(address, port), PROBE_TIMEOUT)
    except ConnectionRefusedError:
        return PortState.CLOSED
    except socket.gaierror as nameless:
        raise OutcomeUnknown(
            f"{node.name}: {address} cannot be resolved ({nameless.strerror}), so the node was "
            "not probed; check the worker's DNS, then decide again"
        ) from nameless
    except OSError as fault:  # TimeoutError is one
        if fault.errno in OWN_NETWORK_ERRORS:
            raise OutcomeUnknown(
                f"{node.name}: the worker has no route to {address} ({fault.strerror}), so the "
                "node was not probed; check the worker's network, then decide again"
            ) from fault
        return PortState.FILTERED
    writer.close()
    return PortState.OPEN


async def _require_no_shell(shell: Shell, node: Node) -> None:
    """Refuse if a command still runs: an old connection may work when no new one does."""
    try:
        await Stopwatch().time(shell.run(node, Command(("true",))), SHELL_TIMEOUT)
    except (Unreachable, OutcomeUnknown, TimeoutError):
        return
    raise NotReady(f"{node.name} still runs commands over SSH, so it is not down; {_ADVICE}")


def _answers(node: Node, endpoints: Iterable[tuple[str, int]]) -> str:
    places = " and ".join(
        f"port {port}" + ("" if address == node.address else f" of {address}")
        for address, port in endpoints
    )
    return f"{node.name} answers on {places}, so it is not down; {_ADVICE}"


_ADVICE = "decide `retry`, or shut the machine down before you declare it down"
