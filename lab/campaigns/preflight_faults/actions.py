"""How does someone outside change a running lab, and wait until it shows?"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace

import asyncssh
import httpx

from lab.layout import (
    ADMIN_PASSWORD,
    ADMIN_PORT,
    ADMIN_USER,
    SHELL_PORT,
    SHELL_USER,
    Layout,
    NodeLayout,
)
from lab.simulation_options import SimulationOptions

INJECTION_TIMEOUT = 20.0
"""Seconds until a lab that does not change is given up."""
POLL_SECONDS = 0.05

UNRECORDED = "unrecorded"


class InjectionFailed(Exception):
    """A fault could not be planted, or taken out; the message says why."""


async def until(
    holds: Callable[[], Awaitable[bool]], words: str, within: float = INJECTION_TIMEOUT
) -> None:
    """Wait until it holds."""
    deadline = asyncio.get_running_loop().time() + within
    while not await holds():
        if asyncio.get_running_loop().time() > deadline:
            raise InjectionFailed(f"after {within:.0f} s still not: {words}")
        await asyncio.sleep(POLL_SECONDS)


def show(layout: Layout, place: str, **faults: str) -> None:
    """Have a place show these faults, besides those it shows already (``SimulationOptions.faults``)."""
    simulation = SimulationOptions.read(layout.simulation)
    planted = {**simulation.faults, place: {**simulation.faults.get(place, {}), **faults}}
    replace(simulation, faults=planted).write(layout.simulation)


def hide(layout: Layout, place: str, *faults: str) -> None:
    """Have a place show these faults no more."""
    simulation = SimulationOptions.read(layout.simulation)
    left = {k: v for k, v in simulation.faults.get(place, {}).items() if k not in faults}
    others = {name: planted for name, planted in simulation.faults.items() if name != place}
    planted = {**others, place: left} if left else others
    replace(simulation, faults=planted).write(layout.simulation)


@asynccontextmanager
async def unrecorded(layout: Layout, node: NodeLayout) -> AsyncIterator[None]:
    """Let what is done to a node leave no record: it prepares a scene and is nobody's effect."""
    show(layout, node.name, **{UNRECORDED: "yes"})
    try:
        yield
        await until(lambda: answers(layout, node), f"{node.name}'s admin API answers")
    finally:
        hide(layout, node.name, UNRECORDED)


async def run(node: NodeLayout, script: str, *words: str) -> None:
    """Run one of a node's scripts to its end."""
    process = await asyncio.create_subprocess_exec(
        str(node.home / "bin" / script),
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise InjectionFailed(
            f"{node.name}: {script} failed: {said.decode(errors='replace').strip()}"
        )


def shell(layout: Layout, place: str) -> AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
    """Be logged in on a machine, as an operator; raises OSError and asyncssh.Error."""
    return asyncssh.connect(
        layout.address(place),
        SHELL_PORT,
        config=None,
        username=SHELL_USER,
        client_keys=[layout.keys / "operator"],
        known_hosts=None,
        agent_path=None,
    )


async def leave_running(layout: Layout, node: NodeLayout, script: str) -> None:
    """Begin one of a node's scripts there, and stay for no answer; it ends with the machine."""
    async with shell(layout, node.name) as connection:
        words = f"setsid {node.home}/bin/{script} </dev/null >/dev/null 2>&1 &"
        await connection.run(words, check=True)


async def ask(layout: Layout, node: NodeLayout, path: str, method: str = "GET") -> httpx.Response:
    """Ask a node's admin API, once it is not away for a event (F13)."""
    deadline = asyncio.get_running_loop().time() + INJECTION_TIMEOUT
    while True:
        try:
            return await ask_once(layout, node, path, method)
        except httpx.TransportError as silence:
            if asyncio.get_running_loop().time() > deadline:
                raise InjectionFailed(f"{node.name}: the admin API does not answer") from silence
            await asyncio.sleep(POLL_SECONDS)


async def ask_once(
    layout: Layout, node: NodeLayout, path: str, method: str = "GET"
) -> httpx.Response:
    """Ask a node's admin API; httpx.TransportError where it does not answer."""
    async with httpx.AsyncClient(
        base_url=f"https://{node.address}:{ADMIN_PORT}/api/v2.0/",
        verify=ssl.create_default_context(cafile=layout.keys / "ca.pem"),
        auth=(ADMIN_USER, ADMIN_PASSWORD),
        headers={"Referer": "https://lab/"},
        trust_env=False,
    ) as client:
        return await client.request(method, path)


async def answers(layout: Layout, node: NodeLayout) -> bool:
    """Whether a node's admin API answers now."""
    with suppress(httpx.TransportError):
        await ask_once(layout, node, "daemons")
        return True
    return False


async def opens(address: str, port: int) -> bool:
    """Whether connections to that port are accepted now."""
    try:
        _, writer = await asyncio.open_connection(address, port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def shuts(address: str, port: int) -> bool:
    """Whether they are refused now."""
    return not await opens(address, port)
