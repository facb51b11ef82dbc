"""What every view says of questions, the messages that answer them, and operators' messages."""

from workflows.model.decisions import NEED_MINUTES, NEED_REASON, NEED_STAGE
from workflows.model.outcome import Outcome
from workflows.model.progress import OperatorMessage, PendingQuestion, Progress, RunStatus

Answer = tuple[str, dict[str, str | int]]
"""A verb, and the payload to send with it."""

SUGGESTED_MINUTES = 60
"""By how much a suggested `extend` extends."""

MAX_SUGGESTED_NODES = 3
"""Further nodes that do not answer need the same message with another name."""


def waits(progress: Progress) -> tuple[PendingQuestion, ...]:
    """Return every open question, the oldest first."""
    first = () if progress.waiting is None else (progress.waiting,)
    return first + progress.also_waiting


def answers(question: PendingQuestion) -> tuple[Answer, ...]:
    """Return every verb that answers a question, with a complete payload."""
    return tuple(answer for verb in question.answers for answer in _of(question, verb))


def _of(question: PendingQuestion, verb: str) -> tuple[Answer, ...]:
    payload: dict[str, str | int] = {}
    if verb in NEED_STAGE:
        payload["stage"] = question.stage.value
    rest: dict[str, str | int] = {"by": "..."}
    if verb in NEED_MINUTES:
        rest["minutes"] = SUGGESTED_MINUTES
    if verb in NEED_REASON:
        rest["reason"] = "..."
    if verb == "force" and question.silent:
        # Only a named node is treated as down, never all nodes of a cluster with one message.
        nodes = question.silent[:MAX_SUGGESTED_NODES]
        return tuple((verb, {**payload, "node": node, **rest}) for node in nodes)
    return ((verb, {**payload, **rest}),)


def pause(progress: Progress) -> OperatorMessage | None:
    """Return the message that paused the run; None if it is not paused."""
    if progress.state is not RunStatus.PAUSED:
        return None
    pauses = (
        message
        for message in reversed(progress.messages)
        if message.verb == "pause" and message.counted
    )
    return next(pauses, None)


def decision_text(message: OperatorMessage) -> str:
    """Return what an operator decided, and why."""
    about = " ".join(filter(None, (message.verb, message.stage, message.node)))
    return f"{about}{author(message)}"


def author(message: OperatorMessage) -> str:
    """Return who sent a message, and why, as an addition to a sentence.

    Who does not say a name has the identity that Temporal knows.
    """
    name = message.by or message.sender
    by = f" by {name}" if name else ""
    return f"{by} ({message.reason})" if message.reason else by


def ignored(of: Progress | Outcome) -> str:
    """Return how many messages without effect are only counted; "" if none are."""
    return f"{of.ignored_messages} more were ignored" if of.ignored_messages else ""
