"""Which faults can the clusters' storages have, and how are they planted?"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from lab.estate_file import TIMING
from lab.layout import Layout, account
from lab.plants.hands import until
from lab.plants.plant import Plant
from lab.storage import MARKERS
from lab.switches import Switches

CONTENT, OTHER = b"paid in full\n", b"paid in part\n"
"""Of one length: a sync that looks at sizes and times sees no difference."""
AT_REST = 2 * TIMING["storage_delay"] + 1
"""Seconds after which a file's copy must be there, by clocks that count whole ones."""
LATE = 2.5 * TIMING["storage_delay"]


async def _alter_copy(layout: Layout, place: str) -> None:
    original, copy = _statements(layout, place)
    original.parent.mkdir(parents=True, exist_ok=True)
    hidden = original.with_name(f".{original.name}")
    hidden.write_bytes(CONTENT)
    hidden.replace(original)
    await _until(copy.exists, f"{copy} has come over")
    found = copy.stat()
    with copy.open("r+b") as file:
        file.write(OTHER)
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))
    await _until(partial(_at_rest, copy), f"{copy} is {AT_REST:.0f} s old")


async def _remove_both(layout: Layout, place: str) -> None:
    both = _statements(layout, place)
    for file in both:
        file.unlink(missing_ok=True)
    # What is removed here while the sync looks there is removed there as well.
    await _until(partial(_are_gone, both), "no copy is left")


def _statements(layout: Layout, place: str) -> tuple[Path, Path]:
    """Return the file at the other cluster, and its copy at this one."""
    here = layout.cluster(place)
    there = next(cluster for cluster in layout.clusters if cluster != here)
    path = Path("accounts", account(1), "statement.dat")
    return there.storage / path, here.storage / path


def _at_rest(file: Path) -> bool:
    return time.time() - file.stat().st_ctime > AT_REST


def _are_gone(files: tuple[Path, ...]) -> bool:
    return not any(file.exists() for file in files)


async def _until(holds: Callable[[], bool], words: str) -> None:
    async def look() -> bool:
        return holds()

    await until(look, words)


async def _slow_down(layout: Layout, _: str) -> None:
    _delay(layout, LATE)


async def _speed_up(layout: Layout, _: str) -> None:
    _delay(layout, Switches().storage_delay)
    # What was queued before comes first.
    await asyncio.gather(*(_carried(*way) for way in _ways(layout)))


def _delay(layout: Layout, seconds: float) -> None:
    switches = Switches.read(layout.switches)
    replace(switches, storage_delay=seconds).write(layout.switches)


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
    await _until(partial(_are_gone, (there / name,)), f"{there / name} has gone")


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


PLANTS = (
    Plant(
        "storage_differs",
        "cluster2",
        "Its copy of a file has another content, and no sync notices.",
        _alter_copy,
        _remove_both,
    ),
    Plant(
        "storage_delay_exceeded",
        "cluster1",
        f"What is written to a storage is on the other one {LATE} seconds later.",
        _slow_down,
        _speed_up,
    ),
    Plant(
        "storage_unreadable",
        "cluster2",
        "Its storage is not mounted.",
        _take_away,
        _give_back,
    ),
)
