"""Which exact words answer a wait: what each verb has to be told, for everyone who shows it."""

from __future__ import annotations

from workflows.model.decisions import NEED_MINUTES, NEED_REASON, NEED_STAGE
from workflows.model.progress import OperatorMessage, PendingQuestion, Progress, RunStatus

Answer = tuple[str, dict[str, str | int]]
"""A verb, and the payload to send with it."""

MINUTES = 60
"""What an answer offers to extend by; whoever types it may say another number."""

MOST_SILENT = 3
"""So many dead nodes get words of their own; the others are told by the same ones."""


def waits(progress: Progress) -> tuple[PendingQuestion, ...]:
    """Everything the run waits for from someone, what has been waited for longest first."""
    first = () if progress.waiting is None else (progress.waiting,)
    return first + progress.also_waiting


def answers(waiting: PendingQuestion) -> tuple[Answer, ...]:
    """Return every verb that answers a wait, with all that it needs to be told."""
    return tuple(answer for verb in waiting.answers for answer in _of(waiting, verb))


def _of(waiting: PendingQuestion, verb: str) -> tuple[Answer, ...]:
    payload: dict[str, str | int] = {}
    if verb in NEED_STAGE:
        payload["stage"] = waiting.stage.value
    rest: dict[str, str | int] = {"by": "..."}
    if verb in NEED_MINUTES:
        rest["minutes"] = MINUTES
    if verb in NEED_REASON:
        rest["reason"] = "..."
    if verb == "force" and waiting.silent:
        # A dead node is counted as down by name: nobody shall bury a cluster with one word.
        nodes = waiting.silent[:MOST_SILENT]
        return tuple((verb, {**payload, "node": node, **rest}) for node in nodes)
    return ((verb, {**payload, **rest}),)


def pause(progress: Progress) -> OperatorMessage | None:
    """Who paused the run, and when; None where it is not paused."""
    if progress.state is not RunStatus.PAUSED:
        return None
    pauses = (
        messages
        for messages in reversed(progress.messages)
        if messages.verb == "pause" and messages.counted
    )
    return next(pauses, None)
