"""The PlanReview workflow: shows the plan that a request would execute; reads, changes nothing."""

from __future__ import annotations

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
from workflows.model.request import parse_request
from workflows.model.stages import StageName
from workflows.planning.plan import Plan
from workflows.planning.preview import CommandPreview, Review, review
from workflows.ports.planning import PlanningPort
from workflows.ports.preview import PreviewPort
from workflows.preflight.evaluate import evaluate_first


@workflow.defn(name="PlanReview", failure_exception_types=[SwitchoverError])
class PlanReview:
    """Makes the plan of a switchover for someone to look at."""

    @workflow.run
    async def run(self, *given: Any) -> Review:  # noqa: ANN401 - whatever was sent
        """Return the review of the same JSON object that starts a switchover.

        A place that cannot be read is a finding, and what depends on it stays unknown.
        """
        plan = await make_plan(parse_request(given))
        quiet = _without_markers(plan)
        dispatcher = Dispatcher(quiet, workflow.info().run_id)
        (readings, found), preview, unkept = await asyncio.gather(
            observe(dispatcher, plan.stage(StageName.CHECK_PREREQUISITES).waves),
            _spell_out(plan),
            _keep(plan),
        )
        # The same findings that stage 0 would judge now.
        _, findings = evaluate_first(quiet, readings, workflow.now(), found)
        return review(plan, readings, preview, unkept + findings)


def _without_markers(plan: Plan) -> Plan:
    """Leave out what stage 0 writes: a marker file, where an estate lets it measure a storage."""
    clusters = (c.model_copy(update={"storage_markers": None}) for c in plan.estate.clusters)
    estate = plan.estate.model_copy(update={"clusters": tuple(clusters)})
    return plan.model_copy(update={"estate": estate})


async def _spell_out(plan: Plan) -> tuple[CommandPreview, ...]:
    config = activity_options.with_summary(activity_options.PLAN, "preview every command")
    return await workflow.execute_activity_method(PreviewPort.preview_commands, plan, **config)


async def _keep(plan: Plan) -> tuple[Finding, ...]:
    """Have the worker remember what was reviewed, so that it can say later what has changed."""
    config = activity_options.with_summary(activity_options.SAVE_PLAN, "save the reviewed plan")
    try:
        await workflow.execute_activity_method(PlanningPort.save_plan, plan, **config)
    except ActivityError as error:
        return (
            Finding(
                name="plan_not_kept",
                place="worker",
                seen=f"{error.cause or error}",
                expected="a file of this plan among the worker's records",
                advice="a start that pins it can be refused, but nobody can say what has changed",
                severity=Severity.WARNS,
            ),
        )
    return ()
