"""Two real databases for the tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from activities.replication.activities import ReplicationLinks
from tests.support.postgres_pair import LINKS, SECRETS, Pair, replicating_pair


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Pair]:
    """One server with two databases that replicate both ways."""
    async with replicating_pair() as pair:
        yield pair


@pytest.fixture
async def links(pair: Pair) -> ReplicationLinks:
    """The activities, with both directions suspended and account p1 on both sides."""
    await pair.reset()
    for side in ("one", "two"):
        await pair.execute(side, "INSERT INTO account VALUES ('p1', 'old')")
    for link in LINKS:
        await pair.discard(link)
    return ReplicationLinks(SECRETS)
