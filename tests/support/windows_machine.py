"""A node of wine whose scripts count their runs, and what a test does to its ledger."""

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from activities.ledger.store import LedgerCommand
from activities.transport.commands import WindowsCommand
from tests.support.ledger_tasks import task, until
from tests.support.wine import Wine
from workflows.model.estate import Node

LASTS = "ping -n 30 127.0.0.1 >nul"


@dataclass
class WindowsMachine:
    """One node."""

    wine: Wine
    node: Node

    def task(self, name: str = "stop", then: str = "", **given: object) -> LedgerCommand:
        """Return a command that leaves a line in a file each time it runs."""
        path, ran = (self._file(f"{name}.{ending}") for ending in ("cmd", "ran"))
        self.wine.write(path, f'@echo off\n>>"{ran}" echo ran\n{then}\n')
        made = task((path,), **given)  # type: ignore[arg-type]
        return replace(made, command=WindowsCommand((path,)))

    def runs(self, name: str = "stop") -> int:
        """Return how often it ran."""
        ran = self.wine.local(self._file(f"{name}.ran"))
        return len(ran.read_text().splitlines()) if ran.exists() else 0

    async def running(self, name: str = "stop") -> None:
        """Wait until it runs."""
        await until(self.wine.local(self._file(f"{name}.ran")))

    @property
    def ledger(self) -> Path:
        """Where its ledger is."""
        return self.wine.local(self.node.ledger)

    @property
    def claims(self) -> list[str]:
        """The names of its claims."""
        return sorted(entry.name for entry in (self.ledger / "claims").iterdir())

    def enter(self, number: int, line: str) -> None:
        """Write a claim as a process would have."""
        (self.ledger / "claims").mkdir(exist_ok=True)
        (self.ledger / "claims" / str(number)).write_text(f"{line}\r\n")

    async def kill_detached(self) -> None:
        """Kill every process that the ledger has made, but none of a session."""
        while pids := await asyncio.to_thread(self._detached):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.05)

    def _detached(self) -> set[int]:
        """Return the processes that run batch files of the ledger."""
        batches = set(self.wine.processes(".cmd", without="@echo off& echo"))
        return batches & set(self.wine.processes(self.node.ledger))

    def _file(self, name: str) -> str:
        return self.node.below(self.node.filedrivehome, "bin", name)
