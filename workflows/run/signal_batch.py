"""How a worker hands over signals: all of one workflow task together, each with its sender.

The SDK's own way costs a handler, a task and a conversion for each. Thousands of them take longer
than a workflow task may, and the task would fail for ever.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from typing import Any

from workflows.model.decisions import Decision, parse_decision

MAX_INPUT = 16 * 1024
"""Bytes of the longest input that is read; a decision has a tenth of it."""
MAX_NAME = 100
"""Characters that are kept of a signal's name, and of a sender's identity."""


@dataclass(frozen=True)
class Signal:
    """A signal as Temporal received it."""

    name: str
    sender: str
    """The identity that the sender's client gave to Temporal."""
    inputs: int
    """How many inputs were sent."""
    text: str | None
    """The first input; None where it is longer than MAX_INPUT, or no JSON text."""

    def decision(self) -> Decision:
        """Return the decision in it; BadInput with one readable sentence."""
        return parse_decision([_value(self.text)] * self.inputs)


def written(signals: Iterable[Signal]) -> bytes:
    """Return the batch as the one input of one signal."""
    return json.dumps([astuple(signal) for signal in signals]).encode()


def read(batch: list[list[Any]]) -> Iterator[Signal]:
    """Yield the signals of a batch."""
    for fields in batch:
        yield Signal(*fields)


def _value(text: str | None) -> Any:  # noqa: ANN401 - whatever was sent
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
