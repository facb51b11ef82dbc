"""Every fault of Temporal and of earlier runs is reverted."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from lab.campaigns.preflight_faults import earlier_runs, temporal
from lab.campaigns.preflight_faults.actions import InjectionFailed
from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.campaigns.preflight_faults.registry import FaultRegistry
from lab.environment.estate_file import write_estate
from lab.environment.lab import claimed_block
from lab.environment.temporal import TemporalServer
from lab.keys import make_keys
from lab.layout import Layout
from lab.product_driver import Product

FAULTS = [
    fault for fault in (*earlier_runs.FAULTS, *temporal.FAULTS) if fault.name != "workers_differ"
]
"""A server names a worker for more than a minute after its end: `lab readiness` waits for that."""
RUN = "switchover-lab"


@pytest.fixture(scope="module")
async def layout() -> AsyncIterator[Layout]:
    """A lab of which only Temporal, a worker and the estate file are there."""
    with tempfile.TemporaryDirectory(prefix="lab-temporal-") as directory, claimed_block() as block:
        layout = Layout(Path(directory), block)
        for node in layout.nodes:
            node.home.mkdir(parents=True)
        make_keys(layout)
        write_estate(layout)
        server = TemporalServer(layout)
        product = Product(layout, server.address)
        try:
            await server.start()
            await product.start_worker()
            yield layout
        finally:
            await product.stop()
            await server.stop()


async def a_run_is_open(client: Client) -> bool:
    """Whether the estate's lock is taken."""
    try:
        run = await client.get_workflow_handle(RUN).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return run.status is WorkflowExecutionStatus.RUNNING


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_is_reverted(layout: Layout, fault: InjectedFault) -> None:
    """No run is open then, and the estate file is as it was."""
    client, registry = await temporal.temporal(layout), FaultRegistry(layout)
    before = layout.estate_file.read_bytes()
    await registry.inject(fault.name)
    assert registry.injected
    await registry.revert_all()
    assert not registry.injected
    assert not await a_run_is_open(client)
    assert layout.estate_file.read_bytes() == before
    assert [file.name for file in layout.estate_file.parent.iterdir()] == ["lab.yaml"]


async def test_an_open_run_stays(layout: Layout) -> None:
    """A run that holds the estate's lock is not replaced, and not forgotten."""
    client = await temporal.temporal(layout)
    run = await client.start_workflow("Switchover", id=RUN, task_queue="other")
    try:
        with pytest.raises(InjectionFailed, match="open already"):
            await FaultRegistry(layout).inject("switchover_running")
        await FaultRegistry(layout).revert_all()

        assert await a_run_is_open(client)
    finally:
        await run.terminate()


async def test_a_lab_without_temporal_says_so(tmp_path: Path) -> None:
    """As ``lab up`` is one."""
    with pytest.raises(InjectionFailed, match="no Temporal server"):
        await FaultRegistry(Layout(tmp_path, "127.9.7")).inject("workers_differ")


async def test_another_estate_is_no_place(layout: Layout) -> None:
    """The lab knows one."""
    with pytest.raises(InjectionFailed, match="no place lab2"):
        await FaultRegistry(layout).inject("workers_differ", "lab2")
