"""The commands ``python -m lab inject`` and ``python -m lab readiness``."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lab.campaigns.preflight_faults.actions import InjectionFailed
from lab.campaigns.preflight_faults.campaign import FaultCampaign
from lab.campaigns.preflight_faults.registry import BY_NAME, FAULTS, FaultRegistry, running_lab
from lab.campaigns.runner import run_to_exit

BAD_INPUT = 2

Fault = Annotated[str | None, typer.Argument(help="The name; see --list.")]
Place = Annotated[str | None, typer.Option("--at", help="The place, if not its own.")]
Directory = Annotated[Path | None, typer.Option("--dir", help="The directory of the lab.")]
Json = Annotated[Path | None, typer.Option(help="Write the result to this file.")]
Only = Annotated[list[str] | None, typer.Option(metavar="FAULT", help="Only these; repeatable.")]


def inject(
    fault: Fault = None,
    at: Place = None,
    directory: Directory = None,
    *,
    everything: Annotated[bool, typer.Option("--list", help="List all faults.")] = False,
    clear: Annotated[bool, typer.Option(help="Revert all injected faults.")] = False,
) -> None:
    """Inject a fault into a running lab (`python -m lab up`), or revert all faults."""
    if everything:
        _list()
        return
    if clear == (fault is not None):
        raise typer.Exit(_complain("give one fault, or --clear, or --list"))
    try:
        registry = FaultRegistry(running_lab(directory))
        if fault is None:
            reverted = asyncio.run(registry.revert_all())
            for name, place in reverted:
                print(f"{place}: {name} is reverted")
            print(f"{len(reverted)} fault{'' if len(reverted) == 1 else 's'} reverted")
        else:
            injected, where = asyncio.run(registry.inject(fault, at))
            print(f"{where}: {injected.name}: {injected.description}")
    except InjectionFailed as failure:
        raise typer.Exit(_complain(str(failure))) from failure


def readiness(json: Json = None, only: Only = None) -> None:
    """Inject every fault in turn; exit 1 if the product does not report it at its place."""
    if unknown := [name for name in only or () if name not in BY_NAME]:
        message = f"there is no fault {', '.join(unknown)}; see lab inject --list"
        raise typer.Exit(_complain(message))
    run_to_exit(FaultCampaign([one for one in FAULTS if not only or one.name in only], json))


def _list() -> None:
    table = Table("fault", "place", "what is wrong then", title="faults that can be injected")
    for fault in FAULTS:
        table.add_row(fault.name, fault.place, fault.description)
    console = Console(highlight=False)
    (console if console.is_terminal else Console(highlight=False, width=160)).print(table)


def _complain(message: str) -> int:
    print(message, file=sys.stderr)
    return BAD_INPUT
