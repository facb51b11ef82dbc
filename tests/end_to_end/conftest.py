"""One lab and one Temporal server for all end-to-end tests."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from lab.environment.lab import Lab
from tests.support.directories import fresh_directory
from tests.support.whole_lab import House


@pytest.fixture(scope="package")
async def alive() -> AsyncIterator[Lab]:
    """A lab that runs as long as the end-to-end tests: idle, it would slow down the others."""
    root = fresh_directory()
    async with Lab.open(root) as lab:
        yield lab
    shutil.rmtree(root)


@pytest.fixture
async def house(alive: Lab, temporal: Client, tmp_path: Path) -> AsyncIterator[House]:
    """The lab in its baseline, with what drives a switchover of it."""
    await alive.reset()
    house = House(alive, temporal, tmp_path)
    yield house
    await house.clear()
