"""Set up the worker's log lines and traces."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from temporalio.contrib.opentelemetry import TracingInterceptor

from activities.concealment import concealed
from workflows.model.text import printable, printable_lines


class OneLine(logging.Formatter):
    """Adds an exception to its log line; the stack is only for --log-level DEBUG.

    What others made it say moves no cursor, begins no line, and shows no password.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without any character that a terminal would obey."""
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            return printable_lines(concealed(super().format(record)))
        plain = logging.makeLogRecord({**vars(record), "exc_info": None, "exc_text": None})
        line, error = super().format(plain), record.exc_info[1] if record.exc_info else None
        whole = line if error is None else f"{line}: {type(error).__name__}: {error}"
        return printable(concealed(whole))


def configure_logging(level: str) -> None:
    """Send one line per event to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    # Polling would log every few seconds, and addresses of webhooks carry tokens.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    logging.getLogger("asyncssh").setLevel(logging.WARNING)


@contextmanager
def tracing() -> Iterator[TracingInterceptor]:
    """Export spans over OTLP to where OpenTelemetry's environment says; flush at the end."""
    provider = TracerProvider(resource=Resource.create({"service.name": "switchover-worker"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        # Runs started from the Web UI or the CLI bring no parent span.
        yield TracingInterceptor(
            provider.get_tracer("switchover"), always_create_workflow_spans=True
        )
    finally:
        provider.shutdown()
