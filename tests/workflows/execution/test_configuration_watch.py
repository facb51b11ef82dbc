"""What is changed while replication is suspended stands in the run, and stops it by policy only."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.watch_records import WatchRecords
from tests.support.run import Run, at_work, new_run
from workflows.errors import NotReady, OutcomeUnknown, Refused, Unreachable
from workflows.model.configuration import ConfigurationChange, ConfigurationRecord, PartDigest
from workflows.model.freeze import FreezeRequest
from workflows.model.progress import RunStatus
from workflows.model.stages import StageName

WEBHOOK = {"webhook": {"url": "env:HOOK", "secret": "env:HOOK_SECRET"}}
DRAIN = "await_sessions.cluster1-edge1"


def change(item: str = "option Ssh.Port", place: str = "cluster1-server1") -> ConfigurationChange:
    """Return a change that the audit log knows."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return ConfigurationChange(place=place, item=item, what="changed", seen_at=at, by="eve", at=at)


CHANGE = change()
TEXT = "cluster1-server1: option Ssh.Port changed by eve at 2026-01-01 00:00:00 UTC"
LEFT = ConfigurationRecord(
    since=CHANGE.seen_at,
    watched_until=CHANGE.seen_at,
    parts={"cluster1-server1 option": PartDigest(items=1, digest="0", buckets="0000")},
    changes=(CHANGE,),
)


async def draining(run: Run) -> None:
    """Start a run that waits for sessions until the test lets it go on."""
    run.fakes.held[DRAIN] = asyncio.Event()
    await run.start()
    await run.reaches(lambda p: p.stage is StageName.DRAIN_PROTOCOL_SERVERS)


def freeze(run: Run) -> WorkflowHandle[Any, ConfigurationRecord]:
    """Return the Freeze of the run's estate."""
    return run.client.get_workflow_handle(
        f"freeze-{run.fakes.estate.name}", result_type=ConfigurationRecord
    )


async def frozen(run: Run, *, changes: int) -> FreezeRequest:
    """Wait until the Freeze has recorded so many changes, and return its status."""
    for _ in range(200):
        found: FreezeRequest = await freeze(run).query("status", result_type=FreezeRequest)
        if len(found.record.changes) == changes:
            return found
        await asyncio.sleep(0.1)  # between two questions
    raise AssertionError(found)


@pytest.fixture
async def noticing(temporal: Client) -> AsyncIterator[Run]:
    """A run whose estate has a webhook."""
    run = new_run(temporal, **WEBHOOK)
    async with at_work(run):
        yield run


async def test_a_change_is_recorded_shown_and_noticed(noticing: Run) -> None:
    """In progress and outcome, in the details, and as a notice; the run goes on."""
    run = noticing
    await draining(run)
    run.fakes.planted.append(CHANGE)
    progress = await run.reaches(lambda p: bool(p.configuration_changes))
    assert progress.state is RunStatus.RUNNING
    details = str(await run.handle.query("__temporal_workflow_metadata"))
    assert "Configuration changes" in details
    assert "option Ssh" in details
    run.fakes.held[DRAIN].set()
    outcome = await run.ends("completed")
    assert outcome.configuration_changes == (CHANGE,)
    [notice] = [one for one in run.fakes.notices if one.kind == "changed"]
    assert notice.message.endswith(TEXT)
    assert notice.stage is StageName.DRAIN_PROTOCOL_SERVERS


async def test_a_change_pauses_where_the_estate_says_so(temporal: Client) -> None:
    """As an operator's `pause` does, with the change as its reason; `resume` goes on."""
    async with at_work(run := new_run(temporal, on_configuration_change="pause")):
        await draining(run)
        run.fakes.planted.append(CHANGE)
        progress = await run.reaches(lambda p: p.state is RunStatus.PAUSED)
        [message] = progress.messages
        assert (message.verb, message.way, message.by) == ("pause", "watch", "configuration watch")
        assert message.reason == TEXT
        run.fakes.held[DRAIN].set()
        await run.says("resume", by="ann")
        outcome = await run.ends("completed")
        assert [one.verb for one in outcome.decisions] == ["pause", "resume"]


async def test_nothing_is_watched_before_the_suspension(run: Run) -> None:
    """A change is then allowed, and replicated."""
    run.fakes.held["suspend_replication.cluster1_to_cluster2"] = asyncio.Event()
    await run.start()
    await run.reaches(lambda p: p.stage is StageName.SUSPEND_REPLICATION)
    assert run.fakes.watched == []
    run.fakes.held["suspend_replication.cluster1_to_cluster2"].set()
    await run.ends("completed")
    assert run.fakes.watched[0].record == ConfigurationRecord()


