"""What can be done with a lab from a terminal? ``python -m lab up``, ``demo`` and ``crash``."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Optional

import typer

from lab.crash.command import crash
from lab.databases import ACCOUNTS
from lab.demo import Demo, Wishes
from lab.house import Lab
from lab.traffic.process import CLIENTS
from lab.verdict import Verdict

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

app.command()(crash)

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


@app.command()
def demo(
    directory: Directory = None,
    json: Annotated[Optional[Path], typer.Option(help="Write the verdict to this file.")] = None,  # noqa: UP045 - typer
    clients: Annotated[int, typer.Option(min=1, max=ACCOUNTS)] = CLIENTS,
    *,
    literal: Annotated[bool, typer.Option(help="Follow the vendor's page instead.")] = False,
    keep: Annotated[bool, typer.Option(help="Leave everything up until Ctrl-C.")] = False,
) -> None:
    """Switch a living estate over and say what it cost; exit 1 if anything went wrong."""
    with lodgings(directory) as place, suppress(asyncio.CancelledError):
        verdict = asyncio.run(_demonstrate(Demo(Wishes(place, clients, literal, keep, json))))
        raise typer.Exit(1 if verdict.problems() else 0)
    raise typer.Exit(128 + signal.SIGTERM)


async def _demonstrate(demo: Demo) -> Verdict:
    """Leave in order on SIGTERM, too, as ``asyncio.run`` does on SIGINT."""
    task = asyncio.ensure_future(demo.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


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
