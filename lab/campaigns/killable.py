"""Workers and a Temporal server that can be killed, frozen and started again."""

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

from lab.environment.temporal import TemporalServer
from lab.product_driver import Worker
from lab.subprocesses import end, ended

KILL_TIMEOUT = 60.0


class KillableServer(TemporalServer):
    """A Temporal server that keeps its state when it is killed."""

    async def kill(self) -> None:
        """Kill it at once."""
        assert self._process is not None
        await end(self._process, signal.SIGKILL)


@dataclass
class Workers:
    """All workers that run now; usually one."""

    address: str
    directory: Path
    secrets: Path
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
        argv = ("--estates", str(self.estates), "--secrets", str(self.secrets))
        worker = Worker.start(self.address, self.directory, log, *argv)
        self.running.append(worker)
        return worker

    async def kill(self) -> None:
        """Kill all of them at once; return when they have ended."""
        for worker in self.running:
            os.killpg(worker.process.pid, signal.SIGKILL)
        for worker in self.running:
            await ended(worker.process, KILL_TIMEOUT)
        self.running.clear()
