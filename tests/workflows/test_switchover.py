"""The Switchover workflow on a real Temporal server, with activities that obey a model estate."""

import asyncio
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from tests.support.run import Run, at_work, new_run
from workflows.errors import AccessRefused, BadInput, Lost, NotReady, OutcomeUnknown
from workflows.model.findings import Finding
from workflows.model.outcome import Outcome
from workflows.model.progress import Status
from workflows.model.results import Service, State
from workflows.model.stages import STAGES, StageName

GATED = {"approve_before": ["redirect_traffic"]}


async def test_a_switchover_does_all_of_the_plan_once(run: Run) -> None:
    """Every action of every stage is executed exactly once, and no invariant breaks."""
    await run.start(reason="the first one")
    outcome = await run.ends("completed")
    assert tuple(stage.stage for stage in outcome.stages) == STAGES["switchover"]
    assert all(stage.status is Status.DONE for stage in outcome.stages)
    assert run.fakes.world.violations == []
    assert run.fakes.asked
    assert set(run.fakes.asked.values()) == {1}
    assert outcome.record == "/records/outcome.json"
    assert [kept.outcome for kept in run.fakes.kept] == ["completed"]


async def test_a_gate_waits_for_its_approval(run: Run) -> None:
    """With redirect gated nothing is suspended before the approval; then the run continues."""
    await run.start(**GATED)
    question = await run.waits("approval")
    progress = await run.status()
    assert progress is not None
    assert progress.stage is StageName.SUSPEND_REPLICATION
    assert question.stage is StageName.REDIRECT_TRAFFIC
    assert len(run.fakes.world.replicating) == 2
    await run.handle.signal("approve", {"stage": "redirect_traffic", "by": "ann"})
    outcome = await run.ends("completed")
    assert [(d.verb, d.way, d.by) for d in outcome.decisions] == [("approve", "signal", "ann")]


async def test_an_early_approval_counts_for_its_stage(run: Run) -> None:
    """An approval that is there before its gate, even before the plan, opens it."""
    run.fakes.held["observe_node.cluster1-server1"] = asyncio.Event()
    await run.start(**GATED)
    effect = await run.says("approve", stage="redirect_traffic", by="ann")
    assert "redirect_traffic" in effect or "noted" in effect
    run.fakes.held["observe_node.cluster1-server1"].set()
    await run.ends("completed")


async def test_an_unanswered_gate_can_expire(run: Run) -> None:
    """With on_expiry reject the run ends by itself when no operator answers."""
    await run.start(**GATED, expires_after=1, on_expiry="reject")
    outcome = await run.ends("rolled_back")
    assert "redirect_traffic was not approved within" in outcome.message


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([None], "must be one JSON object"),
        (["lab"], "must be one JSON object"),
        ([{}, {}], "got 2"),
        ([{"estate": "lab"}], "source: this key is missing; target: this key is missing"),
        ([{"estate": "lab", "source": "a", "target": "a"}], "traffic moves between two"),
        ([{"estate": "lab", "source": "a", "target": "b", "colour": 1}], "colour: there is no"),
        ([{"estate": "lab", "approve_before": ["x"]}], "approve_before.0"),
        ([{"estate": "other", "source": "a", "target": "b"}], "is switchover-other, not"),
    ],
)
async def test_bad_input_fails_at_once(run: Run, given: list[Any], words: str) -> None:
    """A start that cannot be read fails with a sentence; no node is read."""
    await run.start(*given)
    assert words in await run.failure()
    assert not run.fakes.asked


async def test_no_input_fails_at_once(run: Run) -> None:
    """The blank form of the Web UI ends in a readable failure."""
    run.handle = await run.client.start_workflow(
        "Switchover", id="switchover-lab", task_queue=run.queue, result_type=Outcome
    )
    assert "exactly one input, and got none" in await run.failure()


async def test_an_unknown_cluster_fails_at_once(run: Run) -> None:
    """What only the estate file shows is checked by the plan."""
    await run.start(source="cluster9")
    assert "has no cluster cluster9" in await run.failure()


