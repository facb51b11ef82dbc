"""The PlanReview workflow: shows the plan that a request would execute; reads, changes nothing."""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import activity_options
from workflows.errors import SwitchoverError
from workflows.execution.dispatch import Dispatcher
from workflows.execution.fetch_plan import make_plan
from workflows.execution.observe import observe
from workflows.model.findings import Finding, Severity
from workflows.model.request import parse_any
from workflows.model.stages import StageName
from workflows.planning.plan import Plan
from workflows.planning.preview import CommandPreview, Review, review
from workflows.ports.planning import PlanningPort
from workflows.ports.preview import PreviewPort
from workflows.preflight.evaluate import evaluate_first
from workflows.run.state import RunState


@workflow.defn(name="PlanReview", failure_exception_types=[SwitchoverError])
class PlanReview:
    """Makes the plan of a switchover or of a rejoin for an operator's review."""

    @workflow.run
    async def run(self, *given: Any) -> Review:  # noqa: ANN401 - whatever was sent
        """Return the review of the same JSON object that starts the run.

        A place that cannot be read is a finding, and what depends on it stays unknown.
        """
        plan = await make_plan(parse_any(given))
        quiet = plan.model_copy(update={"estate": plan.estate.without_markers()})
        info = workflow.info()
        dispatcher = Dispatcher(quiet, RunState(info.first_execution_run_id, info.start_time))
        (readings, found), preview, unsaved = await asyncio.gather(
            observe(dispatcher, plan.stage(StageName.CHECK_PREREQUISITES).waves),
            _preview(plan),
            _save(plan),
        )
        # The same findings that stage 0 would judge now.
        _, findings = evaluate_first(quiet, readings, workflow.now(), found)
        return review(plan, readings, preview, unsaved + findings)


async def _preview(plan: Plan) -> tuple[CommandPreview, ...]:
    config = activity_options.with_summary(activity_options.PLAN, "preview every command")
    return await workflow.execute_activity_method(PreviewPort.preview_commands, plan, **config)


async def _save(plan: Plan) -> tuple[Finding, ...]:
    """Have the worker save the reviewed plan, so that it can list differences later."""
    config = activity_options.with_summary(activity_options.SAVE_PLAN, "save the reviewed plan")
    try:
        await workflow.execute_activity_method(PlanningPort.save_plan, plan, **config)
    except ActivityError as error:
        return (
            Finding(
                name="plan_not_saved",
                place="worker",
                seen=f"{error.cause or error}",
                expected="a file of this plan among the worker's records",
                advice="free disk space; without the file a refused start cannot list differences",
                severity=Severity.WARNS,
            ),
        )
    return ()
