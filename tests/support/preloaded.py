"""Start our programs in real processes that have imported them already.

An import takes longer than most commands do. The samples of the campaigns start both programs with
`python -m`, as an operator does.
"""

import asyncio
import multiprocessing
import os
import runpy
import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["starter.console", "worker.activities", "worker.worker"])


@dataclass(frozen=True)
class Preloaded:
    """A program of ours that runs: what the tests need of asyncio's own processes."""

    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader
    process: ForkServerProcess

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self.process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to it while it runs."""
        if self.returncode is None:
            os.kill(self.process.pid or 0, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait for the end; return the exit code."""
        if self.returncode is None:
            loop, ended = asyncio.get_running_loop(), asyncio.Event()
            loop.add_reader(self.process.sentinel, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(self.process.sentinel)
        assert self.returncode is not None
        return self.returncode

    async def communicate(self) -> tuple[bytes, bytes]:
        """Wait for the end; return what was printed and not yet read."""
        printed = await asyncio.gather(self.stdout.read(), self.stderr.read())
        await self.wait()
        return printed


async def start(
    module: str, *arguments: str, one_stream: bool = False, **environment: str
) -> Preloaded:
    """Start ``python -m module arguments`` with these environment variables beside ours."""
    (out, child_out), (err, child_err) = _FORKS.Pipe(duplex=False), _FORKS.Pipe(duplex=False)
    with ExitStack() as pipes:
        for pipe in (out, child_out, err, child_err):
            pipes.enter_context(pipe)
        process = _FORKS.Process(
            target=_run,
            args=(
                (module, *arguments),
                os.environ | environment,
                *(child_out, child_out if one_stream else child_err),
            ),
            daemon=True,
        )
        process.start()
        return Preloaded(await _reader(out), await _reader(err), process)


async def _reader(pipe: Connection) -> asyncio.StreamReader:
    reader, file = asyncio.StreamReader(), os.fdopen(os.dup(pipe.fileno()), "rb", buffering=0)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), file
    )
    return reader


def _run(
    argv: tuple[str, ...], environment: dict[str, str], out: Connection, err: Connection
) -> None:
    """Be ``python -m`` from here on."""
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    out.close()
    err.close()
    sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1)
    sys.argv = list(argv)
    runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
