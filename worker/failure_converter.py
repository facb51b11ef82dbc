"""How failures are shown to people: by their sentence, without the program's inner life."""

from __future__ import annotations

from dataclasses import replace

from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DefaultFailureConverter, PayloadConverter

from worker.unreachable_budget import UnreachableTimeout
from workflows.errors import SwitchoverError


class OperatorFailureConverter(DefaultFailureConverter):
    """Leaves out stack and causes of what was raised for an operator to read.

    Everything else is a defect of ours, and keeps its stack for whoever mends it.
    """

    def to_failure(
        self,
        exception: BaseException,
        payload_converter: PayloadConverter,
        failure: Failure,
    ) -> None:
        """Convert an exception, wherever it was raised."""
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, SwitchoverError | UnreachableTimeout):
            failure.stack_trace = ""
            failure.ClearField("cause")


CONVERTER = replace(pydantic_data_converter, failure_converter_class=OperatorFailureConverter)
"""What the worker's client speaks: pydantic values, and failures for people."""
