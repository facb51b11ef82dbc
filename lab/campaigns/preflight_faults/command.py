"""Which words do ``python -m lab plant`` and ``readiness`` take?"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Optional, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from lab.campaigns.preflight_faults.actions import InjectionFailed
from lab.campaigns.preflight_faults.campaign import Campaign
from lab.campaigns.preflight_faults.registry import BY_NAME, FAULTS, FaultRegistry, running_lab
from lab.signals import cancelled_by_sigterm

T = TypeVar("T")

BAD_INPUT = 2

Fault = Annotated[Optional[str], typer.Argument(help="What is to be wrong; see --list.")]  # noqa: UP045 - typer
Place = Annotated[Optional[str], typer.Option("--at", help="Where; without it, at its own place.")]  # noqa: UP045 - typer
Directory = Annotated[Optional[Path], typer.Option("--dir", help="Which lab; else the only one.")]  # noqa: UP045 - typer


def plant(
    fault: Fault = None,
    at: Place = None,
    directory: Directory = None,
    *,
    everything: Annotated[bool, typer.Option("--list", help="Show all faults.")] = False,
    clear: Annotated[bool, typer.Option(help="Take out what is planted.")] = False,
) -> None:
    """Make one thing wrong in a lab that runs (`python -m lab up`), or right again."""
    if everything:
        _console().print(_table())
        return
    if clear == (fault is not None):
        raise typer.Exit(_complain("name one fault, or say --clear, or --list"))
    registry = FaultRegistry(_or_complain(lambda: running_lab(directory)))
    if clear:
        taken = _run(registry.clear())
        for name, place in taken:
            print(f"{place}: {name} is taken out")
        print(f"{len(taken) or 'no'} fault{'' if len(taken) == 1 else 's'} taken out")
        return
    assert fault is not None
    planted, where = _run(registry.inject(fault, at))
    print(f"{where}: {planted.name}: {planted.words}")


def readiness(
    json: Annotated[Optional[Path], typer.Option(help="Write the result to this file.")] = None,  # noqa: UP045 - typer
    only: Annotated[Optional[list[str]], typer.Option(metavar="FAULT", help="Repeatable.")] = None,  # noqa: UP045 - typer
) -> None:
    """Inject every fault in turn, and see that the product finds it, and nothing without one."""
    if unknown := [name for name in only or () if name not in BY_NAME]:
        raise typer.Exit(_complain(f"there is no fault {', '.join(unknown)}; see lab plant --list"))
    plants = [plant for plant in FAULTS if not only or plant.name in only]
    with tempfile.TemporaryDirectory(prefix="readiness-", ignore_cleanup_errors=True) as place:
        good = asyncio.run(cancelled_by_sigterm(Campaign(Path(place), plants, json).run()))
    raise typer.Exit(0 if good else 1)


def _table() -> Table:
    table = Table("fault", "place", "what is wrong then", title="faults that can be planted")
    for one in FAULTS:
        table.add_row(one.name, one.place, one.words)
    return table


def _run(work: Coroutine[Any, Any, T]) -> T:
    return _or_complain(lambda: asyncio.run(work))


def _or_complain(question: Callable[[], T]) -> T:
    try:
        return question()
    except InjectionFailed as objection:
        raise typer.Exit(_complain(str(objection))) from objection


def _complain(words: str) -> int:
    print(words, file=sys.stderr)
    return BAD_INPUT


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=160)
