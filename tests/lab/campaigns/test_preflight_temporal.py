"""Every fault of Temporal and of earlier runs can be observed, and is reverted."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
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
from workflows.model.estate import Estate

FAULTS = [
    fault for fault in (*earlier_runs.FAULTS, *temporal.FAULTS) if fault.name != "workers_differ"
]
"""A server names a worker for more than a minute after its end: `lab readiness` waits for that."""
RUN = "switchover-lab"

Observation = Callable[[Layout, Client, str], Awaitable[bool]]


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


async def a_run_is_open(layout: Layout, client: Client, place: str) -> bool:
    """Whether the estate's lock is taken."""
    return await _last(client) is WorkflowExecutionStatus.RUNNING


async def there_was_one_lately(layout: Layout, client: Client, place: str) -> bool:
    """Whether a switchover completed, and the estate wants more rest than there was."""
    if await _last(client) is not WorkflowExecutionStatus.COMPLETED:
        return False
    run = client.get_workflow_handle(RUN)
    done = (await run.describe()).close_time
    rest = Estate.model_validate(_described(layout)).timing.cool_down
    outcome = await run.result()
    assert done is not None
    return outcome["outcome"] == "completed" and datetime.now(UTC) - done < rest


async def an_attribute_is_missing(layout: Layout, client: Client, place: str) -> bool:
    """Whether the server knows one of ours no longer."""
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return not {"SwitchoverEstate", "SwitchoverStage", "SwitchoverState"} <= set(
        answer.custom_attributes
    )


OBSERVED: dict[str, Observation] = {
    "switchover_running": a_run_is_open,
    "cooling_down": there_was_one_lately,
    "search_attributes_missing": an_attribute_is_missing,
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_can_be_observed_until_it_is_reverted(
    layout: Layout, fault: InjectedFault
) -> None:
    """Other clients observe it while it is injected, and no longer when it is reverted."""
    server = await temporal.temporal(layout)
    observe, registry = OBSERVED[fault.name], FaultRegistry(layout)
    before = layout.estate_file.read_bytes()
    assert not await observe(layout, server, fault.place)

    await registry.inject(fault.name)
    try:
        assert await observe(layout, server, fault.place)
    finally:
        await registry.revert_all()

    assert not await observe(layout, server, fault.place)
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

        assert await a_run_is_open(layout, client, "lab")
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


async def _last(client: Client) -> WorkflowExecutionStatus | None:
    try:
        return (await client.get_workflow_handle(RUN).describe()).status
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


def _described(layout: Layout) -> object:
    with earlier_runs.edited_estate(layout) as estate:
        return estate
