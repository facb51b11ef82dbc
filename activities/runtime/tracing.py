"""Open an OpenTelemetry span for each remote effect."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import StatusCode

from activities.concealment import concealed
from workflows.errors import SwitchoverError
from workflows.model.text import printable
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
    with _TRACER.start_as_current_span(
        what, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except SwitchoverError as error:
            # A place may have said anything: only what is clean is exported.
            span.set_status(StatusCode.ERROR, printable(concealed(str(error))))
            raise
