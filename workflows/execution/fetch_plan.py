"""Fetch the plan, once, from the worker that reads the estate file."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows import activity_options
from workflows.errors import BadInput
from workflows.model.request import AnyRequest
from workflows.planning.plan import Plan
from workflows.ports.planning import PlanningPort


async def make_plan(request: AnyRequest) -> Plan:
    """Have a worker read the estate file and plan; BadInput where either is wrong."""
    config = activity_options.with_summary(activity_options.PLAN, f"plan for {request.estate}")
    try:
        return await workflow.execute_activity_method(PlanningPort.make_plan, request, **config)
    except ActivityError as error:
        if isinstance(error.cause, ApplicationError):
            raise BadInput(error.cause.message) from error
        raise
