"""The values that show a plan before it is started: each action, its commands, what holds."""

from collections.abc import Iterable, Sequence

from workflows.model.base import Value
from workflows.model.findings import Finding
from workflows.model.observations import Reading
from workflows.model.seals import Seals
from workflows.model.stages import StageName
from workflows.planning.already_satisfied import holds
from workflows.planning.observations import Observations
from workflows.planning.plan import Plan
from workflows.planning.procedures import undo_of


class CommandPreview(Value):
    """The exact commands of one action, as the activities would send them."""

    stage: StageName
    action: str
    """The action's key."""
    commands: tuple[str, ...]
    """Commands, requests and statements; of an action that waits, the condition that it polls."""


class ReviewedAction(Value):
    """One action of the plan, before it is carried out."""

    stage: StageName
    action: str
    place: str
    message: str
    commands: tuple[str, ...] = ()
    holds: bool | None = None
    """Whether the desired state holds already; None if that is unknown or does not apply."""
    undo: str | None = None
    """What a rollback would do; None if there is nothing to undo."""


class Review(Value):
    """A plan, and what is known of its estate."""

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
    """Combine each action with its commands and with whether it holds already."""
    observed = Observations(plan, tuple(readings))
    message = {(one.stage, one.action): one.commands for one in preview}
    return Review(
        plan=plan.model_copy(update={"seals": Seals()}),
        hash=plan.hash,
        steps=tuple(
            ReviewedAction(
                stage=stage.name,
                action=action.key,
                place=action.place,
                message=str(action),
                commands=message.get((stage.name, action.key), ()),
                holds=holds(observed, action),
                undo=", then ".join(map(str, undo_of(plan, stage, action))) or None,
            )
            for stage in plan.stages
            for action in stage.actions
        ),
        findings=findings,
    )
