"""The command ``python -m lab rollback``."""

from pathlib import Path
from typing import Annotated

import typer

from lab.campaigns.options import (
    NOT_SUSPENDED,
    Driver,
    JumpHost,
    Replicating,
    RunAs,
    Windows,
    WorkerPerCluster,
    chosen,
)
from lab.campaigns.rollback_matrix.campaign import RollbackMatrix
from lab.campaigns.rollback_matrix.cases import Selection
from lab.campaigns.runner import run_to_exit
from lab.layout import Drivers, Layout
from workflows.model.stages import Procedure

Json = Annotated[Path | None, typer.Option(help="Write the result to this file.")]
Only = Annotated[
    list[str] | None,
    typer.Option(metavar="STAGE[:PLACE[:KIND[:ANSWER]]]", help="Only these cases; repeatable."),
]


def rollback(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    json: Json = None,
    only: Only = None,
    labs: Annotated[int, typer.Option(min=1, max=8, help="Estates side by side.")] = 2,
    procedure: Annotated[Procedure, typer.Option(help="What fails.")] = "switchover",
    driver: Driver = "hosts_file",
    replication: Replicating = "postgresql",
    *,
    worker_per_cluster: WorkerPerCluster = False,
    jump_host: JumpHost = False,
    run_as: RunAs = False,
    windows: Windows = False,
) -> None:
    """Fail every stage in every way; exit 1 if a run did not end as it must."""
    if procedure == "rejoin" and replication != "postgresql":
        raise typer.BadParameter(NOT_SUSPENDED)
    drivers = chosen(Drivers(driver, replication, jump_host, run_as, windows))
    layout = Layout(Path("/"), "127.0.0", drivers=drivers)
    try:
        parts = tuple(Selection.read(text, layout, procedure) for text in only or ())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    matrix = RollbackMatrix(
        parts, labs, json, procedure, drivers=drivers, worker_per_cluster=worker_per_cluster
    )
    run_to_exit(matrix)
