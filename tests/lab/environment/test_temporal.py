"""The lab's Temporal server keeps its state."""

from pathlib import Path

from temporalio.client import WorkflowExecutionStatus

from lab.environment.temporal import TemporalServer
from lab.layout import Layout


async def test_a_server_that_was_ended_goes_on(tmp_path: Path) -> None:
    """A run that was open is open after a restart, under the same address."""
    server = TemporalServer(Layout(tmp_path, "127.9.7"))
    try:
        client = await server.start()
        await client.start_workflow("Anything", id="anything", task_queue="unused")
        await server.stop()
        address = server.address

        again = await server.start()

        assert server.address == address
        described = await again.get_workflow_handle("anything").describe()
        assert described.status is WorkflowExecutionStatus.RUNNING
    finally:
        await server.stop()
