"""The command ``python -m lab round-trips``."""

from pathlib import Path
from typing import Annotated

import typer

from lab.campaigns.options import Driver, Replicating, Windows
from lab.campaigns.round_trips.campaign import RoundTrips
from lab.campaigns.runner import run_to_exit
from lab.layout import Drivers
from lab.simulation_options import SchedulingReturns

Returns = Annotated[
    SchedulingReturns,
    typer.Option(help="Which scheduling runs when its Transaction Manager is started."),
]


def round_trips(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    count: Annotated[int, typer.Argument(min=1, metavar="N", help="How many.")] = 10,
    json: Annotated[Path | None, typer.Option(help="Write the result to this file.")] = None,
    labs: Annotated[int, typer.Option(min=1, max=8, help="Estates side by side.")] = 1,
    scheduling_returns: Returns = "if_started",
    driver: Driver = "hosts_file",
    replication: Replicating = "postgresql",
    *,
    proven: Annotated[
        bool, typer.Option(help="The estate says that scheduling stays stopped: nothing pauses.")
    ] = False,
    windows: Windows = False,
) -> None:
    """Switch over, rejoin, switch back and rejoin, N times; exit 1 if anything went wrong."""
    drivers = Drivers(driver, replication, windows=windows)
    run_to_exit(RoundTrips(count, labs, json, scheduling_returns, proven=proven, drivers=drivers))
