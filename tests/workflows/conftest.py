"""Runs of the workflows, and a server whose clock a test can move forward."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from tests.conftest import register_search_attributes, temporal_program
from tests.support.run import Run, at_work, new_run
from worker.payload_converter import DATA_CONVERTER


@pytest.fixture
async def run(temporal: Client) -> AsyncIterator[Run]:
    """A run that has not started yet, with its worker."""
    run = new_run(temporal)
    async with at_work(run):
        yield run


@pytest.fixture
async def wide_run(temporal: Client) -> AsyncIterator[Run]:
    """A run as :func:`run`, with two Servers and two Edges in each cluster."""
    run = new_run(temporal, 2, 2)
    async with at_work(run):
        yield run


@pytest.fixture
async def noticing(temporal: Client) -> AsyncIterator[Run]:
    """A run as :func:`run`, whose estate has a webhook."""
    run = new_run(temporal, webhook={"url": "env:HOOK", "secret": "env:HOOK_SECRET"})
    async with at_work(run):
        yield run


@pytest.fixture(scope="session")
async def clockwork() -> AsyncIterator[WorkflowEnvironment]:
    """Time passes as ever, until a test moves it."""
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        dev_server_existing_path=temporal_program(),
        dev_server_log_level="error",
        dev_server_extra_args=[
            "--dynamic-config-value",
            "frontend.WorkflowTimeSkippingEnabled=true",
        ],
        data_converter=DATA_CONVERTER,
        ui=False,
    ) as environment:
        await register_search_attributes(environment.client)
        yield environment
