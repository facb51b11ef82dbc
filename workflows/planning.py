"""How a workflow comes by its plan: once, from the worker that reads the estate file."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows import policies
from workflows.contract import Planning
from workflows.errors import BadInput
from workflows.plan import Plan
from workflows.request import Request


async def make_plan(request: Request) -> Plan:
    """Have a worker read the estate file and plan; BadInput where either is wrong."""
    config = policies.saying(policies.PLAN, f"plan for {request.estate}")
    try:
        return await workflow.execute_activity_method(Planning.make_plan, request, **config)
    except ActivityError as error:
        if isinstance(error.cause, ApplicationError):
            raise BadInput(error.cause.message) from error
        raise
