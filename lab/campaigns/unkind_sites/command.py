"""The command ``python -m lab unkind``."""

from pathlib import Path
from typing import Annotated

import typer

from lab.campaigns.options import Driver, Replicating
from lab.campaigns.runner import run_to_exit
from lab.campaigns.unkind_sites.campaign import UnkindSites
from lab.layout import Drivers


def unkind(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    json: Annotated[Path | None, typer.Option(help="Write the result to this file.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    first: Annotated[int, typer.Option(min=0, help="The first seed.")] = 1,
    labs: Annotated[int, typer.Option(min=1, max=8, help="Estates side by side.")] = 2,
    driver: Driver = "hosts_file",
    replication: Replicating = "postgresql",
) -> None:
    """Switch estates over whose machines are as sites have them; exit 1 if anything went wrong."""
    drivers = Drivers(driver, replication)
    run_to_exit(UnkindSites(range(first, first + seeds), labs, json, drivers))
