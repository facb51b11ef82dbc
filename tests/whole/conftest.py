"""One lab and one Temporal server for every test of the whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from lab.house import Lab
from tests.whole.house import House


@pytest.fixture(scope="session")
async def alive(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    """A lab that lives as long as the tests of the whole."""
    root: Path = tmp_path_factory.mktemp("lab")
    for parent in (root, *root.parents[:2]):
        parent.chmod(0o755)  # the databases' user has to pass
    async with Lab.open(root) as lab:
        yield lab


@pytest.fixture
async def house(alive: Lab, temporal: Client, tmp_path: Path) -> AsyncIterator[House]:
    """The lab in its baseline, with what drives a switchover of it."""
    await alive.reset()
    house = House(alive, temporal, tmp_path)
    yield house
    await house.clear()
