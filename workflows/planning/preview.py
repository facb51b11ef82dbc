"""What is shown of a plan before anyone starts it: each order's words, and what holds already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workflows.model.base import Value
from workflows.model.findings import Finding
from workflows.model.observations import Reading
from workflows.model.stages import StageName
from workflows.planning.already_satisfied import holds
from workflows.planning.observations import Observations
from workflows.planning.plan import Plan


class CommandPreview(Value):
    """The exact words of one order, as the hands would send them."""

    stage: StageName
    action: str
    """The order's key."""
    commands: tuple[str, ...]
    """Commands, requests and statements; of an order that waits, until when it looks."""


class ReviewedAction(Value):
    """One order of the plan, before it is carried out."""

    stage: StageName
    action: str
    place: str
    message: str
    commands: tuple[str, ...] = ()
    holds: bool | None = None
    """Whether the wished state holds already; None where that cannot be told, or says nothing."""
    undo: str | None = None
    """What a roll-back would do instead, where that is anything."""


class Review(Value):
    """A plan, beside what was seen of its estate."""

    plan: Plan
    hash: str
    steps: tuple[ReviewedAction, ...]
    findings: tuple[Finding, ...] = ()


def review(
    plan: Plan,
    readings: Sequence[Reading] = (),
    preview: Iterable[CommandPreview] = (),
    findings: tuple[Finding, ...] = (),
) -> Review:
    """Lay everything that is known of each order beside it."""
    observed = Observations(plan, tuple(readings))
    message = {(one.stage, one.action): one.commands for one in preview}
    return Review(
        plan=plan,
        hash=plan.hash,
        steps=tuple(
            ReviewedAction(
                stage=stage.name,
                action=action.key,
                place=action.place,
                message=str(action),
                commands=message.get((stage.name, action.key), ()),
                holds=holds(observed, action),
                undo=None if action.undo is None else str(action.undo),
            )
            for stage in plan.stages
            for action in stage.actions
        ),
        findings=findings,
    )
