"""Measure how long the checks of a whole estate take, and how many connections each node sees.

``python -m bench.readiness [--servers 2] [--edges 2] [--runs 3] [--json FILE]
[--slow-shell SECONDS] [--busy PROCESSES]`` starts a lab and a worker, and runs the workflow
Readiness RUNS times. It prints the measurements, and exits with 1 if a finding blocks, a node saw
more than one SSH connection, or the fastest run took longer than is allowed for such an estate:

* ``seconds``: of each run, from its start to its report; ``allowed``: the limit, none where the
  shells are slow (each command begins SECONDS later) or the machine is busy (so many processes
  compute beside it)
* ``findings``: of the last run, by severity
* ``longest``: by activity, the longest execution in the fastest run
* ``connections``: by node, the number of SSH connections from the worker, in all runs together
* ``load``: this machine's load before and after, and the number of its processors

The first run opens the connections, and all simulated nodes share the machine with the worker: an
estate of real ones answers faster.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from temporalio.client import Client, WorkflowHandle

from bench.estate import MeasuredEstate, write_result
from lab.layout import ESTATE, SHELL_PORT, Layout
from lab.simulation_options import simulate

REQUEST = {"estate": ESTATE, "source": "cluster1", "target": "cluster2", "reason": "how long?"}
MAX_SMALL_NODES, SMALL_ESTATE_SECONDS, LARGE_ESTATE_SECONDS = 8, 5.0, 30.0
"""Up to 8 nodes, the checks of an estate may take 5 seconds; of a larger one 30."""
END_TIMEOUT = 900.0
POLL_SECONDS = 0.1


@dataclass
class Measurements:
    """The measurements of all runs."""

    nodes: int
    allowed: float | None
    seconds: list[float] = field(default_factory=list)
    longest: dict[str, float] = field(default_factory=dict)
    findings: dict[str, list[str]] = field(default_factory=dict)
    connections: dict[str, int] = field(default_factory=dict)
    load: list[float] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything is as it should be."""
        once = len(self.connections) >= self.nodes and set(self.connections.values()) == {1}
        if self.allowed is None:
            return once and not self.findings.get("blocks")
        return once and not self.findings and min(self.seconds) <= self.allowed


class Connections:
    """The SSH connections of one process, as the operating system lists them."""

    def __init__(self, layout: Layout, pid: int) -> None:
        self._names = {node.address: node.name for node in layout.nodes}
        self._process = psutil.Process(pid)
        self._seen: set[tuple[str, int]] = set()

    @asynccontextmanager
    async def polled(self) -> AsyncIterator[None]:
        """Read them repeatedly while the block runs."""
        polling = asyncio.create_task(self._poll())
        yield
        polling.cancel()
        self._read()

    @property
    def counted(self) -> dict[str, int]:
        """The number of connections, by node."""
        names = [self._names[address] for address, _ in self._seen]
        return {name: names.count(name) for name in sorted(names)}

    async def _poll(self) -> None:
        while True:
            await asyncio.to_thread(self._read)
            await asyncio.sleep(POLL_SECONDS)

    def _read(self) -> None:
        for one in self._process.net_connections("tcp"):
            there = tuple(one.raddr)  # empty while it is not connected
            if there[1:] == (SHELL_PORT,) and there[0] in self._names:
                self._seen.add((str(there[0]), one.laddr.port))


async def check(client: Client, measured: Measurements) -> None:
    """Run all checks once."""
    handle: WorkflowHandle[Any, Any] = await client.start_workflow(
        "Readiness", REQUEST, id=f"readiness-{ESTATE}", task_queue="switchover"
    )
    report = await asyncio.wait_for(handle.result(), END_TIMEOUT)
    fastest = not measured.seconds or report["seconds"] < min(measured.seconds)
    measured.seconds.append(round(report["seconds"], 2))
    measured.findings = {}
    for found in report["findings"]:
        seen = f"{found['place']}: {found['name']}: {found['seen']}"
        measured.findings.setdefault(found["severity"], []).append(seen)
    if fastest:
        measured.longest = await longest(handle)


async def longest(handle: WorkflowHandle[Any, Any]) -> dict[str, float]:
    """Return the longest execution of each type of activity in a run's history."""
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


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Let so many processes compute while the block runs."""
    begun = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in begun:
            process.kill()
            process.wait()


async def measure(place: Path, options: argparse.Namespace) -> Measurements:
    """Start everything, and run the checks."""
    nodes = 2 * (options.servers + options.edges)
    quiet = not (options.slow_shell or options.busy)
    limit = SMALL_ESTATE_SECONDS if nodes <= MAX_SMALL_NODES else LARGE_ESTATE_SECONDS
    measured = Measurements(nodes, limit if quiet else None, load=[os.getloadavg()[0]])
    async with MeasuredEstate.open(place, options.servers, options.edges) as estate:
        if options.slow_shell:
            for name in (*(node.name for node in estate.layout.nodes), "loadbalancer1"):
                simulate(estate.layout, name, slow_shell=str(options.slow_shell))
        workers = estate.workers.start()
        await workers.ready()
        connections = Connections(estate.layout, workers.workers[0].process.pid)
        async with connections.polled():
            with busy(options.busy):
                for _ in range(options.runs):
                    await check(estate.client, measured)
        measured.connections = connections.counted
    measured.load += [os.getloadavg()[0], os.cpu_count() or 0]
    return measured


def main() -> int:
    """Measure, and print the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.readiness")
    parser.add_argument("--servers", type=int, default=2, help="of each cluster")
    parser.add_argument("--edges", type=int, default=2, help="of each cluster")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--slow-shell", type=float, default=0, help="seconds before each command")
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside it")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ready-", ignore_cleanup_errors=True) as place:
        measured = asyncio.run(measure(Path(place), options))
    write_result(asdict(measured) | {"good": measured.good}, options.json)
    return 0 if measured.good else 1


if __name__ == "__main__":
    sys.exit(main())
