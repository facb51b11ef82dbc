"""Show failures to operators by their message, without stack and causes."""

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError

from worker.unreachable_budget import UnreachableTimeout
from workflows.errors import Refused, SwitchoverError


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
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, SwitchoverError | UnreachableTimeout | NotOurs):
            failure.stack_trace = ""
            failure.ClearField("cause")
