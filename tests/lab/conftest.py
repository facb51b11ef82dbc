"""The shared lab for tests of the lab, and the records for tests of the checker."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lab.checker.invariants import Roles
from lab.environment.estate_file import write_estate
from lab.environment.lab import Lab
from lab.keys import make_keys
from lab.layout import Layout


@pytest.fixture(scope="package")
async def shared_lab() -> AsyncIterator[Lab]:
    """A complete lab, in the state in which the last test ended."""
    with tempfile.TemporaryDirectory(prefix="lab-whole-") as directory:
        async with Lab.open(Path(directory)) as lab:
            yield lab


@pytest.fixture
async def whole_lab(shared_lab: Lab) -> Lab:
    """A complete lab in its baseline."""
    if await shared_lab.at_baseline():
        await shared_lab.reset()
    return shared_lab


@pytest.fixture(scope="session")
def roles() -> Iterator[Roles]:
    """A lab's estate on paper, switched from cluster1 to cluster2."""
    with tempfile.TemporaryDirectory(prefix="lab-paper-") as directory:
        layout = Layout(Path(directory), "127.9.9")
        make_keys(layout)
        yield Roles(write_estate(layout), "cluster1", "cluster2")