async def test_a_rollback_ends_the_watch(run: Run) -> None:
    """Once replication carries changes again, nobody watches, and no Freeze is left."""
    await draining(run)
    run.fakes.held["start_monitor.cluster1-edge1"] = asyncio.Event()
    await run.says("roll_back", reason="enough")
    await run.reaches(lambda p: any(one.stage is StageName.STOP_MONITORS for one in p.undo))
    await run.reaches(lambda p: p.stage is StageName.STOP_MONITORS)
    await run.engine_has_only("start_monitor")
    run.fakes.held["start_monitor.cluster1-edge1"].set()
    run.fakes.planted.append(CHANGE)
    outcome = await run.ends("rolled_back")
    assert outcome.configuration_changes == ()
    records = WatchRecords(run.client)
    assert await records.take_over(run.fakes.estate.name) is None


async def test_a_change_before_a_rollback_resumes_is_in_its_outcome(run: Run) -> None:
    """An operator learns of it all the same: replication brings it to the other side."""
    await draining(run)
    run.fakes.planted.append(CHANGE)
    await run.reaches(lambda p: bool(p.configuration_changes))
    await run.says("roll_back", reason="enough")
    outcome = await run.ends("rolled_back")
    assert outcome.configuration_changes == (CHANGE,)


async def test_a_source_that_is_shut_down_is_not_read(run: Run) -> None:
    """From the stage on that stops its last services; the Freeze does not read it either."""
    run.fakes.held["stop_remaining.cluster1-edge1"] = asyncio.Event()
    await run.start()
    await run.reaches(lambda p: p.stage is StageName.STOP_REMAINING_SERVICES)
    await run.reaches(lambda _: run.fakes.watched[-1].dark == ("cluster1",))
    assert run.fakes.watched[0].dark == ()
    run.fakes.held["stop_remaining.cluster1-edge1"].set()
    await run.ends("completed")
    assert (await frozen(run, changes=0)).dark == ("cluster1",)


async def test_a_watch_that_fails_is_tried_again(run: Run) -> None:
    """By Temporal where a worker was lost or an answer; the run does not notice it."""
    run.fakes.watch_failures = [OutcomeUnknown("lost"), Unreachable("no answer")]
    await draining(run)
    run.fakes.planted.append(CHANGE)
    await run.reaches(lambda p: bool(p.configuration_changes))
    assert run.fakes.watch_failures == []
    run.fakes.held[DRAIN].set()
    outcome = await run.ends("completed")
    assert outcome.findings == ()


async def test_a_watch_that_cannot_be_kept_is_said_and_delays_nothing(run: Run) -> None:
    """Once, as a finding; the run completes."""
    run.fakes.watch_failures = [Refused("this worker may not")] * 9
    await run.start()
    outcome = await run.ends("completed")
    [finding] = outcome.findings
    assert finding.name == "configuration_not_watched"
    assert "this worker may not" in finding.seen


async def test_a_watch_that_never_works_fills_no_history(clockwork: WorkflowEnvironment) -> None:
    """It is tried again ever more rarely: five hours at a gate are a few events."""
    async with at_work(run := new_run(clockwork.client)):
        run.fakes.blind = True
        await run.start(approve_before=["drain_protocol_servers"])
        await run.waits("approval")
        await run.reaches(lambda _: bool(run.fakes.watched))
        before = (await run.handle.describe()).history_length
        await clockwork.fast_forward(run.handle, timedelta(hours=5))
        assert (await run.handle.describe()).history_length - before < 200
        assert len(run.fakes.watched) > 5
        await run.handle.signal("approve", {"stage": "drain_protocol_servers"})
        outcome = await run.ends("completed")
        assert [one.name for one in outcome.findings] == ["configuration_not_watched"]


async def test_a_place_that_cannot_be_read_is_a_finding(run: Run) -> None:
    """Once, however long it lasts."""
    run.fakes.unwatched = {"database2": "no answer"}
    await draining(run)
    await run.reaches(lambda p: bool(p.findings))
    run.fakes.planted.append(CHANGE)
    await run.reaches(lambda p: bool(p.configuration_changes))
    run.fakes.held[DRAIN].set()
    outcome = await run.ends("completed")
    assert [(one.name, one.place) for one in outcome.findings] == [
        ("configuration_not_watched", "database2")
    ]


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
    """Its history has it; from when to when nobody watched is said."""
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


@pytest.fixture
def drained(run: Run) -> Run:
    """A run on an estate whose cluster1 was drained, with what was changed there since."""
    run.fakes.world.drain()
    run.fakes.left = LEFT
    return run


ACCEPT = {"accept": {"configuration_changed": "repeated on cluster1"}}


