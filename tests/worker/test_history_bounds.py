"""No text of others that a terminal would obey, and no payload without end, reaches history."""

import logging
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console
from temporalio import activity
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    UnsandboxedWorkflowRunner,
    Worker,
)

from tests.support.activity_runner import ActionExecutor
from tests.worker.test_interceptor import input_for
from worker.history_bounds import MAX_HEARTBEAT_BYTES, HistoryBounds, cleaned
from worker.payload_converter import DATA_CONVERTER
from worker.telemetry import OneLine
from workflows.errors import OutcomeUnknown, Refused
from workflows.model.estate import Protocol
from workflows.model.findings import Finding
from workflows.model.observations import NodeReading
from workflows.model.results import RemainingSessions, Service

AT = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = "\x1b]0;owned\x07a\u202eb\x9bc\ud800d\x00e\x7f"
SHOWN = " ]0;owned a b c d e "


class Returns(ActivityInboundInterceptor):
    """Carries out an activity that returns this."""

    def __init__(self, result: object) -> None:
        self._result = result

    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002, ARG002 - the SDK's
        """Return it."""
        return self._result


class Sent(ActivityOutboundInterceptor):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []

    def heartbeat(self, *details: object) -> None:
        """Keep it."""
        self.sent.append(details)


async def kept(result: object) -> Any:  # noqa: ANN401 - any result
    """Return what the worker keeps of a result."""
    chain = HistoryBounds().intercept_activity(Returns(result))
    environment = ActivityEnvironment()
    environment.payload_converter = DATA_CONVERTER.payload_converter
    return await environment.run(chain.execute_activity, ExecuteActivityInput(print, (), None, {}))


def beaten(*details: object) -> tuple[Any, ...]:
    """Return the details of the heartbeat that is sent."""
    sent, inner = Sent(), Returns(None)
    inner.init = lambda outbound: setattr(inner, "outbound", outbound)  # type: ignore[method-assign]
    HistoryBounds().intercept_activity(inner).init(sent)
    environment = ActivityEnvironment()
    environment.payload_converter = DATA_CONVERTER.payload_converter
    environment.run(inner.outbound.heartbeat, *details)  # type: ignore[attr-defined]
    [last] = sent.sent
    return last


async def test_every_text_of_a_result_can_be_shown() -> None:
    """In fields, keys, tuples and values within values; what is clean is the very same value."""
    finding = Finding(name="x", place="p", seen=HOSTILE, expected="e", advice="a\nb")
    reading = NodeReading(
        place="server1",
        findings=(finding,),
        texts={Service.SSH: HOSTILE},
        not_read={HOSTILE: HOSTILE},
        silent_ports=("22", HOSTILE),
    )
    found: NodeReading = await kept(reading)
    assert found.findings[0].seen == found.texts[Service.SSH] == found.not_read[SHOWN] == SHOWN
    assert found.silent_ports == ("22", SHOWN)
    assert found.findings[0].advice == "a\nb"
    assert found.model_dump_json().encode()  # a lone surrogate could not even be encoded
    assert cleaned(found) is found
    assert (await kept([HOSTILE, (HOSTILE,)])) == [SHOWN, (SHOWN,)]


@pytest.mark.parametrize(
    "result",
    [
        RemainingSessions(node="n", at=AT, accounts=tuple("a" * 1000 for _ in range(10_000))),
        NodeReading(place="n", not_read={str(n): "differs" * 10 for n in range(100_000)}),
        ["x" * 300_000],
    ],
)
async def test_a_result_that_is_too_large_is_refused_and_never_cut(result: object) -> None:
    """A list that was cut would look like one that is whole."""
    with pytest.raises(OutcomeUnknown, match=r"^what \w+ read is \d+ KiB, more than the 256 KiB"):
        await kept(result)


def test_a_heartbeat_that_is_too_large_says_how_much_is_missing() -> None:
    """An operator sees who is still there, not nothing."""
    accounts = tuple(f"partner{n} {'x' * 1000}" for n in range(10_000))
    remaining = RemainingSessions(
        node="n", at=AT, connections={Protocol.SSH: 3}, accounts=accounts, error=HOSTILE
    )
    [sent] = beaten(remaining)
    assert len(sent.accounts) == 21
    assert sent.accounts[-1] == "and 9980 more"
    assert sent.accounts[0].endswith(" more characters")
    assert (sent.connections, sent.error) == (remaining.connections, SHOWN)
    assert len(sent.model_dump_json()) < MAX_HEARTBEAT_BYTES
    assert beaten({str(n): "x" for n in range(100_000)}) == ()


def test_a_log_line_is_one_line() -> None:
    """Neither a message nor an error can forge another line, or move the cursor."""
    refusal = Refused(HOSTILE + "\nforged")
    record = logging.makeLogRecord({"msg": HOSTILE, "exc_info": (Refused, refusal, None)})
    assert OneLine().format(record) == f"{SHOWN}: Refused: {SHOWN} forged"


async def test_errors_and_results_arrive_clean(
    temporal: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Over a real server, as a terminal, a page and the Web UI get them."""
    caplog.set_level(logging.CRITICAL, "temporalio.activity")  # pytest cannot pass on the text
    client = await Client.connect(
        temporal.service_client.config.target_host, data_converter=DATA_CONVERTER
    )
    endings: list[str | Exception] = [HOSTILE, Refused(HOSTILE), Refused("x" * 200_000)]

    @activity.defn(name="stop_gracefully")
    async def act(_: object) -> str:
        ending = endings.pop(0)
        if isinstance(ending, Exception):
            raise ending
        return ending

    name = f"bounds-{uuid.uuid4()}"
    async with Worker(
        client,
        task_queue=name,
        workflows=[ActionExecutor],
        activities=[act],
        interceptors=[HistoryBounds()],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        answers = [
            await client.execute_workflow(
                ActionExecutor.run,
                args=["stop_gracefully", input_for(), 60],
                id=name,
                task_queue=name,
            )
            for _ in range(len(endings))
        ]
    assert answers[0] == SHOWN
    assert answers[1].endswith(SHOWN)
    assert len(answers[2]) < 70_000
    terminal = Console(record=True, width=200, force_terminal=True, no_color=True, quiet=True)
    terminal.print(*answers[:2], markup=False, highlight=False)
    assert "\x1b" not in terminal.export_text(styles=True)
