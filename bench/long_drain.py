"""Measure a drain of many minutes, while workers and the server are killed.

``python -m bench.long_drain [--minutes 10] [--json FILE]`` starts a lab, lets one client upload a
file for that long, starts a switchover meanwhile, and kills the worker five times and the Temporal
server once, evenly spread; each is started again at once. It prints the measurements, and exits
with 1 if one of them is not as it must be:

* ``events``: the length of the history when the drain began, and when the client disconnected
* ``restarts``: what was started again, and the greatest age, in seconds, of the status that an
  operator could see of the drain since then; ``readings``: how often a status was read
* ``outcome``, ``transfer``; ``repeated``: graceful stops that were repeated
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from bench.estate import MeasuredEstate, write_result
from lab import records
from lab.layout import ESTATE, Layout, account
from lab.product_driver import WORKFLOW
from lab.traffic.sessions import Gateway

REQUEST = {"estate": ESTATE, "source": "cluster1", "target": "cluster2", "reason": "a long drain"}
WAIT = "await_sessions"
VICTIMS = ("worker", "worker", "worker", "server", "worker", "worker")
MAX_STATUS_AGE = 10.0
"""Seconds."""
POLL_SECONDS = 0.5
BEGIN_TIMEOUT, END_TIMEOUT = 120.0, 300.0
PART = bytes(1024)


@dataclass
class Measurements:
    """The measurements of one drain."""

    minutes: float
    events: dict[str, int] = field(default_factory=dict)
    readings: int = 0
    restarts: list[tuple[str, float]] = field(default_factory=list)
    """What was started again, and the greatest age of a status since then, in seconds."""
    outcome: str = ""
    transfer: str = "cut"
    repeated: int = 0

    @property
    def oldest_seconds(self) -> float:
        """The greatest age of all."""
        return max(age for _, age in self.restarts)

    @property
    def good(self) -> bool:
        """Whether everything is as it should be."""
        ended = (self.outcome, self.transfer, self.repeated)
        grown = self.events["after"] - self.events["before"]
        return (
            not grown
            and self.oldest_seconds < MAX_STATUS_AGE
            and ended == ("completed", "completed", 0)
        )


class Drain:
    """A switchover whose source has one client that stays connected."""

    def __init__(self, handle: WorkflowHandle[Any, Any], measured: Measurements) -> None:
        self._handle = handle
        self._measured = measured

    async def begins(self) -> None:
        """Return when the run waits for the last client only."""
        async with asyncio.timeout(BEGIN_TIMEOUT):
            while len(await self._readings()) != 1:  # noqa: ASYNC110 - Temporal is asked
                await asyncio.sleep(POLL_SECONDS)
        self._measured.events["before"] = await self._events()

    async def watch(self) -> None:
        """Poll the age of the status until cancelled."""
        while True:
            try:
                ages = [time.time() - reading for reading in await self._readings()]
            except RPCError:  # the server is down
                ages = []
            self._measured.readings += bool(ages)
            if self._measured.restarts:
                victim, oldest = self._measured.restarts[-1]
                self._measured.restarts[-1] = victim, round(max([oldest, *ages]), 1)
            await asyncio.sleep(POLL_SECONDS)

    async def ends(self) -> None:
        """Record the length of the history."""
        self._measured.events["after"] = await self._events()

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


async def kill_each_victim(estate: MeasuredEstate, measured: Measurements) -> None:
    """Kill and restart every victim once, evenly spread over the minutes."""
    pause = measured.minutes * 60 / (len(VICTIMS) + 1)
    for victim in VICTIMS:
        await asyncio.sleep(pause)
        measured.restarts.append((victim, 0.0))
        if victim == "server":
            await estate.server.kill()
            await estate.server.start()
        else:
            await estate.workers.kill()
            estate.workers.start()
    await asyncio.sleep(pause)


async def upload(layout: Layout, done: asyncio.Event) -> None:
    """Send a file to the source, slowly, until *done* is set."""

    async def parts() -> AsyncIterator[bytes]:
        while not done.is_set():
            yield PART
            await asyncio.sleep(POLL_SECONDS)

    session = await Gateway(layout).sftp(account(1))
    await session.put("long.dat", parts())
    await session.close()


async def measure(place: Path, minutes: float) -> Measurements:
    """Measure one switchover."""
    measured = Measurements(minutes)
    async with MeasuredEstate.open(place) as estate:
        await estate.workers.start().ready()
        done = asyncio.Event()
        uploading = asyncio.create_task(upload(estate.layout, done))
        handle = await estate.client.start_workflow(
            "Switchover", REQUEST, id=WORKFLOW, task_queue="switchover"
        )
        drain = Drain(handle, measured)
        await drain.begins()
        watching = asyncio.create_task(drain.watch())
        await kill_each_victim(estate, measured)
        await drain.ends()
        watching.cancel()
        done.set()
        await uploading
        measured.transfer = "completed"
        measured.outcome = (await asyncio.wait_for(handle.result(), END_TIMEOUT))["outcome"]
        measured.repeated = repeated(estate.layout)
    return measured


def repeated(layout: Layout) -> int:
    """Count the graceful stops that were requested of a service more than once."""
    begun = Counter(
        (entry["place"], entry["service"])
        for entry in records.read(layout.effects)
        if entry["effect"] == "drain"
    )
    return begun.total() - len(begun)


def main() -> int:
    """Measure, and print the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.long_drain")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="drain-", ignore_cleanup_errors=True) as place:
        measured = asyncio.run(measure(Path(place), options.minutes))
    write_result(asdict(measured) | {"oldest_seconds": measured.oldest_seconds}, options.json)
    return 0 if measured.good else 1


if __name__ == "__main__":
    sys.exit(main())
