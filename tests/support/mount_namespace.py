"""A process in a mount namespace of its own, like that of a container."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

MOUNT = 'mount --bind "$1" "$2" && echo mounted && exec cat'


@cache
def may_mount() -> bool:
    """Return whether this user may make a namespace and mount there."""
    command = ["unshare", "--mount", "mount", "--bind", "/tmp", "/tmp"]  # noqa: S108 - only there
    return os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0


NEEDS_ROOT = pytest.mark.skipif(not may_mount(), reason="only root mounts, where it may at all")


@dataclass(frozen=True)
class Container:
    """The process, and the one file that is mounted there."""

    process: int
    point: Path

    @property
    def file(self) -> Path:
        """The file as the process sees it."""
        return Path(f"/proc/{self.process}/root{self.point}")


@contextmanager
def mounted(file: Path, point: Path) -> Iterator[Container]:
    """Mount a file by itself, for one process that has nothing else of its own."""
    point.touch()
    command = ["unshare", "--mount", "sh", "-c", MOUNT, "sh", str(file), str(point)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mounted\n"
        yield Container(process.pid, point)
        process.communicate()
