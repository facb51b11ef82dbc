"""Tell Temporal that an activity is alive, and how far it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from temporalio import activity

from workflows.model.base import Value

HEARTBEAT_INTERVAL = 1.0
"""Seconds; Temporal counts a worker as lost after a few of them."""


class Heartbeat:
    """Sends a heartbeat with the last details every second, during a long reading too."""

    def __init__(self) -> None:
        self._details: tuple[Value, ...] = ()

    def set_details(self, details: Value) -> None:
        """Send these details from now on; they are what an operator sees of the wait."""
        self._details = (details,)
        activity.heartbeat(details)

    async def send(self) -> None:
        """Send heartbeats until cancelled."""
        while True:
            activity.heartbeat(*self._details)
            await asyncio.sleep(HEARTBEAT_INTERVAL)


@asynccontextmanager
async def heartbeating() -> AsyncIterator[Heartbeat]:
    """Send heartbeats as long as the block runs."""
    heartbeat = Heartbeat()
    task = asyncio.create_task(heartbeat.send())
    try:
        yield heartbeat
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def sleep(length: timedelta) -> None:
    """Wait between two readings."""
    await asyncio.sleep(length.total_seconds())
