"""A lab whose file systems can be made read-only, which shows that a check writes nothing."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.keys import machine_names
from lab.layout import Layout
from tests.support.preloaded import ROOT

READY_TIMEOUT = 60
OWN = ("run", "var/log", "opt/axway/SecureTransport/var/logs", "accounts")
"""What the lab itself writes: where scripts and services meet, what its processes print, and what
a server keeps of each user that logs in: its log and a home."""

ALONE = ("unshare", "--mount", "--propagation", "private")
"""In front of a command: its mounts are visible to its own process only."""


@dataclass(frozen=True)
class Apart:
    """A lab as a process of its own; as root, with mounts that no other process sees."""

    layout: Layout
    pid: int
    mounts: bool
    """Whether it has mounts of its own."""

    @property
    def roots(self) -> tuple[Path, ...]:
        """The files of every machine, the load balancer's among them, and of both storages."""
        machines = (self.layout.root / "machines" / name for name in machine_names(self.layout))
        return (*machines, *(cluster.storage for cluster in self.layout.clusters))

    def files(self) -> dict[str, tuple[int, ...]]:
        """Every file and directory there, with all that a write would change."""
        return {
            str(path): (seen.st_ino, seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
            for root in self.roots
            for path in _under(root)
            for seen in [path.lstat()]
        }

    @contextmanager
    def read_only(self) -> Iterator[bool]:
        """Make all of them read-only: by mounts as root, by modes as another user.

        Yields whether that could be done: not by a root without the right to mount, whom no mode
        stops either. ``files`` before and after still shows a change.
        """
        if self.mounts:
            for root in self.roots:
                self._mount(root)
            yield True
        elif os.geteuid() == 0:
            yield False
        else:
            modes = {path: path.stat().st_mode for root in self.roots for path in _under(root)}
            for path, mode in modes.items():
                path.chmod(mode & ~0o222)
            try:
                yield True
            finally:
                for path, mode in modes.items():
                    path.chmod(mode)

    def refuses(self, file: Path) -> bool:
        """Whether that file cannot be written, as a process there would see it."""
        argv = (*self._inside(), "sh", "-c", 'echo >>"$1"', "sh", str(file))
        return subprocess.run(argv, check=False, capture_output=True).returncode != 0

    def _mount(self, root: Path) -> None:
        owned = (root / place for place in OWN if (root / place).exists())
        for place, mode in ((root, "ro"), *((place, "rw") for place in owned)):
            for options in (("--bind", str(place)), ("-o", f"remount,bind,{mode}")):
                subprocess.run((*self._inside(), "mount", *options, str(place)), check=True)

    def _inside(self) -> tuple[str, ...]:
        return ("nsenter", "--mount", f"--target={self.pid}") if self.mounts else ()


@asynccontextmanager
async def lab_apart(root: Path) -> AsyncIterator[Apart]:
    """Have a small lab in its baseline; its mounts, if any, go with it."""
    mounts = _may_mount()
    process = await asyncio.create_subprocess_exec(
        *(ALONE if mounts else ()),
        *(sys.executable, "-m", "lab", "up", "--dir", str(root), "--servers", "1", "--edges", "1"),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), READY_TIMEOUT)
        assert line.startswith(b"ready: "), line
        yield Apart(Layout(root, "127.0.0", servers=1, edges=1), process.pid, mounts)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), READY_TIMEOUT)


def _may_mount() -> bool:
    argv = (*ALONE, "true")
    return os.geteuid() == 0 and subprocess.run(argv, check=False).returncode == 0


def _under(root: Path) -> Iterator[Path]:
    own = tuple(root / place for place in OWN)
    yield from (
        path
        for path in (root, *sorted(root.rglob("*")))
        if not any(path == place or place in path.parents for place in own)
    )
