"""A console, and a worker with fake activities, on a real Temporal server."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from tests.support import estates
from tests.support.console import Operator
from tests.support.fake_activities import FakeActivities
from tests.support.seal_keys import KEYS
from worker.worker import build_worker


@pytest.fixture
def operator(temporal: Client) -> Operator:
    """An operator at the console of the real server."""
    address: str = temporal.service_client.config.target_host
    return Operator(address)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """An estate of its own for every test: one run per estate is the rule."""
    function: str = request.node.originalname
    return function.removeprefix("test_")[:40].rstrip("_")


@pytest.fixture
def fakes(name: str) -> FakeActivities:
    """The fake activities."""
    return FakeActivities(estates.estate(name=name))


@pytest.fixture
async def worker(temporal: Client, fakes: FakeActivities) -> AsyncIterator[Worker]:
    """A worker on the queue that the console uses."""
    async with build_worker(temporal, fakes.activities, KEYS) as worker:
        yield worker
