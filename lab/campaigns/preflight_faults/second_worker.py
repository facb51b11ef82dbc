"""Who is the second worker of the product, whose code is not the first one's?

Run it as ``python -m lab.campaigns.preflight_faults.second_worker ADDRESS DIRECTORY``. It copies
the product's code there, adds a module that nobody imports, and keeps a worker of that code running
until it is called back or Temporal has gone.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

from lab.campaigns.preflight_faults.actions import opens
from lab.environment.process_state import alive
from lab.layout import Layout
from lab.subprocesses import REPOSITORY, end, spawn

CODE = ("workflows", "activities", "worker")
POLL_SECONDS = 0.5
READY_TIMEOUT = 60.0
"""Seconds until a worker on a busy machine is ready."""


def is_there(layout: Layout) -> bool:
    """Whether one runs now."""
    return alive(_directory(layout) / "pid")


def says(layout: Layout) -> str:
    """What its worker has said."""
    log = _directory(layout) / "log"
    return log.read_text(encoding="utf-8") if log.exists() else ""


async def send(layout: Layout, address: str) -> None:
    """Send one; it is on its way when this returns."""
    directory = _directory(layout)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "log").unlink(missing_ok=True)
    # Nobody's child: whoever sent it may end, and has nothing to collect.
    process = await asyncio.create_subprocess_exec(
        *("setsid", "--fork", sys.executable, "-m", __name__),
        *(address, str(directory), str(layout.estate_file.parent)),
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await process.wait()


def call_back(layout: Layout) -> None:
    """Have the one that is there end; nothing happens where there is none."""
    file = _directory(layout) / "pid"
    if alive(file):
        pid = int(file.read_text(encoding="ascii"))
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        if __name__.encode() in words:  # or the number was used again
            os.kill(pid, signal.SIGTERM)


def _directory(layout: Layout) -> Path:
    return layout.root / "second_worker"


async def _work(address: str, directory: Path, estates: str) -> None:
    code = directory / "code"
    shutil.rmtree(code, ignore_errors=True)
    for package in CODE:
        shutil.copytree(REPOSITORY / package, code / package)
    (code / "worker/another.py").touch()
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    records = f"SWITCHOVER_RECORDS={directory / 'records'}"
    words = ["env", f"TEMPORAL_ADDRESS={address}", records, f"PYTHONPATH={code}"]
    words += [sys.executable, "-m", "worker", "--estates", estates]
    worker = spawn(words, directory / "log", cwd=code)
    host, _, port = address.rpartition(":")
    try:
        while worker.poll() is None and not told.is_set() and await opens(host, int(port)):
            with suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), POLL_SECONDS)
    finally:
        await end(worker)


def main() -> None:
    """Be one."""
    address, directory, estates = sys.argv[1:]
    (Path(directory) / "pid").write_text(str(os.getpid()), encoding="ascii")
    asyncio.run(_work(address, Path(directory), estates))


if __name__ == "__main__":
    main()
