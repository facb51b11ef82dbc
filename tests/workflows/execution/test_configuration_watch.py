"""What is changed while replication is suspended stands in the run, and stops it by policy only."""

import asyncio
from datetime import timedelta

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from activities.watch_records import WatchRecords
from tests.support.fake_activities import BASELINE
from tests.support.recorded_changes import CHANGE, DRAIN, TEXT, draining, frozen
from tests.support.run import Run, at_work, new_run
from workflows.errors import OutcomeUnknown, Refused, Unreachable
from workflows.model.configuration import ConfigurationRecord
from workflows.model.progress import RunStatus
from workflows.model.stages import StageName


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


async def test_what_could_not_be_read_at_first_is_said(run: Run) -> None:
    """A change that was made there before its first reading is not known, to a Freeze neither."""
    await draining(run)
    [digest] = BASELINE.values()
    run.fakes.late_parts = {"database2 table": digest}
    said = "database2: table not read before "
    await run.reaches(lambda p: any(one.seen.startswith(said) for one in p.findings))
    run.fakes.held[DRAIN].set()
    outcome = await run.ends("completed")
    [finding] = [one for one in outcome.findings if one.name == "configuration_not_watched"]
    status = await frozen(run, changes=0)
    assert status.record.gaps == (finding.seen,)
