"""The Rejoin workflow on a real Temporal server, with activities that obey a model estate."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.support.run import Run, at_work, new_run
from workflows.errors import CommandFailed, NotReady
from workflows.model.checks import AccessCheck
from workflows.model.findings import Finding
from workflows.model.progress import Status
from workflows.model.results import SCHEDULING, Service
from workflows.model.stages import STAGES, StageName
from workflows.preflight.access import (
    admin_access_refused,
    configuration_unreadable,
    reading_unusable,
)
from workflows.preflight.catalogue import BY_NAME

DRAINED = "cluster1-server1"
ACTIVE = "cluster2-server1"


@pytest.fixture
def drained(run: Run) -> Run:
    """A run on an estate whose cluster1 was drained by a switchover."""
    run.fakes.world.drain()
    return run


def schedules(run: Run, node: str) -> bool:
    """Whether Scheduler and Folder Monitor run on a Server of the model."""
    return all((node, service) in run.fakes.world.running for service in SCHEDULING)


async def test_a_rejoin_does_all_of_the_plan_once(drained: Run) -> None:
    """The cluster is the passive one: all its services run, and scheduling does not."""
    await drained.rejoin(reason="after the update")
    outcome = await drained.ends("completed")
    world = drained.fakes.world
    assert tuple(stage.stage for stage in outcome.stages) == STAGES["rejoin"]
    assert all(stage.status is Status.DONE for stage in outcome.stages)
    assert outcome.procedure == "rejoin"
    assert (outcome.source, outcome.target) == ("cluster2", "cluster1")
    assert outcome.message == "cluster1 is back as the passive cluster; cluster2 serves"
    assert world.violations == []
    assert len(world.replicating) == 2
    assert schedules(drained, ACTIVE)
    assert not schedules(drained, DRAINED)
    assert (DRAINED, Service.MONITOR) in world.running
    assert set(drained.fakes.asked.values()) == {1}


async def test_a_switchover_back_follows_a_rejoin(drained: Run) -> None:
    """The reverse needs nothing special."""
    await drained.rejoin()
    await drained.ends("completed")
    await drained.start(source="cluster2", target="cluster1")
    await drained.ends("completed")
    assert set(drained.fakes.world.traffic.values()) == {"cluster1"}


def active(run: Run) -> None:
    """Traffic goes to the cluster that is to rejoin."""
    run.fakes.world.traffic = dict.fromkeys(run.fakes.world.traffic, "cluster1")


def never_left(run: Run) -> None:
    """Both clusters run, and replication between them."""
    run.fakes.world = type(run.fakes.world)(run.fakes.estate, "cluster2", "cluster1")


def other_dark(run: Run) -> None:
    """Nothing runs on the other cluster either."""
    for node in run.fakes.estate.cluster("cluster2").nodes:
        run.fakes.world.dies(node.name)


def replicates(run: Run) -> None:
    """Somebody resumed replication by hand."""
    run.fakes.world.replicating.add("cluster2_to_cluster1")


def not_scheduling(run: Run) -> None:
    """The switchover before ended without scheduling."""
    run.fakes.world.running -= {(ACTIVE, service) for service in SCHEDULING}


def schedules_there(run: Run) -> None:
    """Scheduling runs where it must not."""
    run.fakes.world.running |= {(DRAINED, Service.ADMIN), (DRAINED, Service.SCHEDULER)}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (active, "traffic_not_on_active"),
        (never_left, "already_returned"),
        (other_dark, "protocol_server_not_running"),
        (replicates, "replication_not_suspended"),
        (not_scheduling, "active_not_scheduling"),
        (schedules_there, "returning_schedules"),
    ],
)
async def test_what_cannot_rejoin_is_refused(
    drained: Run, spoil: Callable[[Run], None], words: str
) -> None:
    """With the reason, and nothing was changed."""
    spoil(drained)
    before = drained.fakes.world.picture
    await drained.rejoin()
    assert words in await drained.failure()
    assert drained.fakes.world.picture == before
    assert drained.fakes.asked
    assert all(one.startswith("check_prerequisites.") for one in drained.fakes.asked)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([{}, {}], "a rejoin needs exactly one input, and got 2"),
        ([{"estate": "lab"}], "cluster: this key is missing"),
        ([{"estate": "lab", "cluster": "a", "source": "b"}], "source: there is no"),
        ([{"estate": "other", "cluster": "a"}], "of a rejoin of other is switchover-other, not"),
    ],
)
async def test_bad_input_fails_at_once(run: Run, given: list[Any], words: str) -> None:
    """A start that cannot be read fails with a sentence; no node is read."""
    await run.rejoin(*given)
    assert words in await run.failure()
    assert not run.fakes.asked


async def test_one_estate_has_one_run(drained: Run) -> None:
    """A rejoin and a switchover share the estate's lock."""
    drained.fakes.held[f"start_admin.{DRAINED}"] = asyncio.Event()
    await drained.rejoin()
    await drained.reaches(lambda progress: progress.stage is StageName.START_ADMIN)
    handle = drained.handle
    with pytest.raises(Exception, match="already started"):
        await drained.start(source="cluster2", target="cluster1")
    drained.fakes.held[f"start_admin.{DRAINED}"].set()
    drained.handle = handle
    await drained.ends("completed")


