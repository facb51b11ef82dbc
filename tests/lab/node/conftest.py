"""The lab that tests of the simulated machines share."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator

import pytest

from lab.environment.databases import Databases
from lab.environment.machines import Machines, prepare
from lab.layout import Layout
from tests.support.directories import fresh_directory
from tests.support.node_clients import Lab


@pytest.fixture(scope="package")
async def house() -> AsyncIterator[Lab]:
    """Databases and machines of one lab."""
    root = fresh_directory()
    number = os.getpid()
    layout = Layout(root, f"127.{40 + number // 250 % 50}.{number % 250}", edges=1)
    lab = Lab(layout, Databases(layout), Machines(layout))
    prepare(layout)
    await lab.databases.start()
    await asyncio.to_thread(lab.machines.start)
    yield lab
    await asyncio.to_thread(lab.machines.stop)
    await lab.databases.stop()
    shutil.rmtree(root)


@pytest.fixture
async def lab(house: Lab) -> AsyncIterator[Lab]:
    """A lab in its baseline."""
    await house.reset()
    yield house
    await house.leave()
