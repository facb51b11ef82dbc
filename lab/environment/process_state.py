"""Read what runs, listens and is scheduled on the machines."""

import json
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.layout import NodeLayout
from lab.node import services

LISTENING = "0A"
"""The kernel's word for a listening TCP socket."""


@dataclass(frozen=True)
class NodeReading:
    """What one node does."""

    running: frozenset[str]
    """Services whose PID file names a living process."""
    scheduling: frozenset[str]
    """Which of Scheduler and Folder Monitor are started and have their Transaction Manager."""


def read_node(node: NodeLayout) -> NodeReading:
    """Read a node's PID files and the scheduling that is started."""
    run = node.home / "var/run"
    running = {s.name for s in services.of(node.kind) if alive(run / s.pid_file)}
    scheduled: dict[str, bool] = {}
    with suppress(FileNotFoundError, json.JSONDecodeError):  # being replaced
        scheduled = json.loads((node.root / "var/scheduling.json").read_text(encoding="utf-8"))
    scheduling = {services.SCHEDULING[name] for name, started in scheduled.items() if started}
    return NodeReading(
        frozenset(running), frozenset(scheduling if "tm" in running else frozenset())
    )


def listening(tables: Iterable[Path]) -> set[tuple[str, int]]:
    """Every IPv4 address and port that accepts connections, by the kernel's tables."""
    found = set()
    for table in tables:
        with table.open(encoding="ascii") as lines:
            next(lines)
            for line in lines:
                _, local, _, state, *_ = line.split(maxsplit=4)
                if state == LISTENING:
                    address, _, port = local.partition(":")
                    packed = struct.pack("=I", int(address, 16))
                    found.add((socket.inet_ntoa(packed), int(port, 16)))
    return found


def alive(pid_file: Path) -> bool:
    """Whether the file names a process that lives; a zombie does not."""
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except (OSError, ValueError):
        return False
