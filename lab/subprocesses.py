"""Start programs that cannot outlive the lab."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from lab.forking import die_with_parent
from lab.networks import enter
from lab.polling import holds_within

REPOSITORY = Path(__file__).parents[1]
"""Where ``python -m lab...`` finds the lab."""


def spawn(
    argv: Sequence[str],
    log: Path,
    user: int | None = None,
    cwd: Path = Path("/"),
    network: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, bound to the life of the calling thread.

    After a SIGKILL the lab cannot clean up: the kernel has to end the program. *network* is the
    file of the network namespace that it is in, if not in the lab's own.
    """
    parent = os.getpid()

    def bind_to_lab(inside: int | None) -> None:
        """Only system calls: nothing else is safe between fork and exec."""
        die_with_parent(signal.SIGKILL, parent)
        if inside is not None:
            enter(inside)

    with ExitStack() as stack:
        output = stack.enter_context(log.open("ab"))
        inside = None if network is None else stack.enter_context(network.open("rb")).fileno()
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            user=user,
            group=user,
            extra_groups=None if user is None else (),
            start_new_session=True,  # Ctrl-C reaches the lab, which ends its programs in sequence
            preexec_fn=lambda: bind_to_lab(inside),  # noqa: PLW1509
        )


async def ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a program to end; return whether it did within *seconds* seconds."""
    return await holds_within(seconds, lambda: process.poll() is not None, 0.02)


async def end(
    process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM, seconds: float = 5
) -> None:
    """Ask a program to end, wait, and leave nothing of its process group."""
    if process.poll() is None:
        process.send_signal(how)
        await ended(process, seconds)
    with suppress(ProcessLookupError):  # it ended, and so did every child of it
        os.killpg(process.pid, signal.SIGKILL)
    await ended(process, seconds)
