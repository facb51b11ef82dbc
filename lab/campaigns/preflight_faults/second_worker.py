"""A second worker of the product, with other code than the first.

Run it as ``python -m lab.campaigns.preflight_faults.second_worker ADDRESS DIRECTORY ESTATES
SECRETS``. It copies the product's code there, adds a module that is not imported, and runs a worker
of that code until it is stopped or Temporal ends.
"""

import asyncio
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

from lab.campaigns.preflight_faults import detached
from lab.environment.process_state import alive
from lab.layout import Layout
from lab.polling import opens
from lab.subprocesses import REPOSITORY, end, spawn

CODE = ("workflows", "activities", "worker")
POLL_SECONDS = 0.5
READY_TIMEOUT = 60.0
"""Seconds until a worker on a busy machine is ready."""


def is_running(layout: Layout) -> bool:
    """Return whether one runs now."""
    return alive(_directory(layout) / "pid")


def log(layout: Layout) -> str:
    """Return the log of its worker."""
    file = _directory(layout) / "log"
    return file.read_text(encoding="utf-8") if file.exists() else ""


async def start(layout: Layout, address: str) -> None:
    """Start one, without waiting until it is ready."""
    directory = _directory(layout)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "log").unlink(missing_ok=True)
    await detached.start(__name__, address, directory, layout.estate_file.parent, layout.keys)


def stop(layout: Layout) -> None:
    """Stop it, if there is one."""
    detached.stop(__name__, _directory(layout) / "pid")


def _directory(layout: Layout) -> Path:
    return layout.root / "second_worker"


async def _work(address: str, directory: Path, estates: str, secrets: str) -> None:
    code = directory / "code"
    shutil.rmtree(code, ignore_errors=True)
    for package in CODE:
        shutil.copytree(REPOSITORY / package, code / package)
    (code / "worker/another.py").touch()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    records = f"SWITCHOVER_RECORDS={directory / 'records'}"
    argv = ["env", f"TEMPORAL_ADDRESS={address}", records, f"PYTHONPATH={code}"]
    argv += [sys.executable, "-m", "worker", "--estates", estates, "--secrets", secrets]
    worker = spawn(argv, directory / "log", cwd=code)
    host, _, port = address.rpartition(":")
    try:
        while worker.poll() is None and not stopping.is_set() and await opens(host, int(port)):
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), POLL_SECONDS)
    finally:
        await end(worker)


def main() -> None:
    """Run the worker."""
    address, directory, estates, secrets = sys.argv[1:]
    (Path(directory) / "pid").write_text(str(os.getpid()), encoding="ascii")
    asyncio.run(_work(address, Path(directory), estates, secrets))


if __name__ == "__main__":
    main()
