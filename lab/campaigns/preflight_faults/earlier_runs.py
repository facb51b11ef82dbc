"""Faults of the earlier runs of an estate."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import yaml
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from lab.atomic import replace_file
from lab.campaigns.preflight_faults.actions import InjectionFailed, until
from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.campaigns.preflight_faults.temporal import temporal
from lab.environment.estate_file import TIMING
from lab.layout import ESTATE, Layout
from lab.product_driver import WORKFLOW

QUEUE = "injected"
"""The task queue of injected runs: no worker of the product polls it."""
DAY = 86400


@workflow.defn(name="Switchover")
class CompletedSwitchover:
    """A run with the outcome of a completed switchover."""

    @workflow.run
    async def run(self) -> dict[str, str]:
        """Complete."""
        return {"outcome": "completed"}


@contextmanager
def edited_estate(layout: Layout) -> Iterator[dict[str, Any]]:
    """Change keys of the estate file; the others stay as they are."""
    estate = yaml.safe_load(layout.estate_file.read_text(encoding="utf-8"))
    yield estate
    text = yaml.safe_dump(estate, sort_keys=False, width=100)
    replace_file(layout.estate_file, text)


async def runs(client: Client) -> dict[str, WorkflowExecutionStatus | None]:
    """Return the state of every injected run that Temporal lists."""
    query = f"WorkflowId = '{WORKFLOW}' AND TaskQueue = '{QUEUE}'"
    return {run.run_id: run.status async for run in client.list_workflows(query)}


async def _open(layout: Layout, _: str) -> None:
    client = await temporal(layout)
    run = await _begin(client)
    await until(partial(_lists, client, run, WorkflowExecutionStatus.RUNNING), "a run is open")


async def _complete(layout: Layout, _: str) -> None:
    client = await temporal(layout)
    unsandboxed = UnsandboxedWorkflowRunner()
    async with Worker(
        client, task_queue=QUEUE, workflows=[CompletedSwitchover], workflow_runner=unsandboxed
    ):
        run = await _begin(client)
        await client.get_workflow_handle(WORKFLOW, run_id=run).result()
    lists = partial(_lists, client, run, WorkflowExecutionStatus.COMPLETED)
    await until(lists, "a run is completed")
    _set_cool_down(layout, DAY)


async def _end_cool_down(layout: Layout, place: str) -> None:
    _set_cool_down(layout, TIMING["cool_down"])
    await _delete_runs(layout, place)


async def _delete_runs(layout: Layout, _: str) -> None:
    """Terminate open runs and delete all; the server needs half a minute for that."""
    client = await temporal(layout)
    for run_id, status in (await runs(client)).items():
        if status is WorkflowExecutionStatus.RUNNING:
            await client.get_workflow_handle(WORKFLOW, run_id=run_id).terminate()
        run = WorkflowExecution(workflow_id=WORKFLOW, run_id=run_id)
        await client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=run)
        )
    await until(partial(_has_none_open, client), "no injected run is open")


async def _begin(client: Client) -> str:
    try:
        run = await client.start_workflow("Switchover", id=WORKFLOW, task_queue=QUEUE)
    except WorkflowAlreadyStartedError as refusal:
        raise InjectionFailed(f"a run of {WORKFLOW} is open already") from refusal
    assert run.result_run_id
    return run.result_run_id


def _set_cool_down(layout: Layout, seconds: float) -> None:
    with edited_estate(layout) as estate:
        estate["timing"]["cool_down"] = seconds


async def _lists(client: Client, run: str, status: WorkflowExecutionStatus) -> bool:
    return (await runs(client)).get(run) is status


async def _has_none_open(client: Client) -> bool:
    return WorkflowExecutionStatus.RUNNING not in (await runs(client)).values()


FAULTS = (
    InjectedFault(
        "switchover_running", ESTATE, "A run of another switchover is open.", _open, _delete_runs
    ),
    InjectedFault(
        "cooling_down",
        ESTATE,
        "A switchover has just completed, and the estate file demands a cool-down of a day.",
        _complete,
        _end_cool_down,
    ),
)
