"""Change a running lab from outside, and wait until the change can be observed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx

from lab.access import admin, shell
from lab.layout import Layout, NodeLayout
from lab.polling import holds_within
from lab.simulation_options import end_simulation, simulate

INJECTION_TIMEOUT = 20.0
"""Seconds until a lab that does not change is given up."""
POLL_SECONDS = 0.05

UNRECORDED = "unrecorded"


class InjectionFailed(Exception):
    """A fault could not be injected or reverted; the message says why."""


async def until(
    holds: Callable[[], bool | Awaitable[bool]], condition: str, within: float = INJECTION_TIMEOUT
) -> None:
    """Wait until it holds; the test may be asynchronous."""
    if not await holds_within(within, holds):
        raise InjectionFailed(f"after {within:.0f} s still not: {condition}")


@asynccontextmanager
async def unrecorded(layout: Layout, node: NodeLayout) -> AsyncIterator[None]:
    """Let what is done to a node leave no record: it is no effect of a switchover."""
    simulate(layout, node.name, **{UNRECORDED: "yes"})
    try:
        yield
        await until(lambda: answers(layout, node), f"{node.name}'s admin API answers")
    finally:
        end_simulation(layout, node.name, UNRECORDED)


async def run(node: NodeLayout, script: str, *arguments: str) -> None:
    """Run one of a node's scripts to its end."""
    process = await asyncio.create_subprocess_exec(
        str(node.home / "bin" / script),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise InjectionFailed(
            f"{node.name}: {script} failed: {output.decode(errors='replace').strip()}"
        )


async def leave_running(layout: Layout, node: NodeLayout, script: str) -> None:
    """Start one of a node's scripts and do not wait for it; it ends with the machine."""
    async with shell(layout, node.name) as connection:
        command = f"setsid {node.home}/bin/{script} </dev/null >/dev/null 2>&1 &"
        await connection.run(command, check=True)


async def ask(layout: Layout, node: NodeLayout, path: str, method: str = "GET") -> httpx.Response:
    """Ask a node's admin API, once it answers."""
    deadline = asyncio.get_running_loop().time() + INJECTION_TIMEOUT
    while True:
        try:
            return await ask_once(layout, node, path, method)
        except httpx.TransportError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise InjectionFailed(f"{node.name}: the admin API does not answer") from error
            await asyncio.sleep(POLL_SECONDS)


async def ask_once(
    layout: Layout, node: NodeLayout, path: str, method: str = "GET"
) -> httpx.Response:
    """Ask a node's admin API; httpx.TransportError where it does not answer."""
    async with admin(layout, node) as client:
        return await client.request(method, path)


async def answers(layout: Layout, node: NodeLayout) -> bool:
    """Whether a node's admin API answers now."""
    with suppress(httpx.TransportError):
        await ask_once(layout, node, "daemons")
        return True
    return False
