"""Does a machine answer anywhere at all, as far as this worker can tell?"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Iterable
from enum import StrEnum

from activities.transport.ssh import Command, Shell
from workflows.errors import NotReady, OutcomeUnknown, Unreachable
from workflows.model.estate import Node

TRIES = 3
APART = 2.0
"""Seconds between two tries: a daemon that restarts is back within a few of them."""
WITHIN = 3.0
"""Seconds for one connection: TCP has asked twice by then."""
SHELL_WITHIN = 10.0

HERE = (errno.ENETUNREACH, errno.ENETDOWN)
"""The worker's own network: what cannot be asked has not been silent."""


class PortState(StrEnum):
    """What comes back from a port."""

    OPEN = "open"
    CLOSED = "closed"
    FILTERED = "filtered"


async def require_unreachable(shell: Shell, node: Node) -> str:
    """Say how a node was silent, several times over some seconds.

    A connection that is refused counts as silence: whoever answers is a kernel on which neither a
    shell, nor the admin service, nor a protocol server listens, so nothing there serves a client
    or could be asked to stop. It does not prove that the machine is off, and the words say so. Nor
    does silence: a machine behind a broken network looks the same from here.

    Raises:
        NotReady: something answers.
        OutcomeUnknown: this worker has no way to ask.
    """
    doors = tuple(_doors(node))
    refused: set[int] = set()
    for turn in range(TRIES):
        if turn:
            await asyncio.sleep(APART)
        echoes = await asyncio.gather(*(_probe(node, *door) for door in doors))
        met = list(zip(doors, echoes, strict=True))
        if open_ports := [door for door, echo in met if echo is PortState.OPEN]:
            raise NotReady(_alive(node, open_ports))
        refused |= {port for (_, port), echo in met if echo is PortState.CLOSED}
        await _require_no_shell(shell, node)
    silent = f"{node.name} answers nowhere: no shell, and no connection to any of its ports"
    if not refused:
        return silent
    ports = ", ".join(map(str, sorted(refused)))
    return f"{silent} (refused, not silent: {ports}; the machine may be up, but nothing listens)"


def _doors(node: Node) -> Iterable[tuple[str, int]]:
    """Every address and port behind which something of the node could be."""
    # Loopback addresses that it listens on besides would be this worker's own.
    others = (address for address in node.listen_on if not _is_loopback(address))
    ports = {port for ports in node.protocols.values() for port in ports}
    for address in dict.fromkeys((node.address, *others)):
        for port in sorted(ports | {node.ssh.port, node.admin.port}):
            yield address, port


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


async def _probe(node: Node, address: str, port: int) -> PortState:
    try:
        async with asyncio.timeout(WITHIN):
            _, writer = await asyncio.open_connection(address, port)
    except ConnectionRefusedError:
        return PortState.CLOSED
    except socket.gaierror as nameless:
        raise OutcomeUnknown(
            f"{node.name}: {address} cannot be resolved ({nameless.strerror}), so nobody was "
            "asked; look at the worker's DNS, then decide again"
        ) from nameless
    except OSError as fault:  # TimeoutError is one
        if fault.errno in HERE:
            raise OutcomeUnknown(
                f"{node.name}: the worker has no way to {address} ({fault.strerror}), so nobody "
                "was asked; look at the worker's network, then decide again"
            ) from fault
        return PortState.FILTERED
    writer.close()
    return PortState.OPEN


async def _require_no_shell(shell: Shell, node: Node) -> None:
    """Refuse where a command can still be run: a connection may live on when no new one does."""
    try:
        async with asyncio.timeout(SHELL_WITHIN):
            await shell.run(node, Command(("true",)))
    except (Unreachable, OutcomeUnknown, TimeoutError):
        return
    raise NotReady(f"{node.name} still runs commands over SSH, so it is not dead; {_ADVICE}")


def _alive(node: Node, doors: Iterable[tuple[str, int]]) -> str:
    places = " and ".join(
        f"port {port}" + ("" if address == node.address else f" of {address}")
        for address, port in doors
    )
    return f"{node.name} answers on {places}, so it is not dead; {_ADVICE}"


_ADVICE = "decide `retry`, or shut the machine down before you count it as down"
