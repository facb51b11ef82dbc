"""What does the saboteur have to itself: a lab with all its lines, and a Temporal server?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from temporalio.client import Client

from lab.campaigns.crash.killable import MortalServer, Workers
from lab.environment.lab import Lab
from lab.proxy.estate_file import write_wired_estate
from lab.proxy.proxies import Lines
from lab.simulation_options import Switches

SWITCHES = Switches(
    graceful_stop_ends="at_timeout",
    transaction_manager_clock=4.0,
    storage_delay=0.2,
)
"""Stops end at their timeout, so that there is a pending one to repeat."""

SHORT = {
    # Longer than a killed worker needs until it is back at work.
    "grace": 8,
    "storage_delay": 0.5,
    # Of the time for a statement's attempt, which nobody retries before it is over.
    "replication_timeout": 3,
}


@dataclass(frozen=True)
class Habits:
    """How the estate of a den behaves, and what the product is told of its times."""

    switches: Switches = SWITCHES
    timing: Mapping[str, float] = field(default_factory=lambda: SHORT)


@dataclass
class Den:
    """One estate to be attacked."""

    lab: Lab
    server: MortalServer
    client: Client
    workers: Workers
    lines: Lines
    habits: Habits

    @classmethod
    @asynccontextmanager
    async def open(cls, place: Path, habits: Habits | None = None) -> AsyncIterator[Self]:
        """Have one; it goes without a trace."""
        habits = habits or Habits()
        async with AsyncExitStack() as stack:
            lab = await stack.enter_async_context(Lab.open(place / "lab"))
            layout = lab.layout
            server = MortalServer(layout)
            stack.push_async_callback(server.stop)
            client = await server.start()
            workers = Workers(server.address, place / "product")
            stack.push_async_callback(workers.kill)
            write_wired_estate(layout, workers.estates, habits.timing)
            lines = await stack.enter_async_context(Lines.open(layout))
            yield cls(lab, server, client, workers, lines, habits)

    async def reset(self) -> None:
        """Be as new."""
        await self.workers.kill()
        await self.lab.reset()
        self.habits.switches.write(self.lab.layout.switches)
        self.lines.gatekeeper.forget()
        self.lines.heal()
