"""A rollback leaves the estate at its baseline, wherever and however it failed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import chain

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from tests.support import estates
from tests.support.run import at_work, new_run
from workflows.errors import CommandFailed, Lost, NotReady
from workflows.model import actions
from workflows.model.observations import ReplicationReading
from workflows.model.progress import Status
from workflows.model.results import Service
from workflows.model.stages import POINT_OF_NO_RETURN, STAGES, StageName
from workflows.planning.rollback import BACK, FAR_BACK, Baseline, plan_rollback
from workflows.planning.switchover import plan_switchover

OWN = STAGES["switchover"]
BEFORE_RETURN = OWN[1 : POINT_OF_NO_RETURN.number]
AFTER_RETURN = OWN[POINT_OF_NO_RETURN.number : -1]
PLAN = plan_switchover(estates.estate(1, 1), estates.request())
"""Of a small estate: nodes of a kind are alike."""
FORTH = "cluster1_to_cluster2"
small_run = partial(new_run, servers=1, edges=1)


def silence(kind: str) -> ApplicationError:
    """An error that the engine has retried long enough."""
    return ApplicationError("no answer", type=kind, non_retryable=True)


FAILURES: dict[str, Callable[[], Exception]] = {
    "refused": lambda: CommandFailed("it said no"),
    "unreachable": lambda: silence("Unreachable"),
    "unknown": lambda: silence("OutcomeUnknown"),
    "lost": lambda: Lost("no record of its end"),
}


@dataclass(frozen=True)
class Case:
    """One action that fails, with or without having had its effect."""

    name: StageName
    key: str
    kind: str
    late: bool = False


def failures(name: StageName) -> Iterator[Case]:
    """Yield the first action of each type with two kinds of failures, the others with one.

    The kinds take turns; `scripts/prove` lets every stage of a lab fail in every way.
    """
    types, kinds = set[type[actions.Action]](), tuple(FAILURES)
    for number, action in enumerate(PLAN.stage(name).actions):
        turns = (number, number + 2) if type(action) not in types else (number,)
        types.add(type(action))
        for kind in (kinds[turn % len(kinds)] for turn in turns):
            yield Case(name, action.key, kind)
            if action.undo is not None and kind in ("unknown", "lost"):
                yield Case(name, action.key, kind, late=True)


async def side_by_side(runs: Sequence[Awaitable[list[str]]]) -> list[str]:
    """Run all of them, eight at a time."""
    room = asyncio.Semaphore(8)

    async def one(run: Awaitable[list[str]]) -> list[str]:
        async with room:
            return await run

    return list(chain.from_iterable(await asyncio.gather(*map(one, runs))))


async def ended(client: Client, case: Case, verb: str = "") -> list[str]:
    """Let one action fail, and decide so if the run asks; return what went wrong then."""
    run = small_run(client)
    before = run.fakes.world.picture
    injected = run.fakes.late if case.late else run.fakes.failures
    injected[case.key] = [FAILURES[case.kind]()]
    async with at_work(run):
        await run.start(on_fault="roll_back")
        if verb:
            await run.waits("decision")
            stage = {"stage": case.name} if verb == "retry" else {}
            await run.says(verb, by="ann", reason="so it is", **stage)
        outcome = await run.outcome()
    found = list(run.fakes.world.violations)
    if outcome.outcome != ("completed" if verb == "retry" else "rolled_back"):
        found.append(outcome.outcome)
    if outcome.outcome == "rolled_back" and run.fakes.world.picture != before:
        found.append("another picture")
    undone = () if verb else outcome.rolled_back_stages
    found += [f"{one.stage} {one.status}" for one in undone if one.status is not Status.DONE]
    return [f"{case} {verb}: {problem}" for problem in found]


@pytest.mark.parametrize("name", BEFORE_RETURN)
async def test_before_the_point_of_no_return_every_fault_is_rolled_back(
    temporal: Client, name: StageName
) -> None:
    """Whichever type of action fails, in whichever way, whether or not it had its effect."""
    cases = list(failures(name))
    assert cases
    assert await side_by_side([ended(temporal, case) for case in cases]) == []


@pytest.mark.parametrize("verb", ["retry", "roll_back"])
@pytest.mark.parametrize("name", AFTER_RETURN)
async def test_after_the_point_of_no_return_a_fault_asks_and_both_answers_work(
    temporal: Client, name: StageName, verb: str
) -> None:
    """No rollback begins by itself; `retry` continues, `roll_back` restores the baseline."""
    # The wait before the first graceful stop is not yet past it.
    cases = [c for c in failures(name) if "await_s" not in c.key]
    half = cases[verb == "retry" :: 2]
    assert half
    assert await side_by_side([ended(temporal, case, verb) for case in half]) == []


@pytest.mark.parametrize("name", OWN[1:])
async def test_a_roll_back_at_every_boundary_restores_the_baseline(
    temporal: Client, name: StageName
) -> None:
    """A rejected gate rolls back what came before it; past return it asks first."""
    run = small_run(temporal, stop_target_monitors=True)
    before = run.fakes.world.picture
    async with at_work(run):
        await run.start(approve_before=[name])
        await run.waits("approval")
        await run.says("reject", stage=name, by="ann", reason="not tonight")
        reason = f"ann rejected {name}: not tonight"
        if name in (*AFTER_RETURN[1:], StageName.RESTORE_MONITORS):
            question = await run.waits("decision")
            assert question.answers == ("retry", "roll_back", "abort")
            await run.says("roll_back", by="ann", reason="too late")
            reason = "ann rolled the run back: too late"
        outcome = await run.ends("rolled_back")
    assert reason in outcome.message
    assert outcome.stages[name.number].status is Status.SKIPPED
    assert run.fakes.world.picture == before
    assert run.fakes.world.violations == []


async def test_a_rejection_after_the_point_of_no_return_can_be_asked_again(
    temporal: Client,
) -> None:
    """`retry` asks for the approval once more."""
    run = small_run(temporal)
    gate = StageName.DRAIN_TRANSACTION_MANAGER
    async with at_work(run):
        await run.start(approve_before=[gate])
        await run.waits("approval")
        await run.says("reject", stage=gate, by="ann", reason="wait for bob")
        await run.waits("decision")
        await run.says("retry", stage=gate, by="ann")
        await run.waits("approval")
        await run.says("approve", stage=gate, by="bob")
        await run.ends("completed")


async def test_an_undo_restores_the_baseline_and_no_further(temporal: Client) -> None:
    """What did not run before is not started: a Monitor, a Scheduler, a disabled link."""
    run = new_run(temporal, 2, 1)
    for place in (
        ("cluster1-edge1", Service.MONITOR),
        ("cluster1-server2", Service.SCHEDULER),
        ("cluster1-server2", Service.FOLDER_MONITOR),
    ):
        run.fakes.world.running.discard(place)
    before = run.fakes.world.picture
    async with at_work(run):
        await run.start(approve_before=["drain_protocol_servers"])
        await run.waits("approval")
        await run.says("reject", stage="drain_protocol_servers", reason="no")
        await run.ends("rolled_back")
    assert run.fakes.world.picture == before


async def test_a_failure_of_a_rollback_is_asked_about_and_reported(temporal: Client) -> None:
    """Failures of a rollback are never dropped; a rollback cannot be rolled back."""
    run = small_run(temporal)
    before = run.fakes.world.picture
    run.fakes.failures["suspend_replication.cluster1_to_cluster2"] = [NotReady("lag")]
    run.fakes.failures["start_monitor.cluster1-edge1"] = [NotReady("it does not start")]
    async with at_work(run):
        await run.start(on_fault="roll_back")
        question = await run.waits("decision")
        assert question.answers == ("retry", "abort")
        await run.reaches(lambda p: p.state == "waiting_for_decision", polls=1)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await run.says("roll_back", reason="again")
        assert "is rolling back already" in str(refused.value.cause)
        await run.says("retry", stage="stop_monitors", by="ann")
        outcome = await run.ends("rolled_back")
    [undone] = [
        stage for stage in outcome.rolled_back_stages if stage.stage is StageName.STOP_MONITORS
    ]
    assert [failure.message for failure in undone.failures] == ["it does not start"]
    assert run.fakes.world.picture == before


async def test_an_aborted_rollback_says_what_remains(temporal: Client) -> None:
    """The outcome of an ended rollback names what was not rolled back."""
    run = small_run(temporal)
    run.fakes.failures["suspend_replication.cluster1_to_cluster2"] = [NotReady("lag")]
    run.fakes.failures["start_monitor.cluster1-edge1"] = [NotReady("it does not start")]
    async with at_work(run):
        await run.start(on_fault="roll_back")
        await run.waits("decision")
        await run.says("abort", by="ann", reason="by hand, then")
        outcome = await run.ends("aborted")
    assert "stop_monitors.undo was not done" in outcome.message


async def test_a_roll_back_is_never_ended_without_scheduling_anywhere(temporal: Client) -> None:
    """An abort between the target's stop and the source's start takes effect after the start."""
    run = small_run(temporal)
    held = "verify_scheduling_stopped.cluster2-server1"
    run.fakes.held[held] = asyncio.Event()
    async with at_work(run):
        await run.start(approve_before=["drain_protocol_servers"])
        await run.waits("approval")
        await run.says("reject", stage="drain_protocol_servers", reason="no")
        await run.reaches(lambda p: any(s.status is Status.RUNNING for s in p.undo))
        await run.says("abort", reason="enough")
        run.fakes.held[held].set()
        await run.ends("aborted")
    assert ("cluster1-server1", Service.SCHEDULER) in run.fakes.world.running
    assert run.fakes.world.traffic == {"loadbalancer1": "cluster2"}
    assert run.fakes.world.violations == []


def test_the_sequence_of_a_rollback() -> None:
    """Target's scheduling first; services before traffic; replication, then Monitors, last."""
    begun = {s.name: [x for x in s.actions if x.undo is not None] for s in PLAN.stages[1:9]}
    far = plan_rollback(PLAN, begun, Baseline(assume_all_ran=True))
    assert [stage.name for stage in far] == list(FAR_BACK)
    begun = {name: actions for name, actions in begun.items() if name in BEFORE_RETURN}
    near = plan_rollback(PLAN, begun, Baseline(assume_all_ran=True))
    assert [stage.name for stage in near] == list(BACK)


