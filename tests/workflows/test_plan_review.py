"""The review of a plan: its actions, their commands, what holds already, and findings."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from tests.support.run import Run
from workflows.errors import AccessRefused
from workflows.model.findings import Finding, Severity
from workflows.model.stages import StageName
from workflows.planning.plan import Plan
from workflows.planning.preview import Review


async def reviewed(run: Run, **changes: Any) -> Review:  # noqa: ANN401 - keys of a request
    """Ask for a review with the usual request."""
    usual = {"estate": run.fakes.estate.name, "source": "cluster1", "target": "cluster2"}
    review: Review = await run.client.execute_workflow(
        "PlanReview",
        usual | changes,
        id=f"plan-{uuid4()}",
        task_queue=run.queue,
        result_type=Review,
    )
    return review


async def test_a_review_is_the_plan_itself(run: Run) -> None:
    """`switchover plan` shows the value that a start would execute, and nothing happens."""
    shown = await reviewed(run)
    assert not run.fakes.effects
    await run.start(plan_hash=shown.hash)
    await run.outcome()
    executed = await run.handle.query("plan", result_type=Plan)
    assert shown.plan == executed
    assert shown.hash == executed.hash


async def test_every_action_has_its_commands(run: Run) -> None:
    """Stage by stage, with the commands and with the rollback of each action."""
    shown = await reviewed(run)
    actions = [(stage.name, action) for stage in shown.plan.stages for action in stage.actions]
    assert [(s.stage, s.action, s.place, s.message, s.commands, s.undo) for s in shown.steps] == [
        (
            name,
            action.key,
            action.place,
            str(action),
            (f"would {action}",),
            None if action.undo is None else str(action.undo),
        )
        for name, action in actions
    ]


async def test_states_that_hold_already_are_marked(run: Run) -> None:
    """What an earlier run has done is read, and judged as stage 0 would judge it."""
    first = await reviewed(run)
    assert {s.holds for s in first.steps if s.stage is StageName.STOP_MONITORS} == {False}
    assert first.findings == ()
    await run.start()
    await run.outcome()
    then = await reviewed(run)
    monitors = [s.holds for s in then.steps if s.stage is StageName.STOP_MONITORS]
    redirect = [s.holds for s in then.steps if s.stage is StageName.REDIRECT_TRAFFIC]
    assert {*monitors, *redirect} == {True}
    assert [f.name for f in then.findings] == ["already_switched_over"]


async def test_a_silent_place_is_a_finding(run: Run) -> None:
    """A plan can be reviewed although a node is down: what was not read stays unknown."""
    run.fakes.failures["observe_node.cluster1-edge1"] = [AccessRefused("no key")]
    shown = await reviewed(run)
    assert [(f.name, f.place) for f in shown.findings] == [("no_reading", "cluster1-edge1")]
    assert {s.holds for s in shown.steps if s.place == "cluster1-edge1"} == {None}
    assert {s.holds for s in shown.steps if s.place == "cluster1-edge2"} == {None, False}


async def test_a_finding_of_a_reading_is_shown(run: Run) -> None:
    """A node that only answers in part is shown as stage 0 would show it."""
    trouble = Finding(name="node_unreachable_admin", place="x", seen="a", expected="b", advice="c")
    run.fakes.readings["cluster1-edge1"] = {"findings": (trouble,), "taeh": "b" * 64}
    names = [finding.name for finding in (await reviewed(run)).findings]
    assert names == ["node_unreachable_admin", "taeh_differs"]


async def test_a_changed_plan_is_refused_with_what_has_changed(run: Run) -> None:
    """A start that pins what was reviewed says what is different now."""
    pinned = (await reviewed(run)).hash
    timing = run.fakes.estate.timing.model_copy(update={"drain_timeout": timedelta(days=2)})
    run.fakes.estate = run.fakes.estate.model_copy(update={"timing": timing})
    await run.start(plan_hash=pinned)
    failure = await run.failure()
    assert f"plan_hash: {pinned} was reviewed, but the plan is now" in failure
    assert '\n-estate.timing.drain_timeout: "P1D"\n' in failure
    assert '\n+estate.timing.drain_timeout: "P2D"\n' in failure
    assert not run.fakes.effects


async def test_a_plan_that_cannot_be_kept_is_shown_all_the_same(run: Run) -> None:
    """A full disk of the worker does not prevent a review."""
    run.fakes.forgetful = True
    shown = await reviewed(run)
    assert [(f.name, f.severity) for f in shown.findings] == [("plan_not_saved", Severity.WARNS)]


async def test_a_wrong_request_has_no_review(run: Run) -> None:
    """The same refusals as for a start."""
    with pytest.raises(WorkflowFailureError) as failed:
        await reviewed(run, target="cluster1")
    assert isinstance(failed.value.cause, ApplicationError)
    assert "source and target are both cluster1" in failed.value.cause.message


async def test_a_review_writes_no_marker_file(run: Run) -> None:
    """Stage 0 may measure a storage's delay with one; a review does not."""
    estate = run.fakes.estate
    marked = tuple(c.model_copy(update={"storage_markers": "markers"}) for c in estate.clusters)
    run.fakes.estate = estate.model_copy(update={"clusters": marked})
    shown = await reviewed(run)
    assert {c.storage_markers for c in shown.plan.estate.clusters} == {"markers"}
    assert run.fakes.marked == []
    await run.start()
    await run.outcome()
    assert run.fakes.marked == ["cluster1", "cluster2"]
