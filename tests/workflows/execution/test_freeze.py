"""A Freeze goes on watching after a run, and hands everything over to the next one."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from activities.watch_records import WatchRecords
from tests.support.recorded_changes import (
    CHANGE,
    DRAIN,
    LEFT,
    TEXT,
    change,
    draining,
    freeze,
    frozen,
)
from tests.support.run import Run
from workflows.errors import NotReady, Refused
from workflows.model.configuration import ConfigurationRecord
from workflows.model.freeze import FreezeRequest


async def test_a_freeze_goes_on_where_the_run_ends(noticing: Run) -> None:
    """With what is known, and with notices of its own; who takes it over gets everything."""
    run = noticing
    await draining(run)
    run.fakes.planted.append(CHANGE)
    await run.reaches(lambda p: bool(p.configuration_changes))
    run.fakes.held[DRAIN].set()
    await run.ends("completed")
    later = change("account new", "cluster2-server1")
    run.fakes.planted.append(later)
    status = await frozen(run, changes=2)
    assert status.record.changes == (CHANGE, later)
    record = await WatchRecords(run.client).take_over(run.fakes.estate.name)
    assert record is not None
    assert record.changes == (CHANGE, later)
    assert record.parts
    assert record.gaps == ()
    description = await freeze(run).describe()
    assert description.status is WorkflowExecutionStatus.COMPLETED
    said = [one.message for one in run.fakes.notices if one.kind == "changed"]
    assert [TEXT in one for one in said] == [True, False]
    assert "account new" in said[1]


async def test_an_aborted_run_leaves_a_freeze(run: Run) -> None:
    """Replication is off: both sides are watched, since both are up."""
    run.fakes.failures["redirect.loadbalancer1.cluster2"] = [NotReady("no")]
    await run.start()
    await run.waits("decision")
    await run.says("abort", reason="enough")
    await run.ends("aborted")
    assert (await frozen(run, changes=0)).dark == ()


async def test_a_run_that_never_suspended_leaves_no_freeze(run: Run) -> None:
    """Nothing is to be watched."""
    run.fakes.failures["stop_monitor.cluster1-edge1"] = [NotReady("no")]
    await run.start()
    await run.waits("decision")
    await run.says("abort", reason="enough")
    await run.ends("aborted")
    assert run.fakes.watched == []
    assert await WatchRecords(run.client).take_over(run.fakes.estate.name) is None


async def test_what_a_terminated_freeze_knew_is_kept(run: Run) -> None:
    """Its history has it; from when to when no Freeze watched is said."""
    await run.start()
    await run.ends("completed")
    later = change("account new", "cluster2-server1")
    run.fakes.planted.append(later)
    await frozen(run, changes=1)
    await run.reaches(lambda _: run.fakes.watched[-1].record.changes == (later,))
    await freeze(run).terminate()
    record = await WatchRecords(run.client).take_over(run.fakes.estate.name)
    assert record is not None
    assert record.changes == (later,)
    [gap] = record.gaps
    assert gap.startswith("no Freeze watched from ")


async def test_what_a_terminated_run_knew_is_kept(run: Run) -> None:
    """A run that was cut off has started no Freeze."""
    await draining(run)
    run.fakes.planted.append(CHANGE)
    await run.reaches(lambda _: run.fakes.watched[-1].record.changes == (CHANGE,))
    await run.handle.terminate()
    records = WatchRecords(run.client)
    for _ in range(100):  # Temporal lists what has ended a moment later
        record = await records.take_over(run.fakes.estate.name)
        if record is not None:
            break
        await asyncio.sleep(0.1)
    assert record is not None
    assert record.changes == (CHANGE,)
    assert record.gaps


async def test_a_run_that_continues_another_goes_on_from_what_was_recorded(run: Run) -> None:
    """Replication was off already: what was changed since is what this run is told of."""
    await draining(run)
    await run.is_terminated_at(DRAIN)
    run.fakes.left = LEFT.with_gap("no Freeze watched from then to now")
    await run.start()
    outcome = await run.outcome()
    assert outcome.configuration_changes == (CHANGE,)
    assert "no Freeze watched from then to now" in {one.seen for one in outcome.findings}


async def test_what_was_recorded_before_replication_ran_again_is_forgotten(run: Run) -> None:
    """It has reached the other side; the earlier Freeze is ended all the same."""
    run.fakes.left = LEFT
    await run.start()
    outcome = await run.ends("completed")
    assert run.fakes.taken_over == 1
    assert outcome.configuration_changes == ()


async def test_a_freeze_that_cannot_be_started_is_said(run: Run) -> None:
    """Such as where another one is there that could not be ended; the run completes."""
    run.fakes.take_over_failure = Refused("Temporal says no")
    estate = run.fakes.estate.name
    given = FreezeRequest(estate=estate, source="cluster1", target="cluster2")
    await run.client.start_workflow("Freeze", given, id=f"freeze-{estate}", task_queue="none")
    await run.start()
    outcome = await run.ends("completed")
    [finding] = outcome.findings
    assert finding.name == "configuration_not_watched"
    assert "no Freeze could be started" in finding.seen


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "exactly one input"),
        ([None], "must be one JSON object"),
        ([{"estate": "lab"}], "source: this key is missing"),
        ([{"estate": "other", "source": "a", "target": "b"}], "is freeze-other, not"),
    ],
)
async def test_a_freeze_that_cannot_be_read_fails_at_once(
    run: Run, given: list[Any], words: str
) -> None:
    """With one sentence; nothing is watched."""
    handle = await run.client.start_workflow(
        "Freeze", args=given, id=f"freeze-{run.fakes.estate.name}", task_queue=run.queue
    )
    with pytest.raises(WorkflowFailureError) as failed:
        await asyncio.wait_for(handle.result(), 30)
    assert isinstance(failed.value.cause, ApplicationError)
    assert words in failed.value.cause.message
    assert run.fakes.watched == []


async def test_a_freeze_ends_at_once_when_it_is_cancelled(run: Run) -> None:
    """Its result is what it knows."""
    estate = run.fakes.estate.name
    given = FreezeRequest(estate=estate, source="cluster1", target="cluster2", record=LEFT)
    handle = await run.client.start_workflow(
        "Freeze",
        given,
        id=f"freeze-{estate}",
        task_queue=run.queue,
        result_type=ConfigurationRecord,
    )
    await frozen(run, changes=1)
    begun = datetime.now(UTC)
    await handle.cancel()
    assert await handle.result() == LEFT
    assert datetime.now(UTC) - begun < timedelta(seconds=10)
