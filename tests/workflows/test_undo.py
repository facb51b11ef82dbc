"""A run that is taken back leaves the estate at its baseline, wherever and however it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from tests import estates
from tests.workflows.runs import Run, at_work
from workflows import orders as o
from workflows.errors import CommandFailed, Lost, NotReady
from workflows.plan import plan_switchover
from workflows.progress import Outcome, Step
from workflows.reports import Service
from workflows.stages import Slug
from workflows.undo import BACK, FAR_BACK, Baseline, plan_undo

BEFORE_RETURN = (
    Slug.STOP_MONITORS,
    Slug.SUSPEND_REPLICATION,
    Slug.REDIRECT_TRAFFIC,
    Slug.STOP_SCHEDULING,
    Slug.START_SCHEDULING,
)
AFTER_RETURN = (
    Slug.DRAIN_PROTOCOL_SERVERS,
    Slug.DRAIN_TRANSACTION_MANAGER,
    Slug.STOP_REMAINING_SERVICES,
)
PLAN = plan_switchover(estates.estate(), estates.request())


def silence(kind: str) -> ApplicationError:
    """What is left of an error that the engine has retried long enough."""
    return ApplicationError("nobody answers", type=kind, non_retryable=True)


FAULTS = {
    "refused": lambda: CommandFailed("it said no"),
    "unreachable": lambda: silence("Unreachable"),
    "unknown": lambda: silence("OutcomeUnknown"),
    "lost": lambda: Lost("nobody knows how it ended"),
}


def faults(slugs: tuple[Slug, ...]) -> Iterator[tuple[Slug, str, str, bool]]:
    """Yield every order of these stages with every kind of fault, without and with its effect."""
    for slug in slugs:
        for order in PLAN.stage(slug).orders:
            for kind in FAULTS:
                yield slug, order.key, kind, False
                if order.undo is not None and kind in ("unknown", "lost"):
                    yield slug, order.key, kind, True


def new_run(client: Client, **changes: object) -> Run:
    """Return a run on an estate of its own."""
    return Run(client, estates.estate(name=f"lab-{uuid4().hex[:8]}", **changes))


def plant(run: Run, key: str, kind: str, *, late: bool) -> None:
    """Let the next attempt at an order fail so."""
    (run.hands.late if late else run.hands.faults)[key] = [FAULTS[kind]()]


async def taken_back(client: Client, slug: Slug, key: str, kind: str, late: bool) -> None:  # noqa: FBT001 - a parameter of a matrix
    """Let one order fail, and see the estate at its baseline."""
    run = new_run(client)
    before = run.hands.world.picture
    plant(run, key, kind, late=late)
    async with at_work(run):
        await run.start(on_fault="roll_back")
        outcome = await run.outcome()
    story = f"{slug} {key} {kind} {late}"
    assert outcome.outcome == "rolled_back", story
    assert run.hands.world.violations == [], story
    assert run.hands.world.picture == before, story
    assert all(stage.step is Step.DONE for stage in outcome.undone), story


@pytest.mark.parametrize("slug", BEFORE_RETURN)
async def test_before_the_point_of_no_return_every_fault_is_taken_back(
    temporal: Client, slug: Slug
) -> None:
    """Whichever order of a stage fails, in whichever way, whether or not it had its effect."""
    cases = list(faults((slug,)))
    assert cases
    for start in range(0, len(cases), 8):  # side by side, as many as the machine bears
        await asyncio.gather(*(taken_back(temporal, *case) for case in cases[start : start + 8]))


async def decided(
    client: Client,
    slug: Slug,
    key: str,
    kind: str,
    late: bool,
    verb: str,  # noqa: FBT001 - as above
) -> Outcome:
    """Let one order fail, and decide so; return the outcome of a run that broke no invariant."""
    run = new_run(client)
    before = run.hands.world.picture
    plant(run, key, kind, late=late)
    async with at_work(run):
        await run.start(on_fault="roll_back")
        progress = await run.waits("decision")
        assert progress.waiting is not None
        assert progress.waiting.stage is slug
        stage = {"stage": slug} if verb == "retry" else {}
        await run.says(verb, by="ann", reason="so it is", **stage)
        outcome = await run.outcome()
    assert run.hands.world.violations == [], (slug, key, kind, late, verb)
    if verb == "roll_back":
        assert run.hands.world.picture == before, (slug, key, kind, late)
    return outcome


@pytest.mark.parametrize("slug", AFTER_RETURN)
async def test_after_the_point_of_no_return_a_fault_asks_and_both_answers_work(
    temporal: Client, slug: Slug
) -> None:
    """Nothing is undone by itself any more; `retry` goes forward, `roll_back` brings it all back."""
    cases = [
        case
        for case in faults((slug,))
        if "edge2" not in case[1] and "server2" not in case[1] and "await" not in case[1]
    ]
    if slug is Slug.DRAIN_PROTOCOL_SERVERS:
        # The first graceful stop is the point of no return: the wait before it is not yet past it.
        assert any("stop_gracefully" in key for _, key, _, _ in cases)
    pairs = [(case, verb) for case in cases for verb in ("retry", "roll_back")]
    for start in range(0, len(pairs), 8):
        ended = await asyncio.gather(
            *(decided(temporal, *case, verb) for case, verb in pairs[start : start + 8])
        )
        assert [outcome.outcome for outcome in ended] == [
            "rolled_back" if verb == "roll_back" else "completed"
            for _, verb in pairs[start : start + 8]
        ]


@pytest.mark.parametrize("slug", [s for s in Slug if s is not Slug.CHECK_PREREQUISITES])
async def test_a_roll_back_at_every_boundary_restores_the_baseline(
    temporal: Client, slug: Slug
) -> None:
    """A rejected gate takes back what came before it; past return it asks first."""
    run = new_run(temporal, stop_target_monitors=True)
    before = run.hands.world.picture
    async with at_work(run):
        await run.start(approve_before=[slug])
        await run.waits("approval")
        await run.says("reject", stage=slug, by="ann", reason="not tonight")
        if slug in (*AFTER_RETURN[1:], Slug.RESTORE_MONITORS):
            progress = await run.waits("decision")
            assert progress.waiting is not None
            assert progress.waiting.answers == ("retry", "roll_back", "abort")
            await run.says("roll_back", by="ann", reason="not tonight")
        outcome = await run.outcome()
    assert outcome.outcome == "rolled_back"
    assert run.hands.world.picture == before
    assert run.hands.world.violations == []


async def test_a_rejection_after_the_point_of_no_return_can_be_asked_again(
    temporal: Client,
) -> None:
    """`retry` asks for the approval once more."""
    run = new_run(temporal)
    gate = Slug.DRAIN_TRANSACTION_MANAGER
    async with at_work(run):
        await run.start(approve_before=[gate])
        await run.waits("approval")
        await run.says("reject", stage=gate, by="ann", reason="wait for bob")
        await run.waits("decision")
        await run.says("retry", stage=gate, by="ann")
        await run.waits("approval")
        await run.says("approve", stage=gate, by="bob")
        assert (await run.outcome()).outcome == "completed"


async def test_an_undo_restores_the_baseline_and_no_further(temporal: Client) -> None:
    """What did not run before is not started: a Monitor, a Scheduler, a disabled link."""
    run = new_run(temporal)
    for place in (
        ("cluster1-edge1", Service.MONITOR),
        ("cluster1-server2", Service.SCHEDULER),
        ("cluster1-server2", Service.FOLDER_MONITOR),
    ):
        run.hands.world.running.discard(place)
    before = run.hands.world.picture
    async with at_work(run):
        await run.start(approve_before=["drain_protocol_servers"])
        await run.waits("approval")
        await run.says("reject", stage="drain_protocol_servers", reason="no")
        outcome = await run.outcome()
    assert outcome.outcome == "rolled_back"
    assert run.hands.world.picture == before


async def test_a_fault_of_an_undo_is_asked_about_and_reported(temporal: Client) -> None:
    """Undo's own faults are never dropped; a roll-back cannot be rolled back."""
    run = new_run(temporal)
    before = run.hands.world.picture
    run.hands.faults["suspend_replication.cluster1_to_cluster2"] = [NotReady("lag")]
    run.hands.faults["start_monitor.cluster1-edge1"] = [NotReady("it does not start")]
    async with at_work(run):
        await run.start(on_fault="roll_back")
        progress = await run.waits("decision")
        assert progress.waiting is not None
        assert progress.waiting.answers == ("retry", "abort")
        assert progress.state == "waiting_for_decision"
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await run.says("roll_back", reason="again")
        assert "is being rolled back already" in str(refused.value.cause)
        await run.says("retry", stage="stop_monitors", by="ann")
        outcome = await run.outcome()
    assert outcome.outcome == "rolled_back"
    [undone] = [stage for stage in outcome.undone if stage.stage is Slug.STOP_MONITORS]
    assert [fault.words for fault in undone.faults] == ["it does not start"]
    assert run.hands.world.picture == before


