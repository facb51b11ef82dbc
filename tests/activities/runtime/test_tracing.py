"""A trace shows every remote effect, and which action of which switchover it belongs to."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from activities.runtime import tracing as telemetry
from activities.runtime.tracing import effect
from tests.support.ssh_machines import input_for
from workflows.model.actions import StopMonitor
from workflows.model.estate import Node


def test_an_effect_is_a_span(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named by the action's sentence, without a secret."""
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(telemetry, "_TRACER", provider.get_tracer("test"))
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
