"""Errors of the console: an exit code and a sentence for the operator.

* CommandError          the command ends with this sentence
  + NoAnswer            the run is not affected; the same command may work later
    - NoServer          Temporal does not answer
    - NoWorker          Temporal answers, but no worker does
    - TaskFails         a worker tries to continue the run, and fails each time
"""

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

from workflows.errors import BadInput, NotReady
from workflows.model.outcome import Outcome
from workflows.model.task_queues import TASK_QUEUE

NO_WORKER = (
    f"no worker answers on task queue {TASK_QUEUE}; the run is safe, "
    "start one with `python -m worker --estates DIR`"
)


class ExitCode(IntEnum):
    """The exit codes of every command."""

    COMPLETED = 0
    FAILED = 1
    BAD_INPUT = 2
    COMPLETED_WITH_EXCEPTIONS = 3
    ROLLED_BACK = 4
    ABORTED = 5
    FINDINGS = 6


class CommandError(Exception):
    """The command ends here, with a sentence for the operator."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


class NoAnswer(CommandError):
    """No server or no worker answers now; the run itself is not affected."""


class NoServer(NoAnswer):
    """Temporal itself does not answer."""

    def __init__(self) -> None:
        super().__init__("Temporal does not answer; runs continue when it is back")


class NoWorker(NoAnswer):
    """Temporal answers, but no worker does."""

    def __init__(self) -> None:
        super().__init__(NO_WORKER)


class TaskFails(NoAnswer):
    """A worker cannot continue the run: a bug, or code that does not fit the run's history."""

    def __init__(self, failure: str) -> None:
        super().__init__(
            f"a worker runs, and cannot continue the run: {failure}; commands on nodes go on, and "
            "nothing new begins; the worker's log says more, and the section 'A run that cannot "
            "continue' of docs/operating.md what helps"
        )


def exit_code(outcome: Outcome) -> ExitCode:
    """Return the exit code for this outcome."""
    return ExitCode[outcome.outcome.upper()]


@contextmanager
def translated(on_timeout: type[NoServer | NoWorker] = NoServer) -> Iterator[None]:
    """Turn Temporal's errors into a CommandError, most specific first.

    *on_timeout* names who should have answered in time.
    """
    try:
        yield
    except WorkflowUpdateFailedError as refusal:
        cause = refusal.cause
        message = cause.message if isinstance(cause, FailureError) else str(cause)
        raise CommandError(message, ExitCode.BAD_INPUT) from refusal
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        raise NoWorker from error
    except WorkflowQueryFailedError as refusal:
        raise CommandError(f"the run cannot answer: {refusal.message}") from refusal
    except WorkflowFailureError as error:
        raise _failure(error) from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            message = f"no such run is under way: {error.message}"
            raise CommandError(message, ExitCode.BAD_INPUT) from error
        if error.status is RPCStatusCode.UNAVAILABLE:
            raise NoServer from error
        if error.status is RPCStatusCode.FAILED_PRECONDITION:
            # The answer to a query when no worker has polled for a while.
            raise NoWorker from error
        if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
            raise on_timeout from error
        raise CommandError(f"Temporal refused: {error.message}") from error


def _failure(error: WorkflowFailureError) -> CommandError:
    cause = error.cause
    match cause:
        case ApplicationError(type=BadInput.__name__):
            return CommandError(cause.message, ExitCode.BAD_INPUT)
        case ApplicationError(type=NotReady.__name__):
            message = f"not ready, nothing was changed: {cause.message}"
            return CommandError(message, ExitCode.FINDINGS)
        case TerminatedError():
            return CommandError(f"the run was terminated: {cause.message}")
        case FailureError():
            return CommandError(f"the run failed: {_innermost(cause)}")
        case _:
            return CommandError(f"the run failed: {cause}")


def _innermost(failure: FailureError) -> str:
    cause = failure.cause
    return _innermost(cause) if isinstance(cause, FailureError) else failure.message