async def test_a_rejoin_lists_what_was_changed_before_it_begins(drained: Run) -> None:
    """What, where, by whom; nothing was started, and a Freeze goes on with the record."""
    run = drained
    before = run.fakes.world.picture
    await run.rejoin()
    reason = await run.failure()
    assert "cluster1-server1: configuration_changed: saw option Ssh.Port changed by eve" in reason
    assert run.fakes.world.picture == before
    status = await frozen(run, changes=1)
    assert status.dark == ("cluster1",)
    record = await WatchRecords(run.client).take_over(run.fakes.estate.name)
    assert record is not None
    assert (record.changes, record.parts) == ((CHANGE,), LEFT.parts)


async def test_a_change_that_was_repeated_is_accepted(drained: Run) -> None:
    """With the operator's reason, in an outcome that lists it; then nobody watches any more."""
    run = drained
    await run.rejoin(**ACCEPT)
    outcome = await run.ends("completed_with_exceptions")
    assert outcome.configuration_changes == (CHANGE,)
    assert "repeated on cluster1" in outcome.message
    assert await WatchRecords(run.client).take_over(run.fakes.estate.name) is None


async def test_a_rejoin_compares_the_side_that_returns(drained: Run) -> None:
    """It was dark, so nobody has watched it: what was changed there is asked about."""
    run = drained
    run.fakes.left = LEFT.model_copy(update={"changes": ()})
    run.fakes.planted = [change("file conf/a.xml", "cluster1-edge1")]
    await run.rejoin()
    question = await run.waits("decision")
    assert question.stage is StageName.CHECK_RETURNED
    assert "cluster1-edge1: configuration_changed: saw file conf/a.xml changed" in question.message
    assert question.answers == ("retry", "roll_back", "abort")
    await run.says("abort", reason="repeat it first")
    outcome = await run.ends("aborted")
    assert outcome.configuration_changes == tuple(run.fakes.planted)
    assert (await frozen(run, changes=1)).dark == ()


async def test_a_rejoin_watches_until_replication_runs_again(drained: Run) -> None:
    """A change during a rejoin is recorded; one after it has begun to replicate is not."""
    run = drained
    run.fakes.held["verify_idle.cluster1-server1"] = asyncio.Event()
    await run.rejoin(**ACCEPT)
    await run.reaches(lambda p: p.stage is StageName.START_SERVICES)
    later = change("account new", "cluster2-server1")
    run.fakes.planted.append(later)
    await run.reaches(lambda p: len(p.configuration_changes) == 2)
    run.fakes.held["start_monitor.cluster2-server1"] = asyncio.Event()
    run.fakes.held["verify_idle.cluster1-server1"].set()
    await run.reaches(lambda p: p.stage is StageName.START_MONITORS)
    await run.engine_has_only("start_monitor")
    run.fakes.planted.append(change("account newer", "cluster2-server1"))
    run.fakes.held["start_monitor.cluster2-server1"].set()
    outcome = await run.ends("completed_with_exceptions")
    assert outcome.configuration_changes == (CHANGE, later)


async def test_a_rejoin_that_is_rolled_back_leaves_a_freeze(drained: Run) -> None:
    """Replication is off as before, and the cluster is down again."""
    run = drained
    run.fakes.failures["verify_no_conflicts.cluster2_to_cluster1"] = [NotReady("the same rows")]
    await run.rejoin(**ACCEPT)
    await run.waits("decision")
    await run.says("roll_back", reason="not now")
    await run.ends("rolled_back")
    assert (await frozen(run, changes=1)).dark == ("cluster1",)


async def test_a_rejoin_without_any_record_says_so(drained: Run) -> None:
    """Nobody watched: both sides are compared with each other, as every rejoin does."""
    run = drained
    run.fakes.left = None
    await run.rejoin()
    outcome = await run.ends("completed")
    [finding] = [one for one in outcome.findings if one.name == "configuration_not_watched"]
    assert finding.seen == "no run has recorded what the configuration was at the suspension"


async def test_a_watch_that_cannot_be_taken_over_is_said(drained: Run) -> None:
    """Unknown is not the same as nothing."""
    run = drained
    run.fakes.take_over_failure = Refused("Temporal says no")
    await run.rejoin()
    outcome = await run.ends("completed")
    [finding] = [one for one in outcome.findings if one.name == "configuration_not_watched"]
    assert "what an earlier watch has seen is not known: Refused: Temporal says no" in finding.seen


async def test_a_configuration_that_cannot_be_compared_is_said(drained: Run) -> None:
    """The rejoin goes on; that nothing was changed is not said."""
    run = drained
    run.fakes.left = LEFT.model_copy(update={"changes": ()})
    run.fakes.unwatched = {"database1": "no answer"}
    await run.rejoin()
    outcome = await run.ends("completed")
    assert [(one.name, one.place) for one in outcome.findings] == [
        ("configuration_not_watched", "database1")
    ]
