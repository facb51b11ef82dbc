"""What can be done with a lab from a terminal? ``python -m lab up``, ``python -m lab demo``."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Optional

import typer

from lab.house import Lab

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Directory = Annotated[Optional[Path], typer.Option("--dir", help="Where it lives.")]  # noqa: UP045 - typer


@app.callback()
def lab() -> None:
    """A simulated estate behind real SSH, HTTP, HAProxy and PostgreSQL."""


@app.command()
def up(
    directory: Directory = None,
    servers: Annotated[int, typer.Option(min=1, max=20)] = 2,
    edges: Annotated[int, typer.Option(min=0, max=20)] = 2,
) -> None:
    """Serve an estate in the foreground until SIGINT or SIGTERM."""
    with lodgings(directory) as place:
        asyncio.run(_serve(place, servers, edges))


async def _serve(place: Path, servers: int, edges: int) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with Lab.open(place, servers, edges) as lab:
        print(f"ready: {lab.layout.estate_file}", flush=True)
        await ended.wait()


@contextmanager
def lodgings(directory: Path | None) -> Iterator[Path]:
    """The directory that was asked for, or one that goes with the lab."""
    if directory is not None:
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="switchover-lab-", ignore_cleanup_errors=True) as made:
        yield Path(made)


if __name__ == "__main__":
    app()
