"""A lab for campaigns, with proxies, a killable Temporal server and killable workers."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from temporalio.client import Client
from temporalio.service import RPCError

from lab.campaigns.killable import KillableServer, Workers
from lab.checker.legs import Leg
from lab.cluster_workers import divide
from lab.environment.estate_file import add_keys
from lab.environment.lab import Lab
from lab.environment.quiesce import settle
from lab.environment.situation import BASELINE, Situation
from lab.layout import USUAL_DRIVERS, Drivers
from lab.product_driver import FREEZE, WORKFLOW, WORKFLOWS, Handle, request_for
from lab.proxy.estate_file import write_proxied_estate
from lab.proxy.proxies import Proxies
from lab.recorder.samples import Samples
from lab.simulation_options import SimulationOptions
from lab.traffic.process import Traffic

CLIENTS = 10
"""Two of them always have a large transfer in flight."""
WARM_UP_SECONDS = 4.0
AFTER_SECONDS = 1.0
"""Seconds of traffic after a run."""


@dataclass(frozen=True)
class Settings:
    """The behaviour of the estate, and what its file says."""

    simulation: SimulationOptions
    timing: dict[str, float]
    estate: Mapping[str, object] = field(default_factory=dict)
    """More keys of the estate file."""
    drivers: Drivers = USUAL_DRIVERS
    worker_per_cluster: bool = False
    """Whether each cluster's nodes have a worker of their own, which is killed with the others."""


@dataclass
class TestBed:
    """One estate that can be attacked."""

    lab: Lab
    server: KillableServer
    client: Client
    workers: Workers
    proxies: Proxies
    settings: Settings

    @classmethod
    @asynccontextmanager
    async def open(cls, directory: Path, settings: Settings) -> AsyncIterator[Self]:
        """Start everything; it stops without a trace."""
        async with AsyncExitStack() as stack:
            opening = Lab.open(directory / "lab", drivers=settings.drivers)
            lab = await stack.enter_async_context(opening)
            layout = lab.layout
            server = KillableServer(layout)
            stack.push_async_callback(server.stop)
            client = await server.start()
            workers = Workers(server.address, directory / "product", layout.keys)
            stack.push_async_callback(workers.kill)
            write_proxied_estate(layout, workers.estates, settings.timing)
            for estates in (layout.estate_file.parent, workers.estates):
                add_keys(estates / layout.estate_file.name, settings.estate)
            if settings.worker_per_cluster:
                workers.divided = divide(layout, workers.estates)
            proxies = await stack.enter_async_context(Proxies.open(layout))
            yield cls(lab, server, client, workers, proxies, settings)

    async def reset(self, situation: Situation = BASELINE) -> None:
        """Restore the baseline, or another situation; no earlier run goes on watching it."""
        await self.workers.kill()
        with suppress(RPCError):  # there is none
            await self.client.get_workflow_handle(FREEZE).terminate("the lab was reset")
        await self.lab.reset(situation)
        self.settings.simulation.write(self.lab.layout.simulation)
        self.proxies.request_monitor.forget()
        self.proxies.heal()

    @asynccontextmanager
    async def under_traffic(self, situation: Situation = BASELINE) -> AsyncIterator[None]:
        """Start a worker and clients in this situation; in the end, let all transfers finish."""
        await self.reset(situation)
        worker = self.workers.start()
        async with self.traffic():
            await worker.ready()
            yield

    @asynccontextmanager
    async def traffic(self, series: str = "") -> AsyncIterator[None]:
        """Let clients transfer files, with *series* in their names; they all finish in the end."""
        samples, traffic = Samples(self.lab.layout), Traffic(self.lab.layout, CLIENTS, series)
        samples.start()
        traffic.start()
        try:
            await asyncio.sleep(WARM_UP_SECONDS)
            yield
            await asyncio.sleep(AFTER_SECONDS)
            await traffic.finish()
            await settle(self.lab.layout)
        finally:
            await samples.stop()
            await traffic.stop()

    async def start(self, leg: Leg, **options: object) -> Handle:
        """Start a run and return its handle, which names this run and no earlier one."""
        started = await self.client.start_workflow(
            WORKFLOWS[leg.procedure],
            request_for(leg, **options),
            id=WORKFLOW,
            task_queue="switchover",
        )
        return self.client.get_workflow_handle(WORKFLOW, run_id=started.first_execution_run_id)

    async def save_evidence(self, directory: Path, text: str) -> None:
        """Copy the lab's records, the workers' logs and the history before the next reset."""
        history = await self.client.get_workflow_handle(WORKFLOW).fetch_history()
        self._save(directory, {"problems.txt": f"{text}\n", "history.json": history.to_json()})

    def _save(self, directory: Path, texts: dict[str, str]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        layout = self.lab.layout
        records = (layout.effects, layout.traffic, layout.sessions, layout.work, layout.samples)
        for file in (*records, *self.workers.directory.glob("worker-*.log")):
            if file.exists():
                shutil.copy(file, directory)
        for name, content in texts.items():
            (directory / name).write_text(content, encoding="utf-8")
