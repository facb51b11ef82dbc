"""Which words does ``python -m lab crash`` take?"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated, Optional

import typer

from lab.campaigns.crash.campaign import Campaign
from lab.campaigns.crash.negative_controls import Control
from lab.campaigns.crash.nemesis import AttackPlan
from lab.campaigns.crash.points import Kind, Point
from lab.campaigns.crash.state import Wishes
from lab.checker.expected import Variant
from lab.signals import cancelled_by_sigterm

INTERRUPTED = 130
"""The exit code; with ``--json`` the same words go on from there."""

# typer reads annotations itself, and does not know ``X | None`` in all of its versions.
Result = Annotated[Optional[Path], typer.Option(help="Write the result to this file.")]  # noqa: UP045 - typer
Only = Annotated[Optional[Kind], typer.Option(help="Points of one kind.")]  # noqa: UP045 - typer
Again = Annotated[Optional[str], typer.Option(help="SEED:POINT, or SEED:POINT+POINT...")]  # noqa: UP045 - typer
Meter = Annotated[
    Optional[Control],  # noqa: UP045 - typer
    typer.Option(help="Let the lab do what no product can heal: it must be found."),
]


def crash(  # noqa: PLR0913, PLR0917 - each is a word of the command line
    points: Annotated[int, typer.Option(min=1, help="How many attacks.")] = 300,
    json: Result = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other points.")] = 1,
    only: Only = None,
    replay: Again = None,
    control: Meter = None,
    labs: Annotated[int, typer.Option(min=1, max=8, help="Estates side by side.")] = 2,
    variant: Annotated[Variant, typer.Option(help="Stage by stage, or node by node.")] = "by_stage",
) -> None:
    """Kill everything again and again during switchovers; exit 1 if anything was wrong."""
    again = _attack_plan(replay, variant) if replay else None
    with tempfile.TemporaryDirectory(prefix="crash-", ignore_cleanup_errors=True) as place:
        wishes = Wishes(
            place=Path(place),
            points=points,
            seed=seed,
            labs=labs,
            only=only,
            variant=variant,
            control=control,
            replay=again,
            json=json,
        )
        try:
            good = asyncio.run(cancelled_by_sigterm(Campaign(wishes).run()))
        except asyncio.CancelledError:  # by SIGTERM
            raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(0 if good else 1)


def _attack_plan(text: str, variant: Variant) -> AttackPlan:
    """Read what a campaign printed as ``again``."""
    seed, _, points = text.partition(":")
    try:
        read = tuple(Point.read(point) for point in points.split("+"))
        return AttackPlan(int(seed), read, variant=variant)
    except ValueError as mistake:
        raise typer.BadParameter(f"{text!r} is not SEED:POINT[+POINT...]: {mistake}") from mistake
