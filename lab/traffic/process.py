"""Start and stop the traffic."""

import signal
import subprocess
import sys

from lab.layout import Layout
from lab.subprocesses import REPOSITORY, end, ended, spawn

CLIENTS = 40
FINISH_TIMEOUT = 60.0


class Traffic:
    """The process of all clients."""

    def __init__(self, layout: Layout, clients: int = CLIENTS, series: str = "") -> None:
        self.layout = layout
        self.clients = clients
        self.series = series
        """A part of every file's name, so that no file of an earlier series has the same."""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Let the clients begin."""
        root = self.layout.root
        argv = [sys.executable, "-m", "lab.traffic", str(root), str(self.clients), self.series]
        self._process = spawn(argv, root / "traffic.log", cwd=REPOSITORY)

    async def finish(self) -> None:
        """Let every client complete its session, so that nothing fails by our own doing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        if not await ended(self._process, FINISH_TIMEOUT):
            raise TimeoutError(f"the clients did not leave within {FINISH_TIMEOUT} s")
        if self._process.returncode:
            log = (self.layout.root / "traffic.log").read_text(encoding="utf-8")
            raise RuntimeError(f"the traffic broke down: {log[-2000:]}")

    async def stop(self) -> None:
        """End it now, whatever is in flight."""
        if self._process is not None:
            await end(self._process, signal.SIGKILL)
