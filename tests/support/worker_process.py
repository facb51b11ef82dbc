"""The worker as a real process."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.support import preloaded
from tests.support.preloaded import Preloaded


@dataclass
class WorkerProcess:
    """One worker, and every line it has printed."""

    process: Preloaded
    lines: list[str] = field(default_factory=list)

    async def says(self, text: str) -> str:
        """Wait for a line with this text and return it."""
        while not any(text in line for line in self.lines):
            await self._next(text)
        return next(line for line in self.lines if text in line)

    async def ends(self) -> int:
        """Wait for the end and return the exit code; it may not be a traceback."""
        rest = await asyncio.wait_for(self.process.stdout.read(), 20)
        self.lines += rest.decode().splitlines()
        assert not any("Traceback" in line for line in self.lines), self.lines
        return await self.process.wait()

    async def stops(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return await self.ends()

    async def _next(self, text: str) -> None:
        line = await asyncio.wait_for(self.process.stdout.readline(), 20)
        assert line, f"ended without {text!r}: {self.lines}"
        self.lines.append(line.decode().rstrip("\n"))


@asynccontextmanager
async def worker_process(
    *arguments: str, module: str = "worker", **environment: str
) -> AsyncIterator[WorkerProcess]:
    """Start ``python -m worker`` with these arguments; never leave it behind."""
    process = await preloaded.start(module, *arguments, one_stream=True, **environment)
    try:
        yield WorkerProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
