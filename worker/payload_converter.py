"""Read what was sent to a workflow; pass on unreadable content raw, so that it can be refused."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter

from worker.failure_converter import OperatorFailureConverter
from worker.result_seals import seal


class LenientPayloadConverter(PydanticPayloadConverter):
    """Never fails on the content of a run's input, its signals and its updates.

    The SDK would drop such a signal unseen, and retry such an input for ever.
    """

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        """Read every payload, as its type if one is declared."""
        if type_hints:
            return super().from_payloads(payloads, type_hints)
        return [self._read(payload) for payload in payloads]

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """Write every value, with a seal where it is what an activity returns."""
        payloads = super().to_payloads(values)
        for payload in payloads:
            seal(payload)
        return payloads

    def _read(self, payload: Payload) -> Any:  # noqa: ANN401 - whatever was sent
        try:
            [value] = super().from_payloads([payload])
        except (KeyError, RuntimeError, ValueError):
            return RawValue(payload)
        return value


DATA_CONVERTER = replace(
    pydantic_data_converter,
    payload_converter_class=LenientPayloadConverter,
    failure_converter_class=OperatorFailureConverter,
)
"""How the worker's client converts values and failures."""
