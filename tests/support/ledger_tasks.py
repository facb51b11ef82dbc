"""Tasks for the ledger, and the shells that its scripts have to run under."""

import asyncio
import secrets
import shutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Literal

from activities.ledger.store import LedgerCommand
from activities.transport.ssh import Command

SHELLS = [sh for sh in ("dash", "bash", "busybox", "ksh", "mksh") if shutil.which(sh)]
BOOT = "/proc/sys/kernel/random/boot_id"


def shell_words(sh: str) -> tuple[str, ...]:
    """Return how a shell is called."""
    return (sh, "sh") if sh == "busybox" else (sh,)


def word() -> str:
    """Return a random word, as each attempt at a claim has one."""
    return secrets.token_hex(8)


def task(
    argv: Sequence[str],
    *,
    operation: str = "run.stage.action.1",
    service: str = "ssh",
    completes_on: Literal["exit", "deadline", "limit"] = "exit",
    within: float = 60,
) -> LedgerCommand:
    """Make a task of a command."""
    return LedgerCommand(
        operation, service, Command(tuple(argv)), timedelta(seconds=within), completes_on
    )


def writing(file: Path, then: str = "") -> tuple[str, ...]:
    """Return a command that leaves one line in a file each time it runs."""
    return ("sh", "-c", f"echo ran >>{file}; {then}")


async def until(file: Path) -> None:
    """Wait until something stands in a file: a shell makes it before it writes to it."""

    def written() -> bool:
        return file.exists() and file.stat().st_size > 0

    while not await asyncio.to_thread(written):  # noqa: ASYNC110 - another process does it
        await asyncio.sleep(0.02)
