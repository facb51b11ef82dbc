"""How does a test wait for a state of the lab, and never longer than it takes?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE = 15.0


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it holds; TimeoutError if it does not within ``PATIENCE`` seconds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.02)
