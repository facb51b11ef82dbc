"""What Temporal itself is asked: other runs, workers, search attributes, earlier verdicts."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities import temporal as orchestration
from activities.temporal import TemporalReader
from tests.conftest import dev_server
from tests.workflows.preflight.test_report import clean, verdict
from workflows.model.actions import ObserveTemporal
from workflows.model.estate import Timing
from workflows.model.observations import TemporalReading
from workflows.model.results import Operation
from workflows.ports.inputs import ActionInput
from workflows.preflight.report import Direction, ReadinessReport
from workflows.search_attributes import ESTATE, SEARCH_ATTRIBUTES


@workflow.defn(name="Switchover", sandboxed=False)
class Aborted:
    """A run that ends as a test says, or never."""

    @workflow.run
    async def run(self, result: dict[str, Any] | None) -> dict[str, Any]:
        """Return what was given."""
        await workflow.wait_condition(lambda: result is not None)
        assert result is not None
        return result


@workflow.defn(name="Readiness", sandboxed=False)
class Judged:
    """A verdict that is given."""

    @workflow.run
    async def run(self, estate: str, result: dict[str, Any]) -> dict[str, Any]:
        """Return it, under its estate's name."""
        workflow.upsert_search_attributes([ESTATE.value_set(estate)])
        return result


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """An estate of its own for every test, and a task queue."""
    function: str = request.node.originalname
    return function.removeprefix("test_")[:40].rstrip("_")


def worker(client: Client, queue: str, **options: Any) -> Worker:  # noqa: ANN401
    """A worker for these runs."""
    return Worker(client, task_queue=queue, workflows=[Aborted, Judged], **options)


async def seen(
    client: Client, estate: str, identity: str = "ours", own: tuple[str, ...] = ()
) -> TemporalReading:
    """Observe Temporal once."""
    given = ActionInput[ObserveTemporal](
        operation=Operation(identity=identity, stage="check_prerequisites", action="observe"),
        action=ObserveTemporal(estate=estate, task_queues=own),
        timing=Timing(),
    )
    reader = TemporalReader(client, task_queue=estate)
    reading: TemporalReading = await ActivityEnvironment().run(reader.observe_temporal, given)
    return reading


async def test_nothing_is_known_of_a_new_estate(temporal: Client, name: str) -> None:
    """Which is no finding."""
    assert await seen(temporal, name) == TemporalReading(place=name)


async def test_a_run_that_is_open_is_seen_by_all_but_itself(temporal: Client, name: str) -> None:
    """The run that asks does not count."""
    handle = await temporal.start_workflow(
        "Switchover", None, id=f"switchover-{name}", task_queue=name
    )
    assert (await seen(temporal, name)).open_run == handle.result_run_id
    assert (await seen(temporal, name, handle.result_run_id or "")).open_run is None
    await handle.terminate()
    assert (await seen(temporal, name)).open_run is None


async def test_only_what_moved_traffic_was_a_switchover(temporal: Client, name: str) -> None:
    """A rolled-back or aborted run does not count; the newest other one is reported."""
    at: list[datetime | None] = []
    async with worker(temporal, name):
        for outcome in ("completed", "completed_with_exceptions", "rolled_back", "aborted"):
            handle = await temporal.start_workflow(
                "Switchover", {"outcome": outcome}, id=f"switchover-{name}", task_queue=name
            )
            await handle.result()
            at.append((await handle.describe()).close_time)
    async with asyncio.timeout(10):
        while (await seen(temporal, name)).completed != at[1]:  # noqa: ASYNC110 - it is listed late
            await asyncio.sleep(0.05)


async def test_search_attributes_that_are_missing_are_named() -> None:
    """A server without our search attributes."""
    async with await dev_server() as fresh:
        reading = await seen(fresh.client, "lab")
        assert reading.missing_attributes == SEARCH_ATTRIBUTES
        assert reading.findings == ()
        verdicts = TemporalReader(fresh.client)
        asked = Direction(estate="lab", source="a", target="b")
        assert await ActivityEnvironment().run(verdicts.last_readiness, asked) is None


async def test_every_worker_that_is_alive_is_named_with_its_build(
    temporal: Client, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server still lists one that stopped, which no longer counts after some silence."""
    address = temporal.service_client.config.target_host
    async with AsyncExitStack() as stack:
        for who, build in (("1@a", "0.1.0-aaa"), ("2@b", "0.1.0-bbb")):
            client = await Client.connect(address, identity=who)
            await stack.enter_async_context(worker(client, name, build_id=build))
        builds: dict[str, str] = {}
        async with asyncio.timeout(10):
            while len(builds) < 2:
                builds = (await seen(temporal, name)).builds
        assert builds == {"1@a": "0.1.0-aaa", "2@b": "0.1.0-bbb"}
    assert (await seen(temporal, name)).builds == builds
    monkeypatch.setattr(orchestration, "POLLER_MAX_AGE", timedelta())
    assert (await seen(temporal, name)).builds == {}


@activity.defn(name="stop_monitor")
async def stopped() -> None:
    """What a worker of a cluster's own queue has."""


async def test_who_polls_a_cluster_s_own_queue_is_named_with_its_build(
    temporal: Client, name: str
) -> None:
    """For activities: a worker that only runs workflows there does nothing on a node."""
    address, near, other = temporal.service_client.config.target_host, f"{name}-1", f"{name}-2"
    client = await Client.connect(address, identity="1@near")
    own: dict[str, dict[str, str]] = {}
    async with (
        Worker(client, task_queue=near, activities=[stopped], build_id="0.1.0-aaa-key"),
        worker(temporal, other),
        asyncio.timeout(10),
    ):
        while not own.get(near):
            own = (await seen(temporal, name, own=(near, other))).own_queues
    assert own == {near: {"1@near": "0.1.0-aaa-key"}, other: {}}


async def test_a_server_that_does_not_answer_is_one_finding(name: str) -> None:
    """However much was asked of it."""
    async with await dev_server() as gone:
        client = gone.client
    reading = await seen(client, name)
    assert [(f.name, f.place) for f in reading.findings] == [("temporal_unreadable", name)]


async def test_the_last_verdict_of_a_direction_is_found(temporal: Client, name: str) -> None:
    """Not the one of the way back, and none that cannot be read any more."""
    ours = verdict(clean(), estate=name, at=datetime(2026, 1, 2, tzinfo=UTC))
    back = ours.model_copy(update={"source": "cluster2", "target": "cluster1"})
    given = [ours.model_dump(mode="json"), back.model_dump(mode="json"), {"of": "old"}]
    async with worker(temporal, name):
        for result in given:
            await temporal.execute_workflow(
                "Readiness", args=[name, result], id=f"readiness-{name}", task_queue=name
            )
    found: ReadinessReport | None = None
    async with asyncio.timeout(10):
        while found is None:
            asked = ours.direction
            reader = TemporalReader(temporal)
            found = await ActivityEnvironment().run(reader.last_readiness, asked)
    assert found == ours
