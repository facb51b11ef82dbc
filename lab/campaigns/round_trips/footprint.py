"""Measure what a lab consists of beside its clients' files: what no round trip may make grow."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from lab.environment.lab import Lab
from lab.layout import Layout
from lab.polling import holds_within

SLOTS = "SELECT slot_name FROM pg_replication_slots"
ENDS_WITHIN = 20.0
"""Seconds until the processes of a product that has just ended are gone."""
KEPT = ("logs", "log", "switchover", "proc", "machines.log")
"""Folders whose content may grow: logs, and the product's ledger, which is measured by itself."""


@dataclass(frozen=True)
class Footprint:
    """One lab at rest, without the product's workers."""

    slots: frozenset[str]
    """Replication slots of both databases, as ``DATABASE SLOT``."""
    processes: int
    """Processes of all machines, also those that were detached."""
    files: frozenset[str]
    """Files on the machines, without logs, process numbers and ledgers."""
    ledger_files: int
    ledger_bytes: int
    disk_bytes: int
    """Everything below the lab's directory."""


@dataclass(frozen=True)
class Growth:
    """What there is more of than at the start."""

    slots: tuple[str, ...]
    processes: int
    files: tuple[str, ...]
    ledger_files: int
    ledger_bytes: int
    disk_bytes: int

    @classmethod
    def between(cls, start: Footprint, now: Footprint) -> "Growth":
        """Compare two footprints of one lab."""
        return cls(
            slots=tuple(sorted(now.slots - start.slots)),
            processes=now.processes - start.processes,
            files=tuple(sorted(now.files - start.files)),
            ledger_files=now.ledger_files - start.ledger_files,
            ledger_bytes=now.ledger_bytes - start.ledger_bytes,
            disk_bytes=now.disk_bytes - start.disk_bytes,
        )

    def problems(self) -> Iterator[str]:
        """Everything that must not grow and did; a ledger and logs may."""
        if self.slots:
            yield f"replication slots are left: {', '.join(self.slots)}"
        if self.processes > 0:
            yield f"{self.processes} processes more than at the start run on the machines"
        if self.files:
            yield f"{len(self.files)} files are left on the machines, such as {self.files[0]}"


async def measure(lab: Lab, most: int | None = None) -> Footprint:
    """Measure a lab; *most*: how many processes there should be once all that ends has ended."""
    if most is not None:
        await holds_within(ENDS_WITHIN, lambda: _processes(lab) <= most, 0.2)
    ledgers = [file for place in _machines(lab.layout) for file in _files(place / "var/lib")]
    return Footprint(
        slots=frozenset([slot async for slot in _slots(lab.layout)]),
        processes=_processes(lab),
        files=frozenset(_left(lab.layout)),
        ledger_files=len(ledgers),
        ledger_bytes=sum(map(_size, ledgers)),
        disk_bytes=sum(map(_size, _files(lab.layout.root))),
    )


async def _slots(layout: Layout) -> AsyncIterator[str]:
    for cluster in layout.clusters:
        async with await psycopg.AsyncConnection.connect(cluster.dsn) as connection:
            for (name,) in await (await connection.execute(SLOTS)).fetchall():
                yield f"{cluster.database_name} {name}"


def _processes(lab: Lab) -> int:
    """Processes that are no zombies, of all machines together."""
    running = 0
    for process in psutil.Process(lab.machines.pid).children(recursive=True):
        try:
            running += process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            continue
    return running


def _left(layout: Layout) -> Iterator[str]:
    for place in _machines(layout):
        for file in _files(place):
            parts = file.relative_to(place).parts
            if not any(part in KEPT for part in parts) and file.suffix != ".pid":
                yield str(file.relative_to(layout.root))


def _machines(layout: Layout) -> list[Path]:
    return [*(node.root for node in layout.nodes), layout.load_balancer_root]


def _files(place: Path) -> Iterator[Path]:
    return (file for file in place.rglob("*") if not file.is_dir())


def _size(file: Path) -> int:
    try:
        return file.lstat().st_size
    except FileNotFoundError:  # it has just gone
        return 0
