"""The lab's name server, as a process of its own."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.name_server.zone import Zone
from tests.support.bind import SECRET, ZONE, free_port

EDGE = f"edge1.{ZONE}"
APEX = ("@ 30 SOA ns1 admin 10 3600 600 86400 30", "@ 30 NS ns1", "ns1 30 A 127.0.0.1")
START_TIME = 20.0


@dataclass
class LabNameServer:
    """One server, with its zone."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def key(self) -> dict[str, object]:
        """The server, as an estate writes it."""
        return {"address": "127.0.0.1", "port": self.port}

    @property
    def zone(self) -> Zone:
        """Its zone, as it is on the disk."""
        return Zone.from_json((self.folder / "zone.json").read_text(encoding="utf-8"))

    def write(self, *lines: str) -> None:
        """Give it other records, beside those of the zone itself."""
        text = Zone(ZONE, (*APEX, *lines)).to_json()
        (self.folder / "zone.json").write_text(text, encoding="utf-8")

    def start(self) -> None:
        """Serve; returns when it listens."""
        settings = {
            "zone": str(self.folder / "zone.json"),
            "address": "127.0.0.1",
            "port": self.port,
            "keys": {"switchover": SECRET},
            "effects": str(self.folder / "effects.jsonl"),
            "place": "dns",
            "clusters": {EDGE: {"one": ["10.1.0.1"], "two": ["10.2.0.1"]}},
        }
        file = self.folder / "settings.json"
        file.write_text(json.dumps(settings), encoding="utf-8")
        argv = [sys.executable, "-m", "lab.name_server.server", str(file)]
        self.process = subprocess.Popen(argv, cwd=Path(__file__).parents[2])
        until = time.monotonic() + START_TIME
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the lab's name server does not serve")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(START_TIME)
            self.process = None

    def _listens(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False


@contextmanager
def lab_server(folder: Path) -> Iterator[LabNameServer]:
    """Serve a zone whose one name leads to the cluster ``one``."""
    folder.mkdir()
    server = LabNameServer(folder, free_port())
    server.write("edge1 30 A 10.1.0.1")
    try:
        server.start()
        yield server
    finally:
        server.stop()