async def test_every_blocking_finding_is_in_the_failure(run: Run) -> None:
    """A run that must not begin fails with all that speaks against it, and changes nothing."""
    run.fakes.readings["cluster1-edge1"] = {"taeh": "b" * 64}
    run.fakes.readings["cluster2-server1"] = {
        "services": {Service.SCHEDULER: State.RUNNING, Service.FOLDER_MONITOR: State.STOPPED}
    }
    trouble = Finding(
        name="node_unreachable_ssh",
        place="cluster2-edge2",
        seen="nothing",
        expected="an answer",
        advice="check the network",
    )
    run.fakes.readings["cluster2-edge2"] = {"findings": (trouble,), "services": {}}
    await run.start()
    reason = await run.failure()
    for words in ("cluster1-edge1: taeh_differs", "target_not_idle", "cluster2-edge2: node_unre"):
        assert words in reason
    asked = set(run.fakes.asked)
    assert asked
    assert all(one.startswith("check_prerequisites.") for one in asked)


async def test_a_finding_may_be_accepted_with_a_reason(run: Run) -> None:
    """What was accepted is in the outcome, which says so; some findings cannot be."""
    run.fakes.readings["cluster2-edge1"] = {"sessions": 3}
    await run.start(accept={"target_has_sessions": "the monitoring of the night shift"})
    outcome = await run.ends("completed_with_exceptions")
    assert "target_has_sessions" in outcome.message


async def test_a_finding_that_breaks_the_promise_cannot_be_accepted(run: Run) -> None:
    """A different taeh stays a refusal, whatever the reason."""
    run.fakes.readings["cluster1-edge1"] = {"taeh": "b" * 64}
    await run.start(accept={"taeh_differs": "it will be fine"})
    assert "taeh_differs" in await run.failure()


@pytest.mark.parametrize(
    ("failure", "answers"),
    [
        (NotReady("ssh refuses"), ("retry", "roll_back", "abort")),
        # Its node may be down, which an operator may want to have confirmed.
        (Lost("no record of its end"), ("retry", "force", "roll_back", "abort")),
    ],
)
async def test_a_failure_waits_for_a_retry(
    run: Run, failure: Exception, answers: tuple[str, ...]
) -> None:
    """Only the failed action is retried, in a new round since its end is known."""
    action = "stop_gracefully.cluster1-edge1.ssh"
    run.fakes.failures[action] = [failure]
    await run.start()
    question = await run.waits("decision")
    assert str(failure) in question.message
    assert question.answers == answers
    await run.says("retry", stage="drain_protocol_servers", by="ann")
    outcome = await run.ends("completed")
    asked = [f"drain_protocol_servers.{action}.{n}" for n in (1, 2)]
    assert [run.fakes.asked[operation] for operation in asked] == [1, 1]
    others = {n for op, n in run.fakes.asked.items() if op not in asked}
    assert others == {1}
    [reported] = outcome.stages[StageName.DRAIN_PROTOCOL_SERVERS.number].failures
    assert reported.outcome_known


@pytest.mark.parametrize("refusal", [AccessRefused("the key is not known"), BadInput("no secret")])
async def test_a_refusal_after_an_unknown_outcome_begins_nothing_again(
    run: Run, refusal: Exception
) -> None:
    """An attempt before it may have begun the stop: a retry attaches to that one."""
    action = "stop_gracefully.cluster1-edge1.ssh"
    run.fakes.failures[action] = [OutcomeUnknown("the connection was lost"), refusal]
    await run.start()
    await run.waits("decision")
    await run.says("retry", stage="drain_protocol_servers", by="ann")
    await run.ends("completed")
    asked = {op: n for op, n in run.fakes.asked.items() if action in op}
    assert asked == {f"drain_protocol_servers.{action}.1": 3}


async def test_an_unknown_outcome_keeps_its_round(run: Run) -> None:
    """What may still be under way is attached to, never begun again."""
    action = "stop_gracefully.cluster1-edge1.ssh"
    run.fakes.failures[action] = [OutcomeUnknown("the connection was lost")]
    await run.start()
    await run.ends("completed")
    assert run.fakes.asked[f"drain_protocol_servers.{action}.1"] == 2
    assert run.fakes.asked[f"drain_protocol_servers.{action}.2"] == 0


