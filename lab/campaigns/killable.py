"""Workers and a Temporal server that can be killed, frozen and started again."""

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

from lab.cluster_workers import DividedWorkers
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


@dataclass(frozen=True)
class WorkerSet:
    """What does a run's work: the main worker, and perhaps one for each cluster."""

    workers: tuple[Worker, ...]
    """The main one first."""

    @property
    def started_at(self) -> float:
        """When the main worker was started."""
        return self.workers[0].started_at

    async def ready(self) -> None:
        """Wait until all of them poll for work."""
        for worker in self.workers:
            await worker.ready()

    def freeze(self) -> None:
        """Stop all of them (SIGSTOP)."""
        for worker in self.workers:
            worker.freeze()

    def thaw(self) -> None:
        """Let all of them continue (SIGCONT)."""
        for worker in self.workers:
            worker.thaw()


@dataclass
class Workers:
    """All workers that run now; usually one set."""

    address: str
    directory: Path
    secrets: Path
    running: list[WorkerSet] = field(default_factory=list)
    started: int = 0
    divided: DividedWorkers | None = None
    """What each is given where every cluster has one of its own."""

    @property
    def estates(self) -> Path:
        """The directory of their estate files."""
        return self.directory / "estates"

    def start(self) -> WorkerSet:
        """Start one more set, without waiting until it is ready."""
        only = ("--estates", str(self.estates), "--secrets", str(self.secrets))
        every = (only,) if self.divided is None else self.divided.all
        self.running.append(WorkerSet(tuple(self._started(*argv) for argv in every)))
        return self.running[-1]

    async def kill(self) -> None:
        """Kill all of them at once; return when they have ended."""
        workers = [worker for one in self.running for worker in one.workers]
        for worker in workers:
            os.killpg(worker.process.pid, signal.SIGKILL)
        for worker in workers:
            await ended(worker.process, KILL_TIMEOUT)
        self.running.clear()

    def _started(self, *argv: str) -> Worker:
        self.started += 1
        log = self.directory / f"worker-{self.started}.log"
        return Worker.start(self.address, self.directory, log, *argv)