async def test_an_aborted_roll_back_says_what_is_left(temporal: Client) -> None:
    """Whoever ends a roll-back is told in the outcome what was not taken back."""
    run = new_run(temporal)
    run.hands.faults["suspend_replication.cluster1_to_cluster2"] = [NotReady("lag")]
    run.hands.faults["start_monitor.cluster1-edge1"] = [NotReady("it does not start")]
    async with at_work(run):
        await run.start(on_fault="roll_back")
        await run.waits("decision")
        await run.says("abort", by="ann", reason="by hand, then")
        outcome = await run.outcome()
    assert outcome.outcome == "aborted"
    assert "stop_monitors.undo was not done" in outcome.words


async def test_a_roll_back_is_never_ended_without_scheduling_anywhere(temporal: Client) -> None:
    """An abort between the target's stop and the source's start takes effect after the start."""
    run = new_run(temporal)
    held = "prove_scheduling_stopped.cluster2-server1"
    run.hands.held[held] = asyncio.Event()
    async with at_work(run):
        await run.start(approve_before=["drain_protocol_servers"])
        await run.waits("approval")
        await run.says("reject", stage="drain_protocol_servers", reason="no")
        await run.reaches(lambda p: any(s.step is Step.RUNNING for s in p.undo))
        await run.says("abort", reason="enough")
        run.hands.held[held].set()
        outcome = await run.outcome()
    assert outcome.outcome == "aborted"
    assert ("cluster1-server1", Service.SCHEDULER) in run.hands.world.running
    assert run.hands.world.traffic == {"loadbalancer1": "cluster2"}
    assert run.hands.world.violations == []


