"""Two real databases for the tests of a module."""

from collections.abc import AsyncIterator

import pytest

from tests.support.postgres_pair import LINKS, Pair, replicating_pair


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Pair]:
    """One server with two databases that replicate both ways."""
    async with replicating_pair() as pair:
        yield pair


@pytest.fixture
async def suspended(pair: Pair) -> None:
    """Both directions are suspended, with account p1 on both sides."""
    await pair.reset()
    for side in ("one", "two"):
        await pair.execute(side, "INSERT INTO account VALUES ('p1', 'old')")
    for link in LINKS:
        await pair.discard(link)
