"""Measure how long the checks of a whole estate take, and how many connections each node sees.

``python -m bench.readiness [--servers 2] [--edges 2] [--runs 3] [--json FILE]`` brings a lab up
with a worker, and runs the Readiness workflow so often. It prints what was measured, and exits with
1 where the estate is not ready, a node saw more than one SSH connection, or the fastest run took
longer than such an estate may:

* ``seconds``: of each run, from its start to its verdict; ``allowed``: of them
* ``longest``: by activity, the longest that one took, in the fastest run
* ``connections``: by node, how many SSH connections the worker has had to it, all runs together
* ``load``: this machine's load before and after, and how many processors it has

The first run opens the connections, and all simulated nodes share the machine with the worker: an
estate of real ones answers faster.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from temporalio.client import Client, WorkflowHandle

from lab.campaigns.killable import Workers
from lab.environment.lab import Lab
from lab.environment.temporal import TemporalServer
from lab.layout import ESTATE, SHELL_PORT, Layout

REQUEST = {"estate": ESTATE, "source": "cluster1", "target": "cluster2", "reason": "how long?"}
SMALL, SMALL_WITHIN, LARGE_WITHIN = 8, 5.0, 30.0
"""Up to so many nodes, an estate may take so many seconds; beyond, so many."""
END_TIMEOUT = 300.0
POLL_SECONDS = 0.1


@dataclass
class Seen:
    """What was measured."""

    nodes: int
    seconds: list[float] = field(default_factory=list)
    longest: dict[str, float] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    connections: dict[str, int] = field(default_factory=dict)
    load: list[float] = field(default_factory=list)

    @property
    def allowed(self) -> float:
        """How many seconds an estate of this size may take."""
        return SMALL_WITHIN if self.nodes <= SMALL else LARGE_WITHIN

    @property
    def good(self) -> bool:
        """Whether everything is as it should be."""
        once = len(self.connections) >= self.nodes and set(self.connections.values()) == {1}
        return once and not self.findings and min(self.seconds) <= self.allowed


class Lines:
    """The SSH connections of one process, as the operating system sees them."""

    def __init__(self, layout: Layout, pid: int) -> None:
        self._names = {node.address: node.name for node in layout.nodes}
        self._process = psutil.Process(pid)
        self._seen: set[tuple[str, int]] = set()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look again and again while the block runs."""
        watching = asyncio.create_task(self._watch())
        yield
        watching.cancel()
        self._look()

    @property
    def counted(self) -> dict[str, int]:
        """By node, how many there have been."""
        names = [self._names[address] for address, _ in self._seen]
        return {name: names.count(name) for name in sorted(names)}

    async def _watch(self) -> None:
        while True:
            await asyncio.to_thread(self._look)
            await asyncio.sleep(POLL_SECONDS)

    def _look(self) -> None:
        for one in self._process.net_connections("tcp"):
            there = tuple(one.raddr)  # empty while there is none
            if there[1:] == (SHELL_PORT,) and there[0] in self._names:
                self._seen.add((str(there[0]), one.laddr.port))


async def check(client: Client, seen: Seen) -> None:
    """Run all checks once."""
    handle: WorkflowHandle[Any, Any] = await client.start_workflow(
        "Readiness", REQUEST, id=f"readiness-{ESTATE}", task_queue="switchover"
    )
    verdict = await asyncio.wait_for(handle.result(), END_TIMEOUT)
    fastest = not seen.seconds or verdict["seconds"] < min(seen.seconds)
    seen.seconds.append(round(verdict["seconds"], 2))
    seen.findings = [f"{found['place']}: {found['name']}" for found in verdict["findings"]]
    if fastest:
        seen.longest = await longest(handle)


async def longest(handle: WorkflowHandle[Any, Any]) -> dict[str, float]:
    """Read from a run's history how long the longest activity of each type took."""
    begun, found = {}, dict[str, float]()
    async for event in handle.fetch_history_events():
        if event.HasField("activity_task_scheduled_event_attributes"):
            name = event.activity_task_scheduled_event_attributes.activity_type.name
            begun[event.event_id] = name, event.event_time.ToDatetime()
        elif event.HasField("activity_task_completed_event_attributes"):
            name, at = begun[event.activity_task_completed_event_attributes.scheduled_event_id]
            took = (event.event_time.ToDatetime() - at).total_seconds()
            found[name] = max(found.get(name, 0.0), round(took, 2))
    return found


async def measure(place: Path, servers: int, edges: int, runs: int) -> Seen:
    """Bring everything up, and run the checks so often."""
    seen = Seen(2 * (servers + edges), load=[os.getloadavg()[0]])
    async with AsyncExitStack() as stack:
        lab = await stack.enter_async_context(Lab.open(place / "lab", servers, edges))
        server = TemporalServer(lab.layout)
        stack.push_async_callback(server.stop)
        client = await server.start()
        workers = Workers(server.address, place / "product")
        stack.push_async_callback(workers.kill)
        shutil.copytree(lab.layout.estate_file.parent, workers.estates)
        worker = workers.start()
        await worker.ready()
        lines = Lines(lab.layout, worker.process.pid)
        async with lines.watched():
            for _ in range(runs):
                await check(client, seen)
        seen.connections = lines.counted
    seen.load += [os.getloadavg()[0], os.cpu_count() or 0]
    return seen


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.readiness")
    parser.add_argument("--servers", type=int, default=2, help="of each cluster")
    parser.add_argument("--edges", type=int, default=2, help="of each cluster")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the result to this file, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ready-", ignore_cleanup_errors=True) as place:
        seen = asyncio.run(measure(Path(place), options.servers, options.edges, options.runs))
    told = asdict(seen) | {"allowed": seen.allowed, "good": seen.good}
    text = json.dumps(told, indent=1) + "\n"
    sys.stdout.write(text)
    if options.json is not None:
        options.json.write_text(text, encoding="utf-8")
    return 0 if seen.good else 1


if __name__ == "__main__":
    sys.exit(main())
