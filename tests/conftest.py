"""A real Temporal server for every test, and how many examples hypothesis tries."""

import os
import random
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from worker.payload_converter import DATA_CONVERTER
from workflows.search_attributes import SEARCH_ATTRIBUTES

# ``pytest --hypothesis-profile prove`` tries ten times as much.
settings.register_profile("prove", max_examples=1000, print_blob=True)


SAMPLE_SEED = "SAMPLE_SEED"
"""The environment variable that repeats a run's samples of the campaigns."""


def pytest_configure() -> None:
    """Draw the seed, before the processes start that share it."""
    os.environ.setdefault(SAMPLE_SEED, str(random.randrange(100_000)))  # noqa: S311 - a sample


def pytest_report_header() -> str:
    """Name the seed."""
    return f"samples: {SAMPLE_SEED}={os.environ[SAMPLE_SEED]} repeats them"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests: several processes share them."""
    items.sort(
        key=lambda item: ("end_to_end" not in item.path.parts, "samples" not in item.path.name)
    )


def temporal_program() -> str:
    """Return the path of the Temporal CLI."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    assert found, "the Temporal CLI is missing; scripts/test installs it"
    return found


async def dev_server(**options: Any) -> WorkflowEnvironment:  # noqa: ANN401 - Temporal's own
    """Start a Temporal server without a Web UI; leaving its context ends it."""
    return await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_program(),
        **{"dev_server_log_level": "error", "ui": False, **options},
    )


async def register_search_attributes(
    client: Client,
    *names: str,
    kind: IndexedValueType.ValueType = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
) -> None:
    """Register search attributes at a server, ours if none are named."""
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace="default", search_attributes=dict.fromkeys(names or SEARCH_ATTRIBUTES, kind)
        )
    )


@pytest.fixture(scope="session", autouse=True)
def seal_keys(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All workers of one server have the same keys; without that, they differ."""
    os.environ["SWITCHOVER_SEAL_KEYS"] = str(tmp_path_factory.mktemp("worker") / "seal-keys")


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[Client]:
    """A client of a real Temporal server with our search attributes."""
    async with await dev_server(data_converter=DATA_CONVERTER) as environment:
        await register_search_attributes(environment.client)
        yield environment.client
