"""Show failures to operators by their message, without stack and causes."""

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError

from worker.unreachable_budget import UnreachableTimeout
from workflows.errors import Refused, SwitchoverError
from workflows.model.text import printable_lines

MAX_MESSAGE = 64_000
"""Characters: the longest message of ours names every finding of a large estate."""


class NotOurs(ApplicationError):
    """No run of ours has asked for it: Temporal must not try again, whoever asked."""

    def __init__(self, message: str) -> None:
        super().__init__(message, type=Refused.__name__, non_retryable=True)


class OperatorFailureConverter(DefaultFailureConverter):
    """Removes stack and causes from errors that an operator reads.

    Every other error is a defect of the program, and keeps its stack for the developer.
    """

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Convert an exception, wherever it was raised."""
        shown = exception
        if not str(exception).isprintable():  # half a character cannot even be encoded
            shown = _printable(exception)
        super().to_failure(shown, payload_converter, failure)
        _bound(failure)
        if isinstance(exception, SwitchoverError | UnreachableTimeout | NotOurs):
            failure.stack_trace = ""
            failure.ClearField("cause")


def _printable(exception: BaseException) -> BaseException:
    """Return an error of the same kind with a text that can be shown."""
    if not isinstance(exception, SwitchoverError):
        return exception
    return type(exception)(printable_lines(str(exception)))


def _bound(failure: Failure) -> None:
    """Leave no character that a terminal would obey, and no text without end, in it or a cause."""
    while True:
        failure.message = printable_lines(failure.message)
        if (more := len(failure.message) - MAX_MESSAGE) > 0:
            failure.message = f"{failure.message[:MAX_MESSAGE]}... and {more} more characters"
        if not failure.HasField("cause"):
            return
        failure = failure.cause
