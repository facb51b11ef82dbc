"""The build id of a worker: equal on every worker with the same code."""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import activities
import worker
import workflows

PACKAGES = (workflows, activities, worker)
"""The packages whose code decides how an action is done."""


@cache
def build_id() -> str:
    """Return version and digest of the code, read once, as the process loaded it."""
    digest = digest_of(Path(directory) for package in PACKAGES for directory in package.__path__)
    return f"{_version()}-{digest}"


def digest_of(directories: Iterable[Path]) -> str:
    """Return the first digits of one SHA-256 over every Python file, by its name and content."""
    digest = hashlib.sha256()
    for directory in directories:
        for file in sorted(directory.rglob("*.py")):
            digest.update(f"{directory.name}/{file.relative_to(directory)}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _version() -> str:
    try:
        return version("switchover")
    except PackageNotFoundError:  # run from a directory that was never installed
        return "0"
