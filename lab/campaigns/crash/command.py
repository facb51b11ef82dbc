"""The command ``python -m lab crash``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lab.campaigns.crash.campaign import CrashCampaign, CrashOptions
from lab.campaigns.crash.negative_controls import Control
from lab.campaigns.crash.nemesis import AttackPlan
from lab.campaigns.crash.points import Kind, Point
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
from lab.campaigns.runner import run_to_exit
from lab.checker.expected import Variant
from lab.environment.load_balancers.registry import load_balancer
from lab.layout import JUMP_HOST, Drivers, Layout
from lab.proxy.proxies import BALANCER
from workflows.model.stages import Procedure

Json = Annotated[Path | None, typer.Option(help="Write the result to this file.")]
Only = Annotated[Kind | None, typer.Option(help="Points of one kind.")]
Replay = Annotated[
    str | None, typer.Option(metavar="SEED:POINT[+POINT...]", help="Repeat one run.")
]
At = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PLACE",
        help="Only requests to this place, each of them before and after; repeatable.",
    ),
]
NegativeControl = Annotated[
    Control | None,
    typer.Option(help="Cause a failure that no product can prevent: it must be reported."),
]


def crash(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    points: Annotated[int, typer.Option(min=1, help="The number of attacks.")] = 300,
    json: Json = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other points.")] = 1,
    only: Only = None,
    replay: Replay = None,
    control: NegativeControl = None,
    labs: Annotated[int, typer.Option(min=1, max=8, help="Estates side by side.")] = 2,
    variant: Annotated[Variant, typer.Option(help="Stage by stage, or node by node.")] = "by_stage",
    procedure: Annotated[Procedure, typer.Option(help="What is attacked.")] = "switchover",
    driver: Driver = "hosts_file",
    replication: Replicating = "postgresql",
    at: At = None,
    *,
    worker_per_cluster: WorkerPerCluster = False,
    jump_host: JumpHost = False,
    run_as: RunAs = False,
    windows: Windows = False,
) -> None:
    """Attack switchovers, or rejoins, at many points; exit 1 if anything was wrong."""
    if control and procedure == "rejoin":
        raise typer.BadParameter("--control needs a graceful stop, and a rejoin has none")
    if procedure == "rejoin" and replication != "postgresql":
        raise typer.BadParameter(NOT_SUSPENDED)
    drivers = chosen(Drivers(driver, replication, jump_host, run_as, windows))
    options = CrashOptions(
        points=points,
        seed=seed,
        labs=labs,
        only=only,
        variant=variant,
        control=control,
        procedure=procedure,
        drivers=drivers,
        worker_per_cluster=worker_per_cluster,
        at=_known(at or (), drivers),
        replay=_plan(replay, variant, procedure) if replay else None,
        json=json,
    )
    run_to_exit(CrashCampaign(options))


def _known(places: Sequence[str], drivers: Drivers) -> tuple[str, ...]:
    """Return the places; each must be one of an estate with these drivers."""
    layout = Layout(Path("/"), "127.0.0", drivers=drivers)
    known = {node.name for node in layout.nodes} | {c.database_name for c in layout.clusters}
    known |= {BALANCER, load_balancer(layout).redirect_place}
    known |= {JUMP_HOST} if drivers.jump_host else set()
    if unknown := [place for place in places if place not in known]:
        raise typer.BadParameter(
            f"{unknown[0]} is no place of this estate; the places are {', '.join(sorted(known))}"
        )
    return tuple(places)


def _plan(text: str, variant: Variant, procedure: Procedure) -> AttackPlan:
    """Read what a campaign printed after ``--replay``."""
    seed, _, points = text.partition(":")
    try:
        read = tuple(Point.read(point) for point in points.split("+"))
        return AttackPlan(int(seed), read, variant=variant, procedure=procedure)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not SEED:POINT[+POINT...]: {error}") from error
