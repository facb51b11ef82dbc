"""Faults of the Temporal server and its workers."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
    RemoveSearchAttributesRequest,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from lab.campaigns.preflight_faults import second_worker
from lab.campaigns.preflight_faults.actions import InjectionFailed, until
from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.environment.temporal import address_of
from lab.layout import ESTATE, Layout
from lab.product_driver import STAGE

QUEUE = "switchover"
"""The task queue of the product's workers."""
POLLER_AGE = timedelta(seconds=80)
"""A worker polls again every minute; one that has not for longer has ended."""
SEARCH_ATTRIBUTE_TIMEOUT = 60.0
"""Seconds until every part of the server knows a new search attribute."""
POLLER_TIMEOUT = 120.0
"""Seconds until the server forgets a worker that has ended."""
KINDS = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)


def address(layout: Layout) -> str:
    """Return where the lab's own Temporal server is; InjectionFailed if it has none."""
    found = address_of(layout)
    if found is None:
        raise InjectionFailed(
            "this lab has no Temporal server; `python -m lab readiness` starts one"
        )
    return found


async def temporal(layout: Layout) -> Client:
    """Return a client of the lab's own Temporal server; InjectionFailed without one."""
    where = address(layout)
    try:
        return await Client.connect(where)
    except RuntimeError as error:  # what the SDK raises where it cannot connect
        raise InjectionFailed(f"the lab's Temporal server at {where} does not answer") from error


async def attributes(client: Client) -> Sequence[str]:
    """Return the search attributes that were added to Temporal's own."""
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return tuple(answer.custom_attributes)


async def builds(client: Client) -> set[str]:
    """Return the builds of all workers that poll now."""
    since = datetime.now(UTC) - POLLER_AGE
    found = set()
    for kind in KINDS:
        queue = TaskQueue(name=QUEUE)
        answer = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace, task_queue=queue, task_queue_type=kind
            )
        )
        found |= {
            poller.deployment_options.build_id or poller.worker_version_capabilities.build_id
            for poller in answer.pollers
            if poller.last_access_time.ToDatetime(UTC) > since
        }
    return found


async def _remove_attribute(layout: Layout, _: str) -> None:
    client = await temporal(layout)
    if await _knows(client):
        await client.operator_service.remove_search_attributes(
            RemoveSearchAttributesRequest(
                namespace=client.namespace, search_attributes=[STAGE.name]
            )
        )
    await until(
        partial(_lacks, client), f"Temporal does not know {STAGE.name}", SEARCH_ATTRIBUTE_TIMEOUT
    )


async def _add_attribute(layout: Layout, _: str) -> None:
    client = await temporal(layout)
    if await _lacks(client):
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=client.namespace, search_attributes={STAGE.name: keyword}
            )
        )
    await until(partial(_knows, client), f"Temporal knows {STAGE.name}", SEARCH_ATTRIBUTE_TIMEOUT)


async def _start_second_worker(layout: Layout, _: str) -> None:
    client = await temporal(layout)
    before = await builds(client)
    await second_worker.start(layout, address(layout))
    await until(
        lambda: "ready:" in second_worker.log(layout),
        "another worker is ready",
        second_worker.READY_TIMEOUT,
    )
    await until(partial(_shows_another, client, before), "Temporal shows another worker's build")


async def _end_second_worker(layout: Layout, _: str) -> None:
    client = await temporal(layout)
    second_worker.stop(layout)
    await until(lambda: not second_worker.is_running(layout), "the other worker has ended")
    await until(partial(_shows_one, client), "Temporal shows one build only", POLLER_TIMEOUT)


async def _shows_another(client: Client, before: set[str]) -> bool:
    return bool(await builds(client) - before)


async def _shows_one(client: Client) -> bool:
    return len(await builds(client)) <= 1


async def _lacks(client: Client) -> bool:
    return STAGE.name not in await attributes(client)


async def _knows(client: Client) -> bool:
    return STAGE.name in await attributes(client)


FAULTS = (
    InjectedFault(
        "search_attributes_missing",
        ESTATE,
        f"Temporal does not know the search attribute {STAGE.name}.",
        _remove_attribute,
        _add_attribute,
    ),
    InjectedFault(
        "workers_differ",
        ESTATE,
        "A second worker runs, whose code is not the first one's.",
        _start_second_worker,
        _end_second_worker,
    ),
)
