"""How far every node is in the `by_node` variant, where stages go on side by side."""

from __future__ import annotations

from collections.abc import Iterable

from workflows.execution.execution import CHAIN
from workflows.model.actions import FindOrphanedFiles
from workflows.model.base import Value
from workflows.model.progress import ActionProgress, Progress, StageProgress, Status
from workflows.model.stages import StageName

OVER = (Status.DONE, Status.SKIPPED)

AFTERWARDS = FindOrphanedFiles.model_fields["kind"].default
"""What belongs to a stage of the chains, and is done once all of them have ended."""


class Link(Value):
    """One stage, as far as one node is concerned."""

    stage: StageName
    status: Status
    done: int
    actions: int


class Chain(Value):
    """One node's way through its stages."""

    node: str
    links: tuple[Link, ...]
    """One for each stage of `CHAIN`; without orders where the stage does not concern the node."""


def chains(progress: Progress) -> tuple[Chain, ...]:
    """Return every source node's chain, Edges first, as they go; none in the `by_stage` variant."""
    if progress.variant != "by_node":
        return ()
    stages = [stage for stage in progress.stages if stage.stage in CHAIN]
    places = dict.fromkeys(action.place for stage in stages for action in stage.actions)
    every = [
        Chain(node=place, links=tuple(_link(stage, place) for stage in stages)) for place in places
    ]
    return tuple(sorted(every, key=lambda chain: bool(chain.links[0].actions)))


def _link(stage: StageProgress, place: str) -> Link:
    actions = [
        action
        for action in stage.actions
        if action.place == place and not action.key.startswith(f"{AFTERWARDS}.")
    ]
    return Link(
        stage=stage.stage,
        status=_step(actions),
        done=sum(action.status is Status.DONE for action in actions),
        actions=len(actions),
    )


def _step(actions: Iterable[ActionProgress]) -> Status:
    steps = {action.status for action in actions}
    if Status.FAILED in steps:
        return Status.FAILED
    if steps <= {*OVER}:
        return Status.DONE if Status.DONE in steps else Status.SKIPPED
    return Status.PENDING if steps == {Status.PENDING} else Status.RUNNING
