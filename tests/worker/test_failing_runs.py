"""A run whose workflow task fails is seen by those who operate it, and its worker can leave."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from temporalio.client import Client

from tests.activities.test_webhook import SECRET, Receiver, receiving
from tests.conftest import dev_server, register_search_attributes
from tests.support import estates
from tests.support.console import Operator
from tests.support.worker_process import WorkerProcess, worker_process
from workflows.model.task_queues import TASK_QUEUE

HOOK = {"url": "env:SWITCHOVER_HOOK", "secret": "env:SWITCHOVER_HOOK_SECRET"}
START = ("start", "lab", "--from", "cluster1", "--to", "cluster2")
LEAVES_WITHIN = 10.0


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A Temporal server of one's own: the worker looks at all open runs."""
    async with await dev_server() as server:
        await register_search_attributes(server.client)
        yield server.client


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver of notices."""
    async with receiving() as receiver:
        yield receiver


@asynccontextmanager
async def buggy(
    bug: str, address: str, receiver: Receiver, directory: Path
) -> AsyncIterator[WorkerProcess]:
    """Run a worker with a bug, for an estate with a webhook."""
    (directory / "lab.yaml").write_text(yaml.safe_dump({**estates.written(), "webhook": HOOK}))
    environment = {
        "TEMPORAL_ADDRESS": address,
        "SWITCHOVER_HOOK": receiver.url,
        "SWITCHOVER_HOOK_SECRET": SECRET,
    }
    arguments = (bug, "--estates", str(directory), "--records", str(directory / "records"))
    module = "tests.support.buggy_worker"
    async with worker_process(*arguments, module=module, **environment) as worker:
        await worker.says("ready: ")
        yield worker


@pytest.mark.parametrize(
    ("bug", "failure"), [("raises", "a bug of ours"), ("hangs", "Potential deadlock detected")]
)
async def test_a_run_that_cannot_continue_is_seen(
    bug: str, failure: str, client: Client, receiver: Receiver, tmp_path: Path
) -> None:
    """Log, console and webhook say why; SIGTERM ends the worker all the same."""
    address = client.service_client.config.target_host
    async with buggy(bug, address, receiver, tmp_path) as worker:
        operator = Operator(address)
        await operator.types(*START)
        await worker.says("the run cannot continue: ")
        await receiver.taken.wait()
        said = await operator.types("status", "lab")
        assert (said.code, "cannot continue the run: " in said.message) == (1, True), said
        assert failure in said.message
        began = time.monotonic()
        assert await worker.stops() == 0
        assert time.monotonic() - began < LEAVES_WITHIN
    [notice] = [json.loads(body) for body in receiver.bodies]
    assert (notice["kind"], notice["estate"], notice["target"]) == ("failing", "lab", "cluster2")
    assert failure in notice["message"]
    assert receiver.is_genuine(0)


async def test_a_freeze_that_cannot_continue_is_seen(
    client: Client, receiver: Receiver, tmp_path: Path
) -> None:
    """Or no operator would know that the configuration is not watched."""
    address = client.service_client.config.target_host
    async with buggy("raises", address, receiver, tmp_path) as worker:
        request = {"estate": "lab", "source": "cluster1", "target": "cluster2"}
        await client.start_workflow("Freeze", request, id="freeze-lab", task_queue=TASK_QUEUE)
        await worker.says("the Freeze cannot continue: ")
        await receiver.taken.wait()
    [notice] = [json.loads(body) for body in receiver.bodies]
    assert (notice["kind"], notice["workflow_id"]) == ("failing", "freeze-lab")
    assert "nothing watches the configuration" in notice["message"]
