"""What can be killed, frozen and started again: workers and a Temporal server?"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from lab.environment.temporal import TemporalServer
from lab.subprocesses import REPOSITORY, end, ended, spawn

READY_TIMEOUT = 60.0
READY = "ready:"


class KillableServer(TemporalServer):
    """A Temporal server that can lose its life, not its memory."""

    async def die(self) -> None:
        """Be killed at once."""
        assert self._process is not None
        await end(self._process, signal.SIGKILL)


@dataclass
class Worker:
    """One worker process, unmodified."""

    process: subprocess.Popen[bytes]
    log: Path
    begun: float

    async def ready(self) -> None:
        """Wait until it says that it works."""
        deadline = time.time() + READY_TIMEOUT
        while READY not in self.log.read_text(encoding="utf-8"):
            if self.process.poll() is not None or time.time() > deadline:
                said = self.log.read_text(encoding="utf-8")[-2000:]
                raise RuntimeError(f"a worker did not get ready: {said}")
            await asyncio.sleep(0.05)

    def freeze(self) -> None:
        """Stop its clock."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on as if nothing had happened."""
        self.process.send_signal(signal.SIGCONT)


@dataclass
class Workers:
    """All workers that live now; usually one."""

    address: str
    place: Path
    running: list[Worker] = field(default_factory=list)
    started: int = 0

    @property
    def estates(self) -> Path:
        """Where they find estate files."""
        return self.place / "estates"

    def start(self) -> Worker:
        """Start one more; it gets ready by itself."""
        self.started += 1
        log = self.place / f"worker-{self.started}.log"
        # What a killed worker leaves behind goes with the rest.
        (self.place / "tmp").mkdir(parents=True, exist_ok=True)
        environment = (
            f"TEMPORAL_ADDRESS={self.address}",
            f"SWITCHOVER_RECORDS={self.place}",
            f"TMPDIR={self.place / 'tmp'}",
        )
        program = [sys.executable, "-m", "worker", "--estates", str(self.estates)]
        begun = time.time()
        process = spawn(["env", *environment, *program], log, cwd=REPOSITORY)
        self.running.append(Worker(process, log, begun))
        return self.running[-1]

    async def kill(self) -> None:
        """Kill all of them at once; return when they are gone."""
        for worker in self.running:
            os.killpg(worker.process.pid, signal.SIGKILL)
        for worker in self.running:
            await ended(worker.process, READY_TIMEOUT)
        self.running.clear()
