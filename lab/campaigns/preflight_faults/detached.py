"""Processes that outlive the command that starts them."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from lab.environment.process_state import alive
from lab.subprocesses import REPOSITORY


async def start(module: str, *arguments: object) -> None:
    """Run a module, not as a child of this process, which may end before it."""
    process = await asyncio.create_subprocess_exec(
        *("setsid", "--fork", sys.executable, "-m", module),
        *map(str, arguments),
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await process.wait()


def stop(module: str, pid_file: Path) -> None:
    """Ask the process of that module to end, if it runs."""
    if alive(pid_file):
        pid = int(pid_file.read_text(encoding="ascii"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if module.encode() in command:  # or the number was used again
            os.kill(pid, signal.SIGTERM)
