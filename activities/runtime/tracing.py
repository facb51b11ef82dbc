"""Open an OpenTelemetry span for each remote effect."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace

from workflows.ports.inputs import ActionInput

_TRACER = trace.get_tracer("switchover.activities")


@contextmanager
def effect(given: ActionInput[Any], what: str) -> Iterator[None]:
    """Open a span around one remote effect; *what* is its name."""
    operation = given.operation
    attributes = {
        "switchover": operation.identity,
        "stage": operation.stage,
        "action": operation.action,
        "round": operation.round,
        "node": given.action.place,
    }
    with _TRACER.start_as_current_span(what, attributes=attributes):
        yield
