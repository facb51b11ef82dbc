"""How does the engine know that an activity is alive, and how far it is?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from temporalio import activity

from workflows.model.base import Value

BEAT = 1.0
"""Seconds; the engine misses a worker after a few of them."""


class Heartbeat:
    """Beats every second with what was shown last, so that a long reading is no silence."""

    def __init__(self) -> None:
        self._shown: tuple[Value, ...] = ()

    def show(self, left: Value) -> None:
        """Beat with this from now on; it is what an operator sees of the wait."""
        self._shown = (left,)
        activity.heartbeat(left)

    async def beat(self) -> None:
        """Beat until cancelled."""
        while True:
            activity.heartbeat(*self._shown)
            await asyncio.sleep(BEAT)


@asynccontextmanager
async def pulse() -> AsyncIterator[Heartbeat]:
    """Beat as long as the block runs."""
    beating = Heartbeat()
    task = asyncio.create_task(beating.beat())
    try:
        yield beating
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def pause(length: timedelta) -> None:
    """Let time pass between two readings."""
    await asyncio.sleep(length.total_seconds())
