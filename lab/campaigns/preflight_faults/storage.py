"""Faults of the shared storages and their sync."""

import asyncio
import os
import shutil
import time
import uuid
from collections.abc import Iterator
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
"""Of one length: a sync that compares sizes and times sees no difference."""
FOLDER = Path("accounts", account(1), "statements")
SHARE = 10
"""One file in so many differs: a sample of hundreds contains one."""
LATE = 2.5
"""Times the delay that the estate allows."""


async def _alter_copies(layout: Layout, place: str) -> None:
    originals, copies = _folders(layout, place)
    names = _write(originals, 1 + len(files(originals.parents[2])) // SHARE)
    await until(partial(_all_exist, copies, names), "all files were copied")
    for name in names:
        _alter(copies / name)
    old = 2 * _allowed(layout) + 1
    last = copies / names[-1]
    await until(lambda: time.time() - last.stat().st_ctime > old, f"a copy is {old:.0f} s old")


async def _remove_both(layout: Layout, place: str) -> None:
    folders = _folders(layout, place)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)  # so does the sync at the same time
    await until(lambda: not any(folder.exists() for folder in folders), "no copy remains")


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


def _all_exist(folder: Path, names: list[str]) -> bool:
    return all((folder / name).exists() for name in names)


def _alter(copy: Path) -> None:
    found = copy.stat()
    copy.write_bytes(OTHER)
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))


def _allowed(layout: Layout) -> float:
    """Return the storage delay that the estate allows, in seconds."""
    return roles(layout).estate.timing.storage_delay.total_seconds()


async def _slow_down(layout: Layout, _: str) -> None:
    _delay(layout, LATE * _allowed(layout))


async def _speed_up(layout: Layout, _: str) -> None:
    _delay(layout, SimulationOptions().storage_delay)
    await asyncio.gather(*(_copied(*direction) for direction in _directions(layout)))


def _delay(layout: Layout, seconds: float) -> None:
    simulation = SimulationOptions.read(layout.simulation)
    replace(simulation, storage_delay=seconds).write(layout.simulation)


def _directions(layout: Layout) -> Iterator[tuple[Path, Path]]:
    one, two = (cluster.storage / MARKERS for cluster in layout.clusters)
    yield one, two
    yield two, one


async def _copied(here: Path, there: Path) -> None:
    """Wait until a new file is copied, and its removal too: older changes were copied before."""
    name = f"lab-{uuid.uuid4().hex}"
    (here / name).touch()
    await until((there / name).exists, f"{there / name} was copied")
    (here / name).unlink()
    await until(lambda: not (there / name).exists(), f"{there / name} was removed")


async def _unmount(layout: Layout, place: str) -> None:
    storage = layout.cluster(place).storage
    storage.replace(_away(storage))
    # Otherwise a service that needs a folder there would create it.
    storage.symlink_to("not-mounted")


async def _mount(layout: Layout, place: str) -> None:
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
        f"One file in {SHARE} differs from the other storage, and the sync does not notice.",
        _alter_copies,
        _remove_both,
    ),
    InjectedFault(
        "storage_delay_exceeded",
        "cluster1",
        "What is written to one storage appears too late on the other.",
        _slow_down,
        _speed_up,
    ),
    InjectedFault(
        "storage_unreadable", "cluster2", "Its storage is not mounted.", _unmount, _mount
    ),
)
