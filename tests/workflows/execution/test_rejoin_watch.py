"""A rejoin asks about what was changed since the suspension, and watches until replication runs."""

import asyncio

import pytest

from activities.watch_records import WatchRecords
from tests.support.recorded_changes import CHANGE, LEFT, change, frozen
from tests.support.run import Run
from workflows.errors import NotReady, Refused
from workflows.model.stages import StageName


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
    """With the operator's reason, in an outcome that lists it; then no Freeze is left."""
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
