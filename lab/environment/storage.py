"""Keep the shared storages of both clusters in sync, both ways, with a delay.

A process of its own: ``python -m lab.environment.storage ROOT1 ROOT2 OPTIONS``. It notices an
added, replaced or removed file by its folder's change, and repeats it on the other side one
``storage_delay`` later, so that a whole file appears there at once. Hidden names and ``*.m_inproc``
are not copied. While one storage is missing, nothing is synced: a storage that is not mounted is
not an empty one.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from lab.environment.process_state import alive
from lab.layout import Layout
from lab.simulation_options import SimulationOptions
from lab.subprocesses import REPOSITORY, end, spawn

MARKERS = "markers"
"""A folder on each storage where a product may write, to see how late the other side sees it."""
POLL_SECONDS = 0.05
"""Seconds between two readings: the measured delay is longer by up to this much."""
COARSE = 0.05
"""A folder's time of change is this coarse, in seconds: one that changed just now is read again."""

Version = tuple[int, int, int]
"""Inode, size and time of change: different whenever the content is."""


@dataclass(frozen=True)
class Change:
    """A file that was written on one side, or removed (without a version)."""

    due: float
    path: str
    version: Version | None


@dataclass
class Side:
    """One cluster's storage as it was last seen."""

    root: Path
    files: dict[str, dict[str, Version]] = field(default_factory=lambda: {"": {}})
    """By folder, then by name."""
    read_at: dict[str, int] = field(default_factory=dict)
    """Each folder's time of change when it was read; only if it had been at rest by then."""
    pending: deque[Change] = field(default_factory=deque)

    def changes(self, due: float) -> list[Change]:
        """The changes since the last reading."""
        found = []
        folders = deque(self.files)
        while folders:
            folder = folders.popleft()
            now = self._read(folder, folders)
            if now is None:
                continue
            before = self.files[folder]
            found += [
                Change(due, os.path.join(folder, name), now.get(name))  # noqa: PTH118 - relative
                for name in sorted(before.keys() | now.keys())
                if before.get(name) != now.get(name)
            ]
            self.files[folder] = now
        return found

    def note(self, path: str, version: Version | None) -> None:
        """Know a change that was made here on behalf of the other side: it is not sent back."""
        folder, name = os.path.split(path)
        known = self.files.setdefault(folder, {})
        if version is None:
            known.pop(name, None)
        else:
            known[name] = version

    def known(self, path: str) -> Version | None:
        """The file as it was last seen."""
        folder, name = os.path.split(path)
        return self.files.get(folder, {}).get(name)

    def version(self, path: str) -> Version | None:
        """The file as it is now."""
        try:
            return _version((self.root / path).stat())
        except FileNotFoundError:
            return None

    def _read(self, folder: str, found: deque[str]) -> dict[str, Version] | None:
        """Return the folder's files, or None if nothing can have changed; *found* gets folders."""
        place = self.root / folder
        try:
            changed = place.stat().st_mtime_ns
            if self.read_at.get(folder) == changed:
                return None
            at_rest = time.time() - changed / 1e9 > COARSE
            entries = list(os.scandir(place))
            files = {e.name: _version(e.stat()) for e in entries if _travels(e)}
        except FileNotFoundError:  # the folder was removed, or a file meanwhile: read again
            self.read_at.pop(folder, None)
            return None if place.exists() else {}
        self.read_at.pop(folder, None)
        if at_rest:
            self.read_at[folder] = changed
        for entry in entries:
            inner = os.path.join(folder, entry.name)  # noqa: PTH118 - relative
            if inner not in self.files and entry.is_dir(follow_symlinks=False):
                self.files[inner] = {}
                found.append(inner)
        return files


def _travels(entry: os.DirEntry[str]) -> bool:
    hidden = entry.name.startswith(".") or entry.name.endswith(".m_inproc")
    return not hidden and entry.is_file(follow_symlinks=False)


def _version(found: os.stat_result) -> Version:
    return found.st_ino, found.st_size, found.st_mtime_ns


def repeat(change: Change, here: Side, there: Side) -> None:
    """Make on the other side what happened on this one, unless this side went on meanwhile."""
    if here.version(change.path) != change.version:
        return  # a later change of the same file is on its way
    if there.version(change.path) != there.known(change.path):
        return  # the other side has changed it, too; what is later wins, and that is on its way
    target = there.root / change.path
    if change.version is None:
        target.unlink(missing_ok=True)
        there.note(change.path, None)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    hidden = target.with_name(f".{target.name}.sync")
    shutil.copy2(here.root / change.path, hidden)
    hidden.replace(target)
    there.note(change.path, there.version(change.path))


def sync(one: Side, two: Side, simulation: Path) -> None:
    """Carry what happened since the last time, and what has become due."""
    if not all(side.root.is_dir() for side in (one, two)):
        return
    due = time.monotonic() + SimulationOptions.read(simulation).storage_delay
    for here, there in ((one, two), (two, one)):
        here.pending.extend(here.changes(due))
        while here.pending and here.pending[0].due <= time.monotonic():
            with suppress(FileNotFoundError):  # it went away meanwhile, and that is a change, too
                repeat(here.pending.popleft(), here, there)


class Storage:
    """Both clusters' shared storages and the process that keeps them in sync."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._roots = [cluster.storage for cluster in layout.clusters]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to keep them in sync."""
        for root in self._roots:
            for folder in ("accounts", "inbox", "done", MARKERS):
                (root / folder).mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "lab.environment.storage", *map(str, self._roots)]
        log = self._layout.root / "storage.log"
        self._process = spawn([*argv, str(self._layout.simulation)], log, cwd=REPOSITORY)
        _pid_file(self._layout).write_text(str(self._process.pid), encoding="ascii")

    async def stop(self) -> None:
        """Sync no more."""
        if self._process is not None:
            await end(self._process, signal.SIGKILL)

    async def reset(self) -> None:
        """Empty both, and keep them in sync again."""
        await self.stop()
        for root in self._roots:
            await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)
        self.start()

    def differences(self) -> list[str]:
        """Everything in which the storages differ from the baseline."""
        found = [
            f"{root.name}: {path.relative_to(root)} is on its storage"
            for root in self._roots
            for path in root.rglob("*")
            if path.is_file()
        ]
        found += [
            f"{root.name}: its storage is missing" for root in self._roots if not root.is_dir()
        ]
        return found if runs(self._layout) else [*found, "the storages are not kept in sync"]


def runs(layout: Layout) -> bool:
    """Whether a lab's storages are kept in sync right now."""
    return alive(_pid_file(layout))


def _pid_file(layout: Layout) -> Path:
    return layout.root / "storage.pid"


def main() -> None:
    """Keep both in sync until killed."""
    one, two, simulation = map(Path, sys.argv[1:])
    sides = Side(one), Side(two)
    while True:
        sync(*sides, simulation)
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()
