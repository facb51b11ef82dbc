"""A machine of another estate, which answers as it should: ``python -m bench.hostile.honest``.

It prints how a worker finds it, and serves until its standard input ends.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from activities.transport.ssh import Command, Shell
from bench.hostile.ssh import answering, node
from bench.hostile.wires import Peer, over_ssh
from workflows.model.estate import Node

PAUSE = 0.02
"""Seconds between two commands."""


@asynccontextmanager
async def machine() -> AsyncIterator[str]:
    """Serve in a process of its own; gives how a worker finds it, as text."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.hostile.honest"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        yield (await process.stdout.readline()).decode()
    finally:
        process.stdin.close()
        await process.wait()


class Neighbour:
    """Runs commands on an honest machine meanwhile, as the runs of another estate would."""

    def __init__(self, text: str) -> None:
        self._peer = Peer.read(text)
        self.longest = 0.0
        """Seconds that a command took."""

    @asynccontextmanager
    async def measured(self) -> AsyncIterator[None]:
        """Measure while the block runs; raises what a command raises."""
        shell = Shell(self._peer.secrets)
        with tempfile.TemporaryDirectory() as place:
            there = node(self._peer, Path(place))
            await shell.run(there, Command(("true",)))  # connected, as a worker is
            over = asyncio.Event()
            asking = asyncio.ensure_future(self._ask(shell, there, over))
            try:
                yield
            finally:
                over.set()
                await asking
                await shell.close()

    async def _ask(self, shell: Shell, there: Node, over: asyncio.Event) -> None:
        while not over.is_set():
            began = time.monotonic()
            await shell.run(there, Command(("true",)))
            self.longest = max(self.longest, time.monotonic() - began)
            await asyncio.sleep(PAUSE)


async def _serve() -> None:
    async with over_ssh(answering(lambda _: b"")) as peer:
        sys.stdout.write(f"{peer}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