def test_the_order_of_an_undo() -> None:
    """Target's scheduling first; services before traffic; replication, then Monitors, last."""
    begun = {s.slug: [x for x in s.orders if x.undo is not None] for s in PLAN.stages[1:9]}
    far = plan_undo(PLAN, begun, Baseline(whole=True))
    assert [stage.slug for stage in far] == list(FAR_BACK)
    begun = {slug: orders for slug, orders in begun.items() if slug in BEFORE_RETURN}
    near = plan_undo(PLAN, begun, Baseline(whole=True))
    assert [stage.slug for stage in near] == list(BACK)


def test_nothing_begun_is_nothing_undone() -> None:
    """A run that is taken back before it acted has nothing to take back."""
    assert plan_undo(PLAN, {}, Baseline(whole=True)) == ()


def test_skipped_scheduling_is_still_proven_off_before_a_start() -> None:
    """Before any `start_tm` of the source the target's scheduling is seen stopped."""
    stop = o.StopTransactionManager(node="cluster1-server1", grace=60)
    graceful = PLAN.stage(Slug.DRAIN_PROTOCOL_SERVERS).waves[1]
    begun = {Slug.DRAIN_PROTOCOL_SERVERS: graceful, Slug.DRAIN_TRANSACTION_MANAGER: (stop,)}
    first, *_ = plan_undo(PLAN, begun, Baseline(whole=True))
    assert {type(order) for order in first.orders} == {o.ProveSchedulingStopped}
