"""Wait for a condition, such as an open port."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress


async def holds_within(
    seconds: float, condition: Callable[[], bool | Awaitable[bool]], interval: float = 0.05
) -> bool:
    """Wait until the condition holds; return whether it did within *seconds* seconds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (await found if inspect.isawaitable(found := condition()) else found):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(interval)
    return True


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


async def refuses(address: str, port: int) -> bool:
    """Whether they are refused now."""
    return not await opens(address, port)
