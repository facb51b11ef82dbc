"""Workers and a Temporal server that can be killed, frozen and started again."""

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
    """A Temporal server that keeps its state when it is killed."""

    async def kill(self) -> None:
        """Kill it at once."""
        assert self._process is not None
        await end(self._process, signal.SIGKILL)


@dataclass
class Worker:
    """One worker process, unmodified."""

    process: subprocess.Popen[bytes]
    log: Path
    started_at: float

    async def ready(self) -> None:
        """Wait until it polls for work."""
        deadline = time.time() + READY_TIMEOUT
        while READY not in self.log.read_text(encoding="utf-8"):
            if self.process.poll() is not None or time.time() > deadline:
                log = self.log.read_text(encoding="utf-8")[-2000:]
                raise RuntimeError(f"a worker did not get ready: {log}")
            await asyncio.sleep(0.05)

    def freeze(self) -> None:
        """Stop it (SIGSTOP)."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it continue (SIGCONT)."""
        self.process.send_signal(signal.SIGCONT)


@dataclass
class Workers:
    """All workers that run now; usually one."""

    address: str
    directory: Path
    running: list[Worker] = field(default_factory=list)
    started: int = 0

    @property
    def estates(self) -> Path:
        """The directory of their estate files."""
        return self.directory / "estates"

    def start(self) -> Worker:
        """Start one more, without waiting until it is ready."""
        self.started += 1
        log = self.directory / f"worker-{self.started}.log"
        # What a killed worker leaves behind is removed with the directory.
        (self.directory / "tmp").mkdir(parents=True, exist_ok=True)
        environment = (
            f"TEMPORAL_ADDRESS={self.address}",
            f"SWITCHOVER_RECORDS={self.directory}",
            f"TMPDIR={self.directory / 'tmp'}",
        )
        program = [sys.executable, "-m", "worker", "--estates", str(self.estates)]
        started_at = time.time()
        process = spawn(["env", *environment, *program], log, cwd=REPOSITORY)
        self.running.append(Worker(process, log, started_at))
        return self.running[-1]

    async def kill(self) -> None:
        """Kill all of them at once; return when they have ended."""
        for worker in self.running:
            os.killpg(worker.process.pid, signal.SIGKILL)
        for worker in self.running:
            await ended(worker.process, READY_TIMEOUT)
        self.running.clear()
