"""Describe what changed between two snapshots of a run, line by line."""

from collections.abc import Iterator

from starter.views.tables import change_line
from starter.views.text import command, commands, message_line, paused_line
from workflows.execution.drain_timeout import describe_remaining
from workflows.model.progress import (
    ActionProgress,
    OperatorMessage,
    PendingQuestion,
    Progress,
    RunStatus,
    StageProgress,
    Status,
)
from workflows.model.text import printable
from workflows.views.progress_markdown import SIGNS
from workflows.views.suggested_answers import waits

NOTHING_YET = {
    "state": RunStatus.RUNNING,
    "waiting": None,
    "ignored_messages": 0,
    "configuration_changes": (),
    **dict.fromkeys(("stages", "undo", "also_waiting", "exceptions", "findings", "messages"), ()),
}


def transitions(before: Progress | None, after: Progress) -> Iterator[str]:
    """Yield everything new once: messages, stages, failures, exceptions, changes, questions."""
    old = before or after.model_copy(update=NOTHING_YET)
    yield from map(message_line, _new_messages(old, after))
    yield from _stages(old.stages, after.stages)
    if after.undo and not old.undo:
        yield "the run is being rolled back, stage by stage"
    yield from _stages(old.undo, after.undo, "rollback: ")
    yield from _failures(old, after)
    for exception in after.exceptions[len(old.exceptions) :]:
        yield f"exception: {printable(exception)}"
    yield from map(change_line, after.configuration_changes[len(old.configuration_changes) :])
    for finding in after.findings[len(old.findings) :]:
        yield f"{finding.severity}: {printable(str(finding))}"
    paused = paused_line(after)
    if paused and paused != paused_line(old):
        yield f"{paused}; continue with: {command(after.estate, 'resume', {})}"
    known = {_key(question) for question in waits(old)}
    for question in waits(after):
        if _key(question) not in known:
            yield from _question(after, question)


def _stages(
    before: tuple[StageProgress, ...], after: tuple[StageProgress, ...], prefix: str = ""
) -> Iterator[str]:
    known = {stage.stage: stage.status for stage in before}
    for stage in after:
        if stage.status not in (known.get(stage.stage, Status.PENDING), Status.SKIPPED):
            took = "" if stage.seconds is None else f", {stage.seconds:.1f} s"
            name = f"{prefix}{stage.number} {stage.stage}"
            yield f"{SIGNS[stage.status]} {name}: {stage.status}{took}"


def _question(progress: Progress, question: PendingQuestion) -> Iterator[str]:
    yield f"waiting: {printable(question.message)}"
    for remaining in question.remaining:
        yield f"  remaining: {printable(describe_remaining(remaining))}"
    yield from (f"  answer: {answer}" for answer in commands(progress, question))


def _key(question: PendingQuestion) -> tuple[str, str, str]:
    return question.stage, question.since.isoformat(), question.message


def _failures(before: Progress, after: Progress) -> Iterator[str]:
    known = {key for key, action in _actions(before) if action.status is Status.FAILED}
    for key, action in _actions(after):
        if action.status is Status.FAILED and action.failure is not None and key not in known:
            yield f"✖ {action.message}: {action.failure.kind}: {printable(action.failure.message)}"


def _actions(progress: Progress) -> Iterator[tuple[tuple[bool, str], ActionProgress]]:
    """Yield every action; its key tells the action of a stage from that of its rollback."""
    for undo, stages in ((False, progress.stages), (True, progress.undo)):
        for stage in stages:
            yield from (((undo, action.key), action) for action in stage.actions)


def _new_messages(old: Progress, after: Progress) -> tuple[OperatorMessage, ...]:
    """Return the newest messages; of those without effect the older ones are only counted."""
    new = len(after.messages) + after.ignored_messages
    new -= len(old.messages) + old.ignored_messages
    return after.messages[max(0, len(after.messages) - new) :]
