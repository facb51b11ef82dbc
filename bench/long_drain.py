"""Measure a drain of many minutes, while workers and the server are killed.

``python -m bench.long_drain [--minutes 10] [--json FILE]`` brings a lab up, lets one client upload
a file for that long, begins a switchover meanwhile, and kills the worker five times and the
Temporal server once, evenly spread; each is started again at once. It prints what was measured,
and exits with 1 where that is not as it should be:

* ``events``: the length of the history when the drain began, and when the client left
* ``restarts``: who was started again, and of the readings that an operator could see of the drain
  since then, how old the oldest was, in seconds; ``looks`` of them were answered
* ``outcome``, ``transfer``; ``repeated``: graceful stops that came twice
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from lab import records
from lab.campaigns.killable import KillableServer, Workers
from lab.environment.lab import Lab
from lab.layout import ESTATE, Layout, account
from lab.product_driver import WORKFLOW
from lab.traffic.sessions import Gateway

REQUEST = {"estate": ESTATE, "source": "cluster1", "target": "cluster2", "reason": "a long drain"}
WAIT = "await_sessions"
VICTIMS = ("worker", "worker", "worker", "server", "worker", "worker")
FRESH = 10.0
POLL_SECONDS = 0.5
BEGINS_WITHIN, END_TIMEOUT = 120.0, 300.0
PART = bytes(1024)


@dataclass
class Seen:
    """What was measured."""

    minutes: float
    events: dict[str, int] = field(default_factory=dict)
    looks: int = 0
    restarts: list[tuple[str, float]] = field(default_factory=list)
    """Who was started again, and of the readings seen since, how old the oldest was: seconds."""
    outcome: str = ""
    transfer: str = "cut"
    repeated: int = 0

    @property
    def oldest_seconds(self) -> float:
        """Of everything that was seen."""
        return max(age for _, age in self.restarts)

    @property
    def good(self) -> bool:
        """Whether everything is as it should be."""
        ended = (self.outcome, self.transfer, self.repeated)
        grown = self.events["after"] - self.events["before"]
        return not grown and self.oldest_seconds < FRESH and ended == ("completed", "completed", 0)


class Drain:
    """A switchover whose source one client does not leave."""

    def __init__(self, handle: WorkflowHandle[Any, Any], seen: Seen) -> None:
        self._handle = handle
        self._seen = seen

    async def begins(self) -> None:
        """Return when the run waits for the last client, and the others are gone."""
        async with asyncio.timeout(BEGINS_WITHIN):
            while len(await self._readings()) != 1:  # noqa: ASYNC110 - Temporal is asked
                await asyncio.sleep(POLL_SECONDS)
        self._seen.events["before"] = await self._events()

    async def watch(self) -> None:
        """Look again and again how old what can be seen is; until cancelled."""
        while True:
            try:
                ages = [time.time() - reading for reading in await self._readings()]
            except RPCError:  # the server is away
                ages = []
            self._seen.looks += bool(ages)
            if self._seen.restarts:
                victim, oldest = self._seen.restarts[-1]
                self._seen.restarts[-1] = victim, round(max([oldest, *ages]), 1)
            await asyncio.sleep(POLL_SECONDS)

    async def ends(self) -> None:
        """Note what it has cost."""
        self._seen.events["after"] = await self._events()

    async def _events(self) -> int:
        return (await self._handle.describe()).history_length

    async def _readings(self) -> list[float]:
        """When the pending waits were last read, as their heartbeats say."""
        description = await self._handle.describe()
        details = [
            json.loads(pending.heartbeat_details.payloads[0].data)
            for pending in description.raw_description.pending_activities
            if pending.activity_type.name == WAIT and pending.heartbeat_details.payloads
        ]
        return [datetime.fromisoformat(shown["at"]).timestamp() for shown in details]


class House:
    """A Temporal server and a worker, which are killed and started again."""

    def __init__(self, server: KillableServer, workers: Workers, seen: Seen) -> None:
        self._server = server
        self._workers = workers
        self._seen = seen

    async def suffer(self, seconds: float) -> None:
        """Lose every victim once, evenly spread over so many seconds."""
        for victim in VICTIMS:
            await asyncio.sleep(seconds / (len(VICTIMS) + 1))
            self._seen.restarts.append((victim, 0.0))
            if victim == "server":
                await self._server.kill()
                await self._server.start()
            else:
                await self._workers.kill()
                self._workers.start()


async def upload(layout: Layout, done: asyncio.Event) -> None:
    """Send a file to the source, slowly, until told that it is done."""

    async def parts() -> AsyncIterator[bytes]:
        while not done.is_set():
            yield PART
            await asyncio.sleep(POLL_SECONDS)

    session = await Gateway(layout).sftp(account(1))
    await session.put("long.dat", parts())
    await session.close()


async def measure(place: Path, minutes: float) -> Seen:
    """Let it happen once."""
    seen = Seen(minutes)
    async with AsyncExitStack() as stack:
        lab = await stack.enter_async_context(Lab.open(place / "lab"))
        server = KillableServer(lab.layout)
        stack.push_async_callback(server.stop)
        client = await server.start()
        workers = Workers(server.address, place / "product")
        stack.push_async_callback(workers.kill)
        shutil.copytree(lab.layout.estate_file.parent, workers.estates)
        await workers.start().ready()
        done = asyncio.Event()
        uploading = asyncio.create_task(upload(lab.layout, done))
        handle = await client.start_workflow(
            "Switchover", REQUEST, id=WORKFLOW, task_queue="switchover"
        )
        drain = Drain(handle, seen)
        await drain.begins()
        watching = asyncio.create_task(drain.watch())
        await House(server, workers, seen).suffer(minutes * 60)
        await asyncio.sleep(minutes * 60 / (len(VICTIMS) + 1))
        await drain.ends()
        watching.cancel()
        done.set()
        await uploading
        seen.transfer = "completed"
        seen.outcome = (await asyncio.wait_for(handle.result(), END_TIMEOUT))["outcome"]
        seen.repeated = repeated(lab.layout)
    return seen


def repeated(layout: Layout) -> int:
    """Count graceful stops that a service of the estate was asked for once too often."""
    begun = Counter(
        (entry["place"], entry["service"])
        for entry in records.read(layout.effects)
        if entry["effect"] == "drain"
    )
    return begun.total() - len(begun)


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.long_drain")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--json", type=Path, help="write the result to this file, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="drain-", ignore_cleanup_errors=True) as place:
        seen = asyncio.run(measure(Path(place), options.minutes))
    text = json.dumps(asdict(seen) | {"oldest_seconds": seen.oldest_seconds}, indent=1) + "\n"
    sys.stdout.write(text)
    if options.json is not None:
        options.json.write_text(text, encoding="utf-8")
    return 0 if seen.good else 1


if __name__ == "__main__":
    sys.exit(main())
