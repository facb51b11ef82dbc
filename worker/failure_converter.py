"""Show failures to operators by their message, without stack and causes."""

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter

from worker.unreachable_budget import UnreachableTimeout
from workflows.errors import SwitchoverError


class OperatorFailureConverter(DefaultFailureConverter):
    """Removes stack and causes from errors that an operator reads.

    Every other error is a defect of the program, and keeps its stack for the developer.
    """

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Convert an exception, wherever it was raised."""
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, SwitchoverError | UnreachableTimeout):
            failure.stack_trace = ""
            failure.ClearField("cause")
