"""A trace shows every remote effect, and which action of which switchover it belongs to."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from activities import concealment
from activities.runtime import tracing as telemetry
from activities.runtime.tracing import effect
from tests.support.ssh_machines import input_for
from workflows.errors import CommandFailed
from workflows.model.actions import StopMonitor
from workflows.model.estate import Node


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Return where the spans of effects end up."""
    exported = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    monkeypatch.setattr(telemetry, "_TRACER", provider.get_tracer("test"))
    return exported


def test_an_effect_is_a_span(node: Node, spans: InMemorySpanExporter) -> None:
    """Named by the action's sentence, without a secret."""
    with effect(input_for(node, StopMonitor(node="server1")), "stop the Monitor on server1"):
        pass
    (span,) = spans.get_finished_spans()
    assert span.name == "stop the Monitor on server1"
    assert dict(span.attributes or {}) == {
        "switchover": "run-1",
        "stage": "stage",
        "action": "stop_monitor.server1",
        "round": 1,
        "node": "server1",
    }


def test_a_failed_effect_says_why_and_shows_nothing_of_others(
    node: Node, spans: InMemorySpanExporter
) -> None:
    """Neither what a terminal would obey, nor a password, nor a stack with either."""
    concealment.begin_attempt()
    concealment.remember("correct horse")
    with (
        pytest.raises(CommandFailed),
        effect(input_for(node, StopMonitor(node="server1")), "stop the Monitor on server1"),
    ):
        raise CommandFailed("refused: \x1b[2Jcorrect horse")
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "refused:  [2J[secret]"
    assert not span.events
