"""Which faults can there be in an estate's earlier runs, and how are they planted?"""

from __future__ import annotations

from functools import partial

from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from lab.campaigns.preflight_faults.actions import InjectionFailed, until
from lab.campaigns.preflight_faults.estate import edited_estate
from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.campaigns.preflight_faults.temporal import temporal
from lab.environment.estate_file import TIMING
from lab.layout import ESTATE, Layout
from lab.product_driver import WORKFLOW

PLANTED = "planted"
"""The task queue of planted runs: no worker of the product asks there."""
A_DAY = 86400


@workflow.defn(name="Switchover")
class CompletedSwitchover:
    """A switchover of which only the outcome is told."""

    @workflow.run
    async def run(self) -> dict[str, str]:
        """Have it behind oneself."""
        return {"outcome": "completed"}


async def runs(client: Client) -> dict[str, WorkflowExecutionStatus | None]:
    """Return the state of every planted run that Temporal lists."""
    query = f"WorkflowId = '{WORKFLOW}' AND TaskQueue = '{PLANTED}'"
    return {run.run_id: run.status async for run in client.list_workflows(query)}


async def _open(layout: Layout, _: str) -> None:
    client = await temporal(layout)
    run = await _begin(client)
    await until(partial(_lists, client, run, WorkflowExecutionStatus.RUNNING), "a run is open")


async def _complete(layout: Layout, _: str) -> None:
    client = await temporal(layout)
    unsandboxed = UnsandboxedWorkflowRunner()
    async with Worker(
        client, task_queue=PLANTED, workflows=[CompletedSwitchover], workflow_runner=unsandboxed
    ):
        run = await _begin(client)
        await client.get_workflow_handle(WORKFLOW, run_id=run).result()
    lists = partial(_lists, client, run, WorkflowExecutionStatus.COMPLETED)
    await until(lists, "a run is completed")
    _rest(layout, A_DAY)


async def _rest_no_more(layout: Layout, place: str) -> None:
    _rest(layout, TIMING["cool_down"])
    await _forget(layout, place)


async def _forget(layout: Layout, _: str) -> None:
    """End what is open; the server deletes it all by itself, half a minute later."""
    client = await temporal(layout)
    for run_id, status in (await runs(client)).items():
        if status is WorkflowExecutionStatus.RUNNING:
            await client.get_workflow_handle(WORKFLOW, run_id=run_id).terminate()
        run = WorkflowExecution(workflow_id=WORKFLOW, run_id=run_id)
        await client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=run)
        )
    await until(partial(_has_none_open, client), "no planted run is open")


async def _begin(client: Client) -> str:
    try:
        run = await client.start_workflow("Switchover", id=WORKFLOW, task_queue=PLANTED)
    except WorkflowAlreadyStartedError as refusal:
        raise InjectionFailed(f"a run of {WORKFLOW} is open already") from refusal
    assert run.result_run_id
    return run.result_run_id


def _rest(layout: Layout, seconds: float) -> None:
    with edited_estate(layout) as estate:
        estate["timing"]["cool_down"] = seconds


async def _lists(client: Client, run: str, status: WorkflowExecutionStatus) -> bool:
    return (await runs(client)).get(run) is status


async def _has_none_open(client: Client) -> bool:
    return WorkflowExecutionStatus.RUNNING not in (await runs(client)).values()


FAULTS = (
    InjectedFault(
        "switchover_running",
        ESTATE,
        "A run of another switchover is open.",
        _open,
        _forget,
    ),
    InjectedFault(
        "cooling_down",
        ESTATE,
        "A switchover has just completed, and the estate file wants a day of rest after one.",
        _complete,
        _rest_no_more,
    ),
)
