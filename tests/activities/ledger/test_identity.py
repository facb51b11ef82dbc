"""A run finds the claims of its switchover, whatever its run id, and no others."""

from pathlib import Path
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client

from activities.ledger.ledger import Ledger
from activities.nodes.operating_systems import open_ledger
from activities.transport.ssh import Shell
from tests.support import estates
from tests.support.estate_model import World
from tests.support.fake_activities import FakeActivities
from tests.support.ledger_tasks import task, writing
from tests.support.run import Run, at_work
from workflows.model import actions
from workflows.model import results as r
from workflows.model.estate import Estate, Node
from workflows.ports.inputs import NodeInput


class ActivitiesWithLedger(FakeActivities):
    """Stops Monitors through a real ledger; the model does everything else."""

    def __init__(self, estate: Estate, ledger: Ledger, node: Node) -> None:
        super().__init__(estate)
        self._ledger = ledger
        self._node = node

    @activity.defn
    async def stop_monitor(self, given: NodeInput[actions.StopMonitor]) -> r.Report:
        """Leave a line for each execution."""
        ran = Path(self._node.ledger).with_name("ran")
        await self._ledger.run_once(self._node, task(writing(ran), operation=given.operation.id))
        return await self._execute(given)


@pytest.fixture
def run(temporal: Client, shell: Shell, node: Node) -> Run:
    """A run of a small estate that stops Monitors through a ledger."""
    run = Run(temporal, estates.estate(servers=1, edges=1, name=f"lab-{uuid4().hex[:8]}"))
    run.fakes = ActivitiesWithLedger(run.fakes.estate, open_ledger(shell), node)
    return run


def back_at_the_beginning(run: Run) -> None:
    """Let the model be as it was before the run; the ledger stays as it is."""
    run.fakes.world = World(run.fakes.estate, "cluster1", "cluster2")


def executions(node: Node) -> int:
    """How often a Monitor was stopped: each of the estate's two once a switchover."""
    return Path(node.ledger).with_name("ran").read_text().count("ran")


async def test_a_reset_run_finds_the_claims_of_its_switchover(run: Run, node: Node) -> None:
    """A reset has another run id and the same identity: nothing is done a second time."""
    async with at_work(run):
        handle = await run.start()
        await run.outcome()
        assert executions(node) == 2
        back_at_the_beginning(run)
        await run.client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=run.client.namespace,
                workflow_execution=WorkflowExecution(
                    workflow_id=handle.id, run_id=handle.first_execution_run_id or ""
                ),
                workflow_task_finish_event_id=4,
                request_id=uuid4().hex,
            )
        )
        again = run.client.get_workflow_handle(handle.id)
        await again.result()
    assert (await again.describe()).run_id != handle.first_execution_run_id
    assert set(run.fakes.asked.values()) == {2}
    assert executions(node) == 2


async def test_a_later_switchover_does_not_find_them(run: Run, node: Node) -> None:
    """The same actions of the next switchover, under the same workflow id, are done again."""
    async with at_work(run):
        await run.start()
        await run.outcome()
        back_at_the_beginning(run)
        await run.start()
        await run.outcome()
    assert executions(node) == 4
