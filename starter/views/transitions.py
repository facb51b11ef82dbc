"""What has happened between two looks at a run, in the order an operator would tell it."""

from __future__ import annotations

from collections.abc import Iterator

from starter.client.sanitize import clean
from starter.views.tables import SYMBOLS
from starter.views.text import command, commands, paused_line, said_line
from workflows.execution.drain_timeout import whom
from workflows.model.progress import (
    ActionProgress,
    PendingQuestion,
    Progress,
    StageProgress,
    Status,
)
from workflows.views.suggested_answers import waits

Wait = tuple[str, str, str]


def transitions(before: Progress | None, after: Progress) -> Iterator[str]:
    """Say once what is new: words, stages, faults, exceptions, findings, waits."""
    for said in after.messages[len(before.messages) if before else 0 :]:
        yield said_line(said)
    yield from _stages(before.stages if before else (), after.stages)
    if after.undo and not (before and before.undo):
        yield "the run is taken back, stage by stage"
    yield from _stages(before.undo if before else (), after.undo, "back: ")
    yield from _faults(before, after)
    for words in after.exceptions[len(before.exceptions) if before else 0 :]:
        yield f"exception: {clean(words)}"
    for finding in after.findings[len(before.findings) if before else 0 :]:
        yield f"{finding.severity}: {clean(str(finding))}"
    paused = paused_line(after)
    if paused and not (before and paused == paused_line(before)):
        yield f"{paused}; go on with: {command(after.estate, 'resume', {})}"
    known = {_wait(waiting) for waiting in waits(before)} if before else set()
    for waiting in waits(after):
        if _wait(waiting) not in known:
            yield from _waiting(after, waiting)


def _stages(
    before: tuple[StageProgress, ...], after: tuple[StageProgress, ...], which: str = ""
) -> Iterator[str]:
    known = {stage.stage: stage.status for stage in before}
    for stage in after:
        if stage.status not in (known.get(stage.stage, Status.PENDING), Status.SKIPPED):
            took = "" if stage.seconds is None else f", {stage.seconds:.1f} s"
            sign = SYMBOLS[stage.status][0]
            yield f"{sign} {which}{stage.number} {stage.stage}: {stage.status}{took}"


def _waiting(progress: Progress, waiting: PendingQuestion) -> Iterator[str]:
    yield f"waits: {clean(waiting.message)}"
    for left in waiting.remaining:
        yield f"  still there: {clean(whom(left))}"
    yield from (f"  answer: {answer}" for answer in commands(progress, waiting))


def _wait(waiting: PendingQuestion) -> Wait:
    return waiting.stage, waiting.since.isoformat(), waiting.message


def _faults(before: Progress | None, after: Progress) -> Iterator[str]:
    known = {key for key, action in _orders(before) if action.status is Status.FAILED}
    for key, action in _orders(after):
        if action.status is Status.FAILED and action.failure is not None and key not in known:
            yield f"✖ {action.message}: {action.failure.kind}: {clean(action.failure.message)}"


def _orders(progress: Progress | None) -> Iterator[tuple[tuple[bool, str], ActionProgress]]:
    """Yield every order under a key of its own: the same one may be done and taken back."""
    if progress is None:
        return
    for undo, stages in ((False, progress.stages), (True, progress.undo)):
        for stage in stages:
            yield from (((undo, action.key), action) for action in stage.actions)
