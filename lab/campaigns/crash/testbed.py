"""What does the nemesis have to itself: a lab with all its proxies, and a Temporal server?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from temporalio.client import Client

from lab.campaigns.crash.killable import KillableServer, Workers
from lab.environment.lab import Lab
from lab.proxy.estate_file import write_proxied_estate
from lab.proxy.proxies import Proxies
from lab.simulation_options import SimulationOptions

SIMULATION = SimulationOptions(
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
class Settings:
    """How the estate of a testbed behaves, and what the product is told of its times."""

    simulation: SimulationOptions = SIMULATION
    timing: Mapping[str, float] = field(default_factory=lambda: SHORT)


@dataclass
class TestBed:
    """One estate to be attacked."""

    lab: Lab
    server: KillableServer
    client: Client
    workers: Workers
    proxies: Proxies
    settings: Settings

    @classmethod
    @asynccontextmanager
    async def open(cls, place: Path, settings: Settings | None = None) -> AsyncIterator[Self]:
        """Have one; it goes without a trace."""
        settings = settings or Settings()
        async with AsyncExitStack() as stack:
            lab = await stack.enter_async_context(Lab.open(place / "lab"))
            layout = lab.layout
            server = KillableServer(layout)
            stack.push_async_callback(server.stop)
            client = await server.start()
            workers = Workers(server.address, place / "product")
            stack.push_async_callback(workers.kill)
            write_proxied_estate(layout, workers.estates, settings.timing)
            proxies = await stack.enter_async_context(Proxies.open(layout))
            yield cls(lab, server, client, workers, proxies, settings)

    async def reset(self) -> None:
        """Be as new."""
        await self.workers.kill()
        await self.lab.reset()
        self.settings.simulation.write(self.lab.layout.simulation)
        self.proxies.request_monitor.forget()
        self.proxies.heal()
