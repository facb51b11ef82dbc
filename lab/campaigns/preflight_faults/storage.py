"""Which faults can the clusters' storages have, and how are they planted?"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from lab.campaigns.preflight_faults.actions import until
from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.checker.roles import roles
from lab.environment.quiesce import files
from lab.environment.storage import MARKERS
from lab.layout import Layout, account
from lab.simulation_options import SimulationOptions

CONTENT, OTHER = b"paid in full\n", b"paid in part\n"
"""Of one length: a sync that looks at sizes and times sees no difference."""
FOLDER = Path("accounts", account(1), "statements")
SHARE = 10
"""One file in so many differs: who looks at a sample of hundreds meets one."""
LATE = 2.5
"""Times the delay that the estate allows."""


async def _alter_copies(layout: Layout, place: str) -> None:
    originals, copies = _folders(layout, place)
    names = _write(originals, 1 + len(files(originals.parents[2])) // SHARE)
    await _until(partial(_have_come, copies, names), "all copies have come over")
    for name in names:
        _alter(copies / name)
    old = 2 * _allowed(layout) + 1
    last = copies / names[-1]
    await _until(lambda: time.time() - last.stat().st_ctime > old, f"a copy is {old:.0f} s old")


async def _remove_both(layout: Layout, place: str) -> None:
    folders = _folders(layout, place)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)  # so does the sync at the same time
    await _until(lambda: not any(folder.exists() for folder in folders), "no copy is left")


def _folders(layout: Layout, place: str) -> tuple[Path, Path]:
    """Return the other cluster's folder, and this one's copy of it."""
    here = layout.cluster(place)
    there = next(cluster for cluster in layout.clusters if cluster != here)
    return there.storage / FOLDER, here.storage / FOLDER


def _write(folder: Path, count: int) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:05d}.dat" for number in range(count)]
    for name in names:
        hidden = folder / f".{name}"
        hidden.write_bytes(CONTENT)
        hidden.replace(folder / name)
    return names


def _have_come(folder: Path, names: list[str]) -> bool:
    return all((folder / name).exists() for name in names)


def _alter(copy: Path) -> None:
    found = copy.stat()
    copy.write_bytes(OTHER)
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))


def _allowed(layout: Layout) -> float:
    """Return the storage delay that the estate speaks of, in seconds."""
    return roles(layout).estate.timing.storage_delay.total_seconds()


async def _until(holds: Callable[[], bool], words: str) -> None:
    async def look() -> bool:
        return holds()

    await until(look, words)


async def _slow_down(layout: Layout, _: str) -> None:
    _delay(layout, LATE * _allowed(layout))


async def _speed_up(layout: Layout, _: str) -> None:
    _delay(layout, SimulationOptions().storage_delay)
    # What was queued before comes first.
    await asyncio.gather(*(_carried(*way) for way in _ways(layout)))


def _delay(layout: Layout, seconds: float) -> None:
    simulation = SimulationOptions.read(layout.simulation)
    replace(simulation, storage_delay=seconds).write(layout.simulation)


def _ways(layout: Layout) -> Iterator[tuple[Path, Path]]:
    one, two = (cluster.storage / MARKERS for cluster in layout.clusters)
    yield one, two
    yield two, one


async def _carried(here: Path, there: Path) -> None:
    """Wait until a file comes over, and goes there when it goes here."""
    name = f"lab-{uuid.uuid4().hex}"
    (here / name).touch()
    await _until((there / name).exists, f"{there / name} has come over")
    (here / name).unlink()
    await _until(lambda: not (there / name).exists(), f"{there / name} has gone")


async def _take_away(layout: Layout, place: str) -> None:
    storage = layout.cluster(place).storage
    storage.replace(_away(storage))
    # Or a service that needs a folder there would make the whole way to it.
    storage.symlink_to("not-mounted")


async def _give_back(layout: Layout, place: str) -> None:
    storage = layout.cluster(place).storage
    if storage.is_symlink():
        storage.unlink()
    if _away(storage).exists():
        _away(storage).replace(storage)


def _away(storage: Path) -> Path:
    return storage.with_name(f"{storage.name}.away")


FAULTS = (
    InjectedFault(
        "storage_differs",
        "cluster2",
        f"One file in {SHARE} has another content than on the other storage, and no sync notices.",
        _alter_copies,
        _remove_both,
    ),
    InjectedFault(
        "storage_delay_exceeded",
        "cluster1",
        "What is written to one storage is too late on the other.",
        _slow_down,
        _speed_up,
    ),
    InjectedFault(
        "storage_unreadable",
        "cluster2",
        "Its storage is not mounted.",
        _take_away,
        _give_back,
    ),
)
