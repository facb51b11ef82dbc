"""The Readiness workflow: the checks of stage 0 on their own, on demand or by a schedule."""

from collections.abc import Iterable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import activity_options
from workflows.errors import SwitchoverError
from workflows.execution.dispatch import Dispatcher
from workflows.execution.fetch_plan import make_plan
from workflows.execution.observe import observe
from workflows.model.bounds import fitted
from workflows.model.findings import Finding
from workflows.model.observations import Reading, TemporalReading
from workflows.model.request import Request, parse_request
from workflows.model.stages import StageName
from workflows.planning.plan import Plan
from workflows.ports.temporal import TemporalPort
from workflows.preflight.evaluate import blocking, evaluate_first
from workflows.preflight.report import (
    Direction,
    ReadinessReport,
    difference,
    parse_report,
    results_of,
    score_of,
)
from workflows.run.state import RunState
from workflows.search_attributes import ESTATE
from workflows.views.readiness_markdown import report_details, waiting_details


@workflow.defn(name="Readiness", failure_exception_types=[SwitchoverError])
class Readiness:
    """Reports whether a switchover could begin now, and changes nothing."""

    @workflow.run
    async def run(self, *given: Any) -> ReadinessReport:  # noqa: ANN401 - whatever was sent
        """Check the switchover that the same JSON object would start."""
        request = parse_request(given)
        plan = await make_plan(request)
        workflow.upsert_search_attributes([ESTATE.value_set(request.estate)])
        workflow.set_current_details(waiting_details(plan))
        info = workflow.info()
        dispatcher = Dispatcher(plan, RunState(info.first_execution_run_id, info.start_time))
        readings, found = await _observe(plan, dispatcher)
        report = _report(plan, request, readings, found)
        last = await _last_report(report.direction)
        changed = difference(report.findings, last)
        report = fitted(report.model_copy(update={"changed": changed}))
        workflow.set_current_details(report_details(report))
        return report


async def _observe(
    plan: Plan, dispatcher: Dispatcher
) -> tuple[tuple[Reading, ...], tuple[Finding, ...]]:
    """Make every reading; without logins to nodes that an open switchover may be draining."""
    first, *rest = plan.stage(StageName.CHECK_PREREQUISITES).waves
    readings, found = await observe(dispatcher, (first,))
    if any(isinstance(r, TemporalReading) and r.open_run is not None for r in readings):
        return readings, found
    more, also = await observe(dispatcher, rest)
    return (*readings, *more), (*found, *also)


def _report(
    plan: Plan, request: Request, readings: Iterable[Reading], found: tuple[Finding, ...]
) -> ReadinessReport:
    now = workflow.now()
    up, findings = evaluate_first(plan, tuple(readings), now, found)
    results = results_of(plan, up, findings, request.accept)
    return ReadinessReport(
        estate=request.estate,
        source=request.source,
        target=request.target,
        ready=not blocking(findings, request.accept),
        score=score_of(results),
        checks=results,
        findings=findings,
        accepted=request.accept,
        at=now,
        seconds=(now - workflow.info().start_time).total_seconds(),
        plan_hash=plan.hash,
    )


async def _last_report(direction: Direction) -> ReadinessReport | None:
    """Return the last report: a schedule gives its own last one, Temporal all others."""
    if (scheduled := _last_of_schedule(direction)) is not None:
        return scheduled
    config = activity_options.with_summary(activity_options.READ, "read the last report")
    try:
        return await workflow.execute_activity_method(
            TemporalPort.last_readiness, direction, **config
        )
    except ActivityError as error:
        workflow.logger.warning("the last report could not be read: %s", error.cause)
        return None


def _last_of_schedule(direction: Direction) -> ReadinessReport | None:
    last = parse_report(workflow.get_last_completion_result(dict))
    return last if last is not None and last.direction == direction else None