async def test_a_gate_of_the_pause_is_answered_before_it(drained: Run) -> None:
    """Nobody waits for an approval while scheduling is paused."""
    await drained.rejoin(approve_before=["start_transaction_managers"])
    question = await drained.waits("approval")
    assert question.stage is StageName.START_TRANSACTION_MANAGERS
    assert schedules(drained, ACTIVE)
    await drained.says("approve", stage="start_transaction_managers", by="ann")
    await drained.ends("completed")


async def test_a_finding_of_the_returned_cluster_is_asked_about(drained: Run) -> None:
    """What only its admin APIs can say is known once they run; a retry reads again."""
    fakes = drained.fakes
    fakes.readings["compare_configuration.cluster1"] = {"findings": (_differs("accounts_differ"),)}
    await drained.rejoin()
    question = await drained.waits("decision")
    assert question.stage is StageName.CHECK_RETURNED
    assert "accounts_differ" in question.message
    assert schedules(drained, ACTIVE)
    fakes.readings.clear()
    await drained.says("retry", stage="check_returned", by="ann")
    await drained.ends("completed")


@pytest.mark.parametrize("check", [configuration_unreadable, reading_unusable])
async def test_a_silent_place_is_read_again_without_a_question(
    drained: Run, check: AccessCheck
) -> None:
    """A connection was lost for some seconds: the run goes on by itself, and reports nothing."""
    fakes = drained.fakes
    fakes.readings["compare_configuration.cluster1"] = {"findings": (_unread(check),)}
    await drained.rejoin()
    await drained.reaches(lambda _: comparisons(drained) > 1)
    fakes.readings.clear()
    outcome = await drained.ends("completed")
    assert check.name not in {one.name for one in outcome.findings}
    assert outcome.decisions == ()


async def test_a_place_that_stays_silent_is_asked_about(clockwork: WorkflowEnvironment) -> None:
    """After as long as an action on it would be repeated."""
    async with at_work(run := new_run(clockwork.client)):
        run.fakes.world.drain()
        run.fakes.blind = True
        run.fakes.readings["compare_configuration.cluster1"] = {"findings": (_unread(),)}
        await run.rejoin()
        await run.reaches(lambda _: comparisons(run) > 1)
        await clockwork.fast_forward(run.handle, timedelta(minutes=6))
        question = await run.waits("decision")
        assert question.stage is StageName.CHECK_RETURNED
        assert "configuration_unreadable" in question.message
        assert comparisons(run) < 10
        run.fakes.readings.clear()
        await run.handle.signal("retry", {"stage": "check_returned"})
        await run.ends("completed")


async def test_a_place_that_refuses_is_asked_about_at_once(drained: Run) -> None:
    """Trying again by itself cannot help."""
    refused = {"findings": (_unread(admin_access_refused),)}
    drained.fakes.readings["compare_configuration.cluster1"] = refused
    await drained.rejoin()
    question = await drained.waits("decision")
    assert "admin_access_refused" in question.message
    assert comparisons(drained) == 1
    await drained.says("abort", reason="the account first", by="ann")
    await drained.ends("aborted")


async def test_a_rollback_need_not_wait_for_a_silent_place(drained: Run) -> None:
    """An operator who does not want to wait is heard."""
    fakes = drained.fakes
    fakes.readings["compare_configuration.cluster1"] = {"findings": (_unread(),)}
    await drained.rejoin()
    await drained.reaches(lambda _: comparisons(drained) > 1)
    await drained.says("roll_back", reason="not now", by="ann")
    await drained.ends("rolled_back")


async def test_another_version_may_be_accepted(drained: Run) -> None:
    """A cluster may come back from its update before the other one is updated."""
    drained.fakes.readings[DRAINED] = {"version": "5.5-20260701"}
    await drained.rejoin(accept={"version_differs": "cluster2 is updated next"})
    outcome = await drained.ends("completed_with_exceptions")
    assert "cluster2 is updated next" in outcome.message


