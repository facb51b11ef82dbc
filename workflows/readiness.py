"""The Readiness workflow: the checks of stage 0 on their own, on demand or by a schedule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import activity_options
from workflows.errors import SwitchoverError
from workflows.execution.dispatch import Dispatcher
from workflows.execution.fetch_plan import make_plan
from workflows.execution.observe import observe
from workflows.model.findings import Finding
from workflows.model.observations import Reading, TemporalReading
from workflows.model.request import Request, parse_request
from workflows.model.stages import StageName
from workflows.planning.plan import Plan
from workflows.ports.temporal import TemporalPort
from workflows.preflight.evaluate import blocking, first_look
from workflows.preflight.report import (
    Direction,
    ReadinessReport,
    checked,
    compared,
    remembered,
    scored,
)
from workflows.search_attributes import ESTATE
from workflows.views.readiness_markdown import verdict_details, waiting_details


@workflow.defn(name="Readiness", failure_exception_types=[SwitchoverError])
class Readiness:
    """Says whether a switchover could begin now, and changes nothing."""

    @workflow.run
    async def run(self, *given: Any) -> ReadinessReport:  # noqa: ANN401 - whatever was sent
        """Check what the same JSON object would switch over (see ``workflows.request``)."""
        request = parse_request(given)
        plan = await make_plan(request)
        workflow.upsert_search_attributes([ESTATE.value_set(request.estate)])
        workflow.set_current_details(waiting_details(plan))
        dispatcher = Dispatcher(plan, workflow.info().first_execution_run_id)
        readings, found = await _look(plan, dispatcher)
        verdict = _verdict(plan, request, readings, found)
        last = await _last(verdict.direction)
        verdict = verdict.model_copy(update={"changed": compared(verdict.findings, last)})
        workflow.set_current_details(verdict_details(verdict))
        return verdict


async def _look(
    plan: Plan, dispatcher: Dispatcher
) -> tuple[tuple[Reading, ...], tuple[Finding, ...]]:
    """Bring every reading; nobody is logged in to a node that a switchover may be draining."""
    first, *rest = plan.stage(StageName.CHECK_PREREQUISITES).waves
    readings, found = await observe(dispatcher, (first,))
    if any(isinstance(r, TemporalReading) and r.open_run is not None for r in readings):
        return readings, found
    more, also = await observe(dispatcher, rest)
    return (*readings, *more), (*found, *also)


def _verdict(
    plan: Plan, request: Request, readings: Iterable[Reading], found: tuple[Finding, ...]
) -> ReadinessReport:
    """Judge as stage 0 does, also an estate that an interrupted switchover has left."""
    now = workflow.now()
    living, findings = first_look(plan, tuple(readings), now, found)
    checks = checked(plan, living, findings, request.accept)
    return ReadinessReport(
        estate=request.estate,
        source=request.source,
        target=request.target,
        ready=not blocking(findings, request.accept),
        score=scored(checks),
        checks=checks,
        findings=findings,
        accepted=request.accept,
        at=now,
        seconds=(now - workflow.info().start_time).total_seconds(),
        plan_hash=plan.hash,
    )


async def _last(direction: Direction) -> ReadinessReport | None:
    """Return what came out last time: a schedule knows its own last run, Temporal all others."""
    if (scheduled := _of_schedule(direction)) is not None:
        return scheduled
    config = activity_options.with_summary(activity_options.READ, "read the last readiness report")
    try:
        return await workflow.execute_activity_method(
            TemporalPort.last_readiness, direction, **config
        )
    except ActivityError as error:
        workflow.logger.warning("nobody knows what came out last time: %s", error.cause)
        return None


def _of_schedule(direction: Direction) -> ReadinessReport | None:
    last = remembered(workflow.get_last_completion_result(dict))
    return last if last is not None and last.direction == direction else None
