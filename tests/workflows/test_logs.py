"""The Logs workflow on a real Temporal server: one page, or one sentence."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from tests.support.run import Run
from workflows.model.logs import LogPage, LogRecord, RecordKind

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


async def page(run: Run, *given: Any, **changes: Any) -> LogPage:  # noqa: ANN401
    """Run the workflow with the usual query and *changes*, or with just what is given."""
    usual = {
        "estate": run.fakes.estate.name,
        "side": 2,
        "kind": "transfer",
        "since": "2026-11-27T12:00:00Z",
        "until": "2026-11-27T13:00:00Z",
    }
    found: LogPage = await run.client.execute_workflow(
        "Logs",
        args=list(given) or [usual | changes],
        id=f"logs-{uuid4()}",
        task_queue=run.queue,
        result_type=LogPage,
    )
    return found


def transfer(number: int) -> LogRecord:
    """Return a transfer of cluster2."""
    at = NOON + timedelta(seconds=number)
    return LogRecord(at=at, side="cluster2", kind=RecordKind.TRANSFER, what=f"{number}.dat")


async def test_pages_follow_one_another(run: Run) -> None:
    """Each says where the next one begins; nothing of the estate is changed."""
    run.fakes.records = [transfer(number) for number in range(3)]
    first = await page(run)
    assert (first.side, first.records) == ("cluster2", tuple(run.fakes.records[:2]))
    assert first.next is not None
    last = await page(run, after=first.next.model_dump())
    assert (last.records, last.next) == ((run.fakes.records[2],), None)
    assert not run.fakes.effects


async def test_what_could_not_be_read_is_in_the_page(run: Run) -> None:
    """The workflow does not fail: the other side is shown all the same."""
    run.fakes.unread["cluster2"] = "cluster2-server1: HTTPS does not answer"
    assert (await page(run)).unread == "cluster2-server1: HTTPS does not answer"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"estate": "elsewhere"}, "there is no estate elsewhere"),
        ({"side": 3}, "side: write a number of at most 2"),
        ({"kind": "server"}, "kind: write 'transfer' or 'audit'"),
        ({"since": "yesterday"}, "since: write a time with its zone, such as"),
        ({"until": "2026-11-27T12:30:00"}, "until: write a time with its zone, such as"),
        ({"until": "2026-11-27T12:00:00Z"}, "since must be earlier than until"),
        ({"since": "0001-01-01T00:00:00Z"}, "must lie between 1970 and 2200"),
        ({"address": "192.0.2.1"}, "address: there is no such key here"),
        ({"after": {"position": -1}}, "after.position: write a number of at least 0"),
    ],
)
async def test_wrong_input_is_one_sentence(
    run: Run, changes: dict[str, object], words: str
) -> None:
    """It fails at once, and before anything is read."""
    with pytest.raises(WorkflowFailureError) as failed:
        await page(run, **changes)
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "BadInput"
    assert words in cause.message
    assert run.fakes.queries == []


async def test_no_input_or_several_are_refused(run: Run) -> None:
    """Whatever the Web UI's form or the CLI sends."""
    for given in ((1, 2), ("text",)):
        with pytest.raises(WorkflowFailureError) as failed:
            await page(run, *given)
        assert "JSON object such as" in str(failed.value.cause)