@pytest.mark.parametrize(
    "key",
    [
        f"start_admin.{DRAINED}",
        f"stop_scheduling.{ACTIVE}",
        f"start_transaction_manager.{DRAINED}",
        f"verify_scheduling_stopped.{DRAINED}",
        f"start_scheduling.{ACTIVE}",
        f"verify_idle.{DRAINED}",
        "verify_no_conflicts.cluster2_to_cluster1",
        "resume_replication.cluster1_to_cluster2",
        f"start_monitor.{DRAINED}",
    ],
)
async def test_a_rejoin_that_fails_is_rolled_back(drained: Run, key: str) -> None:
    """The cluster is down as before, and scheduling runs on the active one."""
    before = drained.fakes.world.picture
    drained.fakes.failures[key] = [CommandFailed("it said no")]
    await drained.rejoin(on_fault="roll_back")
    outcome = await drained.ends("rolled_back")
    assert "cluster2 serves and cluster1 is down as before" in outcome.message
    assert drained.fakes.world.violations == []
    assert drained.fakes.world.picture == before


async def test_no_abort_while_scheduling_is_paused(drained: Run) -> None:
    """An abort waits until scheduling runs on the active cluster again."""
    key = f"start_transaction_manager.{DRAINED}"
    drained.fakes.held[key] = asyncio.Event()
    await drained.rejoin()
    await drained.reaches(lambda p: p.stage is StageName.START_TRANSACTION_MANAGERS)
    await drained.says("abort", by="ann", reason="too late")
    drained.fakes.held[key].set()
    await drained.ends("aborted")
    assert schedules(drained, ACTIVE)
    assert not schedules(drained, DRAINED)
    assert (f"{DRAINED}", Service.SSH) not in drained.fakes.world.running


@pytest.mark.parametrize(("verb", "outcome"), [("roll_back", "rolled_back"), ("abort", "aborted")])
async def test_a_long_delivery_ends_with_the_run(drained: Run, verb: str, outcome: str) -> None:
    """What the active side wrote for days may take hours: nobody has to wait for it."""
    drained.fakes.held["await_delivery.cluster2_to_cluster1"] = asyncio.Event()
    await drained.rejoin()
    await drained.fakes.ended["resume_replication.cluster2_to_cluster1"].wait()
    await drained.says(verb, by="ann", reason="another night")
    await drained.ends(outcome)
    assert len(drained.fakes.world.replicating) == (outcome == "aborted")


async def test_conflicts_are_asked_about_before_anything_is_resumed(drained: Run) -> None:
    """A side that wrote rows of its own meanwhile overwrites nothing."""
    key = "verify_no_conflicts.cluster1_to_cluster2"
    drained.fakes.failures[key] = [NotReady("both sides wrote row 7 of account")]
    await drained.rejoin()
    question = await drained.waits("decision")
    assert "row 7" in question.message
    assert drained.fakes.world.replicating == set()
    await drained.says("retry", stage="resume_replication", by="ann")
    await drained.ends("completed")


@pytest.mark.parametrize(
    "key",
    [
        f"start_admin.{DRAINED}",
        f"start_transaction_manager.{DRAINED}",
        f"start_scheduling.{ACTIVE}",
        f"start_protocol_server.{DRAINED}.http",
        "await_delivery.cluster2_to_cluster1",
    ],
)
async def test_an_interrupted_rejoin_is_continued(drained: Run, key: str) -> None:
    """A new start reads how far the terminated run came, says so, and goes on from there."""
    drained.fakes.held[key] = asyncio.Event()
    await drained.rejoin()
    await drained.is_terminated_at(key)
    await drained.rejoin()
    outcome = await drained.ends("completed")
    names = [finding.name for finding in outcome.findings]
    assert sorted(names) == ["configuration_not_watched", "half_returned"]
    assert drained.fakes.world.violations == []
    assert schedules(drained, ACTIVE)
    assert not schedules(drained, DRAINED)
    assert len(drained.fakes.world.replicating) == 2


async def test_what_did_not_schedule_is_not_started(wide_run: Run) -> None:
    """A service that was off on one active Server stays off there."""
    world = wide_run.fakes.world
    world.drain()
    world.running.discard(("cluster2-server2", Service.FOLDER_MONITOR))
    await wide_run.rejoin()
    await wide_run.ends("completed")
    assert ("cluster2-server2", Service.SCHEDULER) in world.running
    assert ("cluster2-server2", Service.FOLDER_MONITOR) not in world.running
    assert schedules(wide_run, ACTIVE)


def comparisons(run: Run) -> int:
    """Return how often the configuration of both clusters was compared."""
    return sum(n for key, n in run.fakes.asked.items() if "compare_configuration" in key)


def _unread(check: AccessCheck = configuration_unreadable) -> Finding:
    return check.unread("cluster1", "cluster1-server1 does not answer")


def _differs(name: str) -> Finding:
    return BY_NAME[name].finding("cluster1", seen="a", expected="b", advice="c")
