"""Verify that a node is unreachable from this worker, on every port."""

import asyncio
import errno
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum
from functools import partial

import asyncssh

from activities.time_limits import Stopwatch
from activities.transport.commands import command_for
from activities.transport.port_probe import try_port
from activities.transport.ssh import Shell
from activities.transport.ssh_errors import JumpRefused, beyond_jump_host
from workflows.errors import AccessRefused, NotReady, OutcomeUnknown, Unreachable
from workflows.model.estate import Node

PROBES = 3
PROBE_INTERVAL = 2.0
"""Seconds between two probes: a daemon that restarts is back within a few of them."""
PROBE_TIMEOUT = 3.0
"""Seconds for one connection: TCP has sent two requests by then."""
SHELL_TIMEOUT = 10.0

OWN_NETWORK_ERRORS = (errno.ENETUNREACH, errno.ENETDOWN)
"""Errors of the worker's own network: they say nothing about the node."""

NOBODY_THERE = re.compile(r"refused|timed out|no route to host|\[Errno 11[013]\]", re.IGNORECASE)
"""What a jump host says of a node that does not answer. All else is perhaps its own network or DNS.
"""


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
        OutcomeUnknown: the worker's own network or DNS fails, or a jump host.
    """
    endpoints = tuple(_endpoints(node))
    closed: set[int] = set()
    for turn in range(PROBES):
        if turn:
            await asyncio.sleep(PROBE_INTERVAL)
        probe = await _prober(shell, node)
        states = await asyncio.gather(*(probe(*endpoint) for endpoint in endpoints))
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


async def _prober(shell: Shell, node: Node) -> Callable[[str, int], Awaitable[PortState]]:
    """Return what probes a port from where the node is reached.

    Raises:
        OutcomeUnknown: a jump host does not let the worker through, which says nothing of the node.
    """
    try:
        jump_host = await shell.last_jump_host(node)
    except (Unreachable, AccessRefused) as failure:
        raise OutcomeUnknown(
            f"{failure}; so the node was not probed: bring the jump host back, then decide again"
        ) from failure
    if jump_host is None:
        return partial(_probe, node)
    return partial(_probe_beyond, node, jump_host)


async def _probe_beyond(
    node: Node, jump_host: asyncssh.SSHClientConnection, address: str, port: int
) -> PortState:
    hop = node.ssh.jump[-1]
    try:
        with beyond_jump_host(hop, f"{address}:{port}"):
            await try_port(jump_host, address, port, PROBE_TIMEOUT)
    except JumpRefused as refusal:
        raise OutcomeUnknown(f"{node.name}: {refusal}; so the port was not probed") from refusal
    except (Unreachable, TimeoutError) as failure:
        if jump_host.is_closed():
            raise OutcomeUnknown(
                f"{node.name}: the connection to the jump host {hop.place} was lost, so the node "
                "was not probed; decide again"
            ) from failure
        if isinstance(failure, Unreachable) and not NOBODY_THERE.search(str(failure)):
            raise OutcomeUnknown(
                f"{node.name}: {failure}; so it is unknown whether the node is down"
            ) from failure
        return PortState.FILTERED
    return PortState.OPEN


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
        await Stopwatch().time(shell.run(node, command_for(node, ("echo",))), SHELL_TIMEOUT)
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
