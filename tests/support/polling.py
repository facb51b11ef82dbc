"""Wait for a state of the lab, no longer than it takes."""

import asyncio
from collections.abc import Awaitable, Callable

TIMEOUT = 45.0


async def eventually(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    """Wait until it holds; TimeoutError if it does not within ``TIMEOUT`` seconds."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            holds = condition()
            if await holds if isinstance(holds, Awaitable) else holds:
                return
            await asyncio.sleep(0.02)
