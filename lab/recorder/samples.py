"""Sample what runs, listens and is scheduled on the machines.

A process of its own, run as ``python -m lab.recorder.samples ROOT`` until it is killed. It opens no
connection: that would be counted as a session.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import records
from lab.environment.load_balancers.registry import load_balancer
from lab.environment.process_state import listening, read_node
from lab.environment.storage import runs
from lab.layout import PROTOCOL_PORTS, Layout
from lab.networks import tcp_tables
from lab.subprocesses import REPOSITORY, end, spawn

EVERY = 0.1


@dataclass(frozen=True)
class Sample:
    """The estate at one instant."""

    at: float
    traffic: str
    """The cluster to which the load balancer's configuration points; "" for none or both."""
    synced: bool
    """Whether the storages are kept in sync."""
    running: dict[str, list[str]]
    scheduling: dict[str, list[str]]
    serving: dict[str, list[str]]
    """By node: the protocols whose ports accept connections."""


class Sampler:
    """Reads one lab's machines."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._load_balancer = load_balancer(layout)
        self._tcp_tables = tcp_tables(layout)

    def sample(self) -> Sample:
        """Read everything once."""
        nodes = {node.name: read_node(node) for node in self._layout.nodes}
        ports = listening(self._tcp_tables)
        return Sample(
            at=time.time(),
            traffic=self._load_balancer.traffic(),
            synced=runs(self._layout),
            running={name: sorted(seen.running) for name, seen in nodes.items()},
            scheduling={name: sorted(seen.scheduling) for name, seen in nodes.items()},
            serving={
                node.name: [
                    p for p, port in PROTOCOL_PORTS.items() if (node.address, port) in ports
                ]
                for node in self._layout.nodes
            },
        )


class Samples:
    """The process that samples a lab."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to sample."""
        root = self._layout.root
        argv = [sys.executable, "-m", "lab.recorder.samples", str(root)]
        self._process = spawn(argv, root / "samples.log", cwd=REPOSITORY)

    async def stop(self) -> None:
        """Sample no more."""
        if self._process is not None:
            await end(self._process)


def read_samples(file: Path) -> Iterator[Sample]:
    """Every sample taken so far."""
    return (Sample(**line) for line in records.read(file))


def main() -> None:
    """Sample until killed."""
    layout = Layout.read(Path(sys.argv[1]))
    sampler = Sampler(layout)
    while True:
        records.append(layout.samples, **asdict(sampler.sample()))
        time.sleep(EVERY)


if __name__ == "__main__":
    main()
