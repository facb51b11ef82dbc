"""How the console ends: which exit code, and which sentence, for whatever happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from temporalio.client import (
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError, FailureError, TerminatedError
from temporalio.service import RPCError, RPCStatusCode

from workflows.activity_options import TASK_QUEUE
from workflows.errors import BadInput, NotReady
from workflows.model.outcome import Outcome

NO_WORKER = (
    f"no worker answers on task queue {TASK_QUEUE}; the run is safe, "
    "start one with `python -m worker --estates DIR`"
)


class Exit(IntEnum):
    """What the exit code says, the same for every command."""

    COMPLETED = 0
    FAILED = 1
    BAD_INPUT = 2
    COMPLETED_WITH_EXCEPTIONS = 3
    ROLLED_BACK = 4
    ABORTED = 5
    FINDINGS = 6


class Stop(Exception):
    """The command ends here, with a sentence for the operator."""

    def __init__(self, sentence: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(sentence)
        self.code = code


class NoAnswer(Stop):
    """Nobody answers now, which says nothing about the run: asking again may help."""


class NoServer(NoAnswer):
    """Temporal itself does not answer."""

    def __init__(self) -> None:
        super().__init__("Temporal does not answer; what runs goes on when it is back")


class NoWorker(NoAnswer):
    """Temporal answers, but nobody who could carry the question out."""

    def __init__(self) -> None:
        super().__init__(NO_WORKER)


def exit_of(outcome: Outcome) -> Exit:
    """Return the exit code that tells this outcome."""
    return Exit[outcome.outcome.upper()]


def failure(error: WorkflowFailureError) -> Stop:
    """Say why a run failed, in the words of whoever refused."""
    cause = error.cause
    match cause:
        case ApplicationError(type=BadInput.__name__):
            return Stop(cause.message, Exit.BAD_INPUT)
        case ApplicationError(type=NotReady.__name__):
            return Stop(f"not ready, nothing was changed: {cause.message}", Exit.FINDINGS)
        case TerminatedError():
            return Stop(f"the run was terminated: {cause.message}")
        case FailureError():
            return Stop(f"the run failed: {_innermost(cause)}")
        case _:
            return Stop(f"the run failed: {cause}")


@contextmanager
def translated(silent: type[NoServer | NoWorker] = NoServer) -> Iterator[None]:
    """Say what Temporal's complaint means for the operator, most specific first.

    *silent* is who should have answered in time.
    """
    try:
        yield
    except WorkflowUpdateFailedError as refusal:
        cause = refusal.cause
        words = cause.message if isinstance(cause, FailureError) else str(cause)
        raise Stop(words, Exit.BAD_INPUT) from refusal
    except WorkflowUpdateRPCTimeoutOrCancelledError as silence:
        raise NoWorker from silence
    except WorkflowQueryFailedError as refusal:
        raise Stop(f"the run cannot answer: {refusal.message}") from refusal
    except WorkflowFailureError as error:
        raise failure(error) from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise Stop(f"no such run is under way: {error.message}", Exit.BAD_INPUT) from error
        if error.status is RPCStatusCode.UNAVAILABLE:
            raise NoServer from error
        if error.status is RPCStatusCode.FAILED_PRECONDITION:
            # What a query gets where nobody has polled for a while.
            raise NoWorker from error
        if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
            raise silent from error
        raise Stop(f"Temporal refused: {error.message}") from error


def _innermost(failure: FailureError) -> str:
    cause = failure.cause
    return _innermost(cause) if isinstance(cause, FailureError) else failure.message