async def test_a_retry_for_one_node_leaves_the_others(run: Run) -> None:
    """`node` narrows a retry; what else failed still waits."""
    for node in ("cluster1-edge1", "cluster1-edge2"):
        run.fakes.failures[f"stop_monitor.{node}"] = [NotReady("no")]
    await run.start()
    await run.waits("decision")
    await run.says("retry", stage="stop_monitors", node="cluster1-edge1")
    progress = await run.reaches(
        lambda p: p.waiting is not None and "cluster1-edge1" not in p.waiting.message
    )
    assert "cluster1-edge2" in str(progress.waiting)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await run.says("retry", stage="stop_monitors", node="cluster1-edge1")
    assert "nothing failed on cluster1-edge1" in str(refused.value.cause)
    await run.says("retry", stage="stop_monitors")
    await run.ends("completed")


async def test_an_abort_ends_at_the_next_boundary(run: Run) -> None:
    """Before stage 4 an abort ends the run; what was not begun is skipped."""
    run.fakes.failures["suspend_replication.cluster1_to_cluster2"] = [NotReady("lag")]
    await run.start()
    await run.waits("decision")
    await run.says("abort", by="ann", reason="enough")
    outcome = await run.ends("aborted")
    assert "ann aborted" in outcome.message
    assert run.fakes.world.traffic == {"loadbalancer1": "cluster1"}


async def test_an_abort_never_leaves_an_estate_without_scheduling(run: Run) -> None:
    """From stage 4's first effect on, an abort takes effect after stage 5."""
    run.fakes.held["verify_scheduling_stopped.cluster1-server1"] = asyncio.Event()
    await run.start()
    await run.reaches(lambda p: p.stage is StageName.STOP_SCHEDULING)
    await run.says("abort", reason="enough")
    run.fakes.held["verify_scheduling_stopped.cluster1-server1"].set()
    outcome = await run.ends("aborted")
    assert outcome.stages[StageName.START_SCHEDULING.number].status is Status.DONE
    assert outcome.stages[StageName.DRAIN_PROTOCOL_SERVERS.number].status is Status.SKIPPED
    assert ("cluster2-server1", Service.SCHEDULER) in run.fakes.world.running


async def test_a_cancelled_run_ends_its_waits_and_rolls_back(run: Run) -> None:
    """Cancelling before the first graceful stop ends a drain at once, and undoes the rest."""
    before = run.fakes.world.picture
    run.fakes.held["await_sessions.cluster1-edge1"] = asyncio.Event()
    await run.start()
    await run.reaches(lambda p: p.stage is StageName.DRAIN_PROTOCOL_SERVERS)
    await run.handle.cancel()
    outcome = await run.ends("rolled_back")
    assert "cancellation requested" in outcome.message
    assert run.fakes.world.picture == before
    assert run.fakes.world.violations == []


async def test_a_run_cancelled_after_the_point_of_no_return_ends_where_it_is(run: Run) -> None:
    """Nothing is undone by itself any more; the target serves and schedules."""
    run.fakes.held["await_queue.cluster1-server1"] = asyncio.Event()
    await run.start()
    await run.reaches(lambda p: p.stage is StageName.DRAIN_TRANSACTION_MANAGER)
    await run.handle.cancel()
    outcome = await run.ends("aborted")
    assert "cancellation requested" in outcome.message
    assert ("cluster2-server1", Service.SCHEDULER) in run.fakes.world.running
    assert ("cluster1-server1", Service.TRANSACTION_MANAGER) in run.fakes.world.running


async def test_a_monitor_that_did_not_run_is_not_started(temporal: Client) -> None:
    """Stage 9 restores the baseline and nothing more."""
    run = new_run(temporal, stop_target_monitors=True)
    run.fakes.world.running.discard(("cluster2-edge1", Service.MONITOR))
    async with at_work(run):
        await run.start()
        await run.ends("completed")
    assert ("cluster2-edge1", Service.MONITOR) not in run.fakes.world.running
    assert ("cluster2-edge2", Service.MONITOR) in run.fakes.world.running
