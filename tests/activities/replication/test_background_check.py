"""A comparison may take longer than an attempt, and is not believed for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from activities.replication import background_check as comparisons
from activities.replication.activities import ReplicationLinks
from activities.replication.conflicts import Conflicts
from activities.transport.secrets import Secrets
from tests.support.postgres_pair import LINKS, PASSWORD, Pair, linked, replicating_pair
from tests.support.ssh_machines import Attempt
from workflows.errors import NotReady, NotYet
from workflows.model.actions import ResumeReplication
from workflows.model.results import Report
from workflows.ports.replication import ReplicationInput

THERE, BACK = LINKS
ERRAND: ReplicationInput[Any] = linked(ResumeReplication(link=THERE.name), THERE)


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Pair]:
    """The two databases."""
    async with replicating_pair() as pair:
        yield pair


@pytest.fixture
async def links(pair: Pair) -> ReplicationLinks:
    """The hands, with both directions suspended, and something to deliver by each."""
    await pair.reset()
    await pair.execute("one", "INSERT INTO account VALUES ('of one')")
    await pair.execute("two", "INSERT INTO account VALUES ('of two')")
    return ReplicationLinks(Secrets({"DATABASE": PASSWORD}))


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Conflicts]:
    """Every comparison from now on, each of which takes a second longer than its reading."""
    begun: list[Conflicts] = []
    compare = Conflicts.require_none

    async def slowly(self: Conflicts) -> None:
        begun.append(self)
        await asyncio.sleep(1)
        await compare(self)

    monkeypatch.setattr(Conflicts, "require_none", slowly)
    return begun


async def attempts(links: ReplicationLinks) -> tuple[Report, int]:
    """Resume by short attempts, as the engine makes them; return how often it was too early."""
    early = 0
    while True:
        try:
            attempt = Attempt(limit=timedelta(seconds=1.8))
            return await attempt.run(links.resume_replication, ERRAND), early
        except NotYet as not_yet:
            assert "still being compared; nothing was sent" in str(not_yet)  # noqa: PT017 - counted
            early += 1
            await asyncio.sleep(0.1)


async def test_one_comparison_serves_many_attempts(
    links: ReplicationLinks, begun: list[Conflicts]
) -> None:
    """It goes on between them, and the attempt that finds it ended acts."""
    report, early = await attempts(links)
    assert (report.outcome, len(begun)) == ("changed", 1)
    assert early > 1


async def test_a_refusal_is_told_once_and_then_looked_for_anew(
    links: ReplicationLinks, pair: Pair, begun: list[Conflicts]
) -> None:
    """Whoever mended it does not read the old answer."""
    await pair.execute("one", "INSERT INTO account VALUES ('both')")
    await pair.execute("two", "INSERT INTO account VALUES ('both')")
    with pytest.raises(NotReady, match="name=both"):
        await attempts(links)
    await pair.execute("two", "DELETE FROM account WHERE name = 'both'")
    await pair.discard(BACK)
    assert (await attempts(links))[0].outcome == "changed"
    assert len(begun) == 2


async def test_an_old_result_is_not_believed(
    links: ReplicationLinks,
    pair: Pair,
    begun: list[Conflicts],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that was paused between two attempts compares again: people went on writing."""
    monkeypatch.setattr(comparisons, "FRESH", timedelta(seconds=0.2))
    with pytest.raises(NotYet):
        await Attempt(limit=timedelta(seconds=1.8)).run(links.resume_replication, ERRAND)
    await asyncio.sleep(2)
    await pair.execute("one", "INSERT INTO account VALUES ('both')")
    await pair.execute("two", "INSERT INTO account VALUES ('both')")
    with pytest.raises(NotReady, match="name=both"):
        await attempts(links)
    assert len(begun) == 2


async def test_a_comparison_that_nobody_comes_back_for_ends_quietly(
    links: ReplicationLinks, pair: Pair, begun: list[Conflicts], caplog: pytest.LogCaptureFixture
) -> None:
    """Its refusal is no error of the worker's."""
    await pair.execute("one", "INSERT INTO account VALUES ('both')")
    await pair.execute("two", "INSERT INTO account VALUES ('both')")
    with pytest.raises(NotYet):
        await Attempt(limit=timedelta(seconds=1.8)).run(links.resume_replication, ERRAND)
    await asyncio.sleep(2)
    assert caplog.records == []
