"""Run one case in a process of its own: ``python -m bench.hostile.child NAME PEER OTHER``.

*OTHER* is an honest machine of another estate. It prints its :class:`Measured` as JSON.
"""

import asyncio
import json
import os
import re
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.hostile import Case, cases
from bench.hostile.honest import Neighbour
from worker.event_loop import WorkerLoop, prepare
from workflows.errors import SwitchoverError

ADDRESS_SPACE = 4 << 30
"""Bytes: what would take the machine's memory away ends with MemoryError here."""
TICK = 0.002


@dataclass
class Measured:
    """What one case took, and how it ended."""

    result: str
    """What was raised, as "OutcomeUnknown: sentence", or returned."""
    seconds: float
    resident: float
    """MiB, at the peak."""
    blocked: float
    """Milliseconds that the event loop did not run, at the longest."""
    beside: float
    """Milliseconds that a command took on the other estate's machine, at the longest."""


class Pulse:
    """Measures the longest time for which the event loop runs nothing else."""

    def __init__(self) -> None:
        self.longest = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure while the block runs."""
        beating = asyncio.ensure_future(self._beat())
        try:
            yield
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(TICK)
            self.longest = max(self.longest, time.monotonic() - began - TICK)


async def measure(case: Case, peer: str, other: str) -> Measured:
    """Run the case as a worker would."""
    await prepare()
    pulse, neighbour = Pulse(), Neighbour(other)
    async with neighbour.measured():
        began = time.monotonic()
        with pulse.measured():
            result = await _result(case, peer)
        seconds = time.monotonic() - began
    longest = (round(1000 * one.longest) for one in (pulse, neighbour))
    return Measured(result, round(seconds, 2), _peak(), *longest)


async def _result(case: Case, peer: str) -> str:
    await asyncio.sleep(0)  # the pulse begins before the case
    try:
        result = f"{await case.run(peer)}"
    except SwitchoverError as error:
        result = f"{type(error).__name__}: {error}"
    await asyncio.sleep(0)  # it notices a block at the very end
    return result


def _peak() -> float:
    """Return the peak of this process: ``getrusage`` would show the parent's where it is higher."""
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    return round(int(kilobytes) / 1024, 1)


def main(name: str, peer: str, other: str) -> None:
    """Run the case of this name, and print what it took."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    [case] = (case for case in cases() if case.name == name)
    with asyncio.Runner(loop_factory=WorkerLoop) as runner:
        measured = runner.run(measure(case, peer, other))
        sys.stdout.write(json.dumps(asdict(measured)))
        sys.stdout.flush()
        os._exit(0)  # as the worker does: a lookup that never ends keeps its thread


if __name__ == "__main__":
    main(*sys.argv[1:])
