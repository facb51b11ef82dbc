"""The command ``python -m lab crash``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from lab.campaigns.crash.campaign import CrashCampaign, CrashOptions
from lab.campaigns.crash.negative_controls import Control
from lab.campaigns.crash.nemesis import AttackPlan
from lab.campaigns.crash.points import Kind, Point
from lab.campaigns.runner import run_to_exit
from lab.checker.expected import Variant

# typer reads annotations itself, and does not know ``X | None`` in all of its versions.
Json = Annotated[Optional[Path], typer.Option(help="Write the result to this file.")]  # noqa: UP045 - typer
Only = Annotated[Optional[Kind], typer.Option(help="Points of one kind.")]  # noqa: UP045 - typer
Replay = Annotated[Optional[str], typer.Option(help="SEED:POINT, or SEED:POINT+POINT...")]  # noqa: UP045 - typer
NegativeControl = Annotated[
    Optional[Control],  # noqa: UP045 - typer
    typer.Option(help="Cause a failure that no product can prevent: it must be reported."),
]


def crash(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    points: Annotated[int, typer.Option(min=1, help="How many attacks.")] = 300,
    json: Json = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other points.")] = 1,
    only: Only = None,
    replay: Replay = None,
    control: NegativeControl = None,
    labs: Annotated[int, typer.Option(min=1, max=8, help="Estates side by side.")] = 2,
    variant: Annotated[Variant, typer.Option(help="Stage by stage, or node by node.")] = "by_stage",
) -> None:
    """Attack switchovers at many points; exit 1 if anything was wrong."""
    options = CrashOptions(
        points=points,
        seed=seed,
        labs=labs,
        only=only,
        variant=variant,
        control=control,
        replay=_plan(replay, variant) if replay else None,
        json=json,
    )
    run_to_exit(CrashCampaign(options))


def _plan(text: str, variant: Variant) -> AttackPlan:
    """Read what a campaign printed after ``--replay``."""
    seed, _, points = text.partition(":")
    try:
        read = tuple(Point.read(point) for point in points.split("+"))
        return AttackPlan(int(seed), read, variant=variant)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not SEED:POINT[+POINT...]: {error}") from error