def test_starts_on_one_node_take_turns() -> None:
    """Each revives the Monitor and stops it again: no two workers may do that side by side."""
    started = {name: PLAN.stage(name).actions for name in OWN}
    undo = plan_rollback(PLAN, started, Baseline(assume_all_ran=True))
    [waves] = [one.waves for one in undo if one.name is StageName.DRAIN_PROTOCOL_SERVERS]
    starts = [[one.place for one in wave] for wave in waves]
    assert len(starts) > len({place for wave in starts for place in wave})
    assert all(len({*wave}) == len(wave) for wave in starts)


def test_a_link_that_rested_is_not_resumed() -> None:
    """Also where an interrupted run left no baseline: two would send every change in a circle."""
    suspended = PLAN.stage(StageName.SUSPEND_REPLICATION).actions
    readings = {
        place: ReplicationReading(place=place, exists=True, enabled=False, sends_back=True)
        for place in (action.place for action in suspended)
    }
    for baseline in (
        Baseline(links=readings, assume_all_ran=True),
        Baseline(links={**readings, FORTH: readings[FORTH].model_copy(update={"enabled": True})}),
    ):
        [stage] = plan_rollback(PLAN, {StageName.SUSPEND_REPLICATION: suspended}, baseline)
        *resumed, dropped = stage.actions
        assert [str(action.kind) for action in resumed] == [
            "verify_no_conflicts",
            "resume_replication",
        ]
        assert {action.place for action in resumed} == {FORTH}
        # What it kept from the suspension on, it keeps no longer.
        assert dropped == actions.DropSlot(link="cluster2_to_cluster1")


def test_nothing_begun_is_nothing_undone() -> None:
    """A run that rolls back before it acted has nothing to undo."""
    assert plan_rollback(PLAN, {}, Baseline(assume_all_ran=True)) == ()


def test_skipped_scheduling_is_still_proven_off_before_a_start() -> None:
    """Before any `start_tm` of the source the target's scheduling is verified to be stopped."""
    stop = actions.StopTransactionManager(node="cluster1-server1", grace=timedelta(seconds=60))
    graceful = PLAN.stage(StageName.DRAIN_PROTOCOL_SERVERS).waves[1]
    begun = {
        StageName.DRAIN_PROTOCOL_SERVERS: graceful,
        StageName.DRAIN_TRANSACTION_MANAGER: (stop,),
    }
    first, *_ = plan_rollback(PLAN, begun, Baseline(assume_all_ran=True))
    assert {type(action) for action in first.actions} == {actions.VerifySchedulingStopped}
