"""Before version 16 one direction replicates at a time: on two real databases of version 15."""

import asyncio
from collections.abc import AsyncIterator
from typing import LiteralString

import pytest
from psycopg import sql

from activities.replication.activities import ReplicationLinks
from activities.transport.ssh import Shell
from lab.layout import DATABASE_PASSWORD
from tests.activities.replication.postgresql.observing import observed
from tests.support import postgres_pair
from tests.support.postgres_pair import (
    BACK,
    OLD_PROGRAMS,
    SECRETS,
    THERE,
    Pair,
    database,
    input_for,
    postgres_link,
    replicating_pair,
)
from tests.support.ssh_machines import Attempt
from workflows.errors import AccessRefused, NotReady
from workflows.model import actions

pytestmark = pytest.mark.skipif(
    not (OLD_PROGRAMS / "postgres").exists(), reason=f"no PostgreSQL 15 in {OLD_PROGRAMS}"
)
LINKS = ReplicationLinks(SECRETS, Shell(SECRETS))


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Pair]:
    """Two databases; only the link from one to two runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            postgres_pair, "ADDRESS", postgres_pair.ADDRESS.replace("127.9.7", "127.9.15")
        )
        async with replicating_pair(OLD_PROGRAMS) as pair:
            yield pair


async def run(action: actions.SuspendReplication | actions.ResumeReplication) -> str:
    """Make one attempt at an action on the link from one to two."""
    return str((await Attempt().run(getattr(LINKS, action.kind), input_for(action))).outcome)


async def replicates(pair: Pair, name: str) -> None:
    """Write a row on one, and wait until two has it."""
    row = sql.Literal(name)
    await pair.execute("one", sql.SQL("INSERT INTO account VALUES ({})").format(row))
    arrived = sql.SQL("SELECT name FROM account WHERE name = {}").format(row)
    async with asyncio.timeout(20):
        while not await pair.execute("two", arrived):  # noqa: ASYNC110 - a database sends no events
            await asyncio.sleep(0.05)


async def test_nothing_is_found_where_one_direction_runs(pair: Pair) -> None:
    """Each link is read whole; both would send back what they received."""
    await replicates(pair, "first")
    there, back = await observed(THERE), await observed(BACK)
    assert (there.findings, back.findings) == ((), ())
    assert (there.enabled, there.running, back.enabled, back.running) == (True, True, False, False)
    assert there.sends_back is back.sends_back is True


async def test_it_is_suspended_and_resumed(pair: Pair) -> None:
    """What the other side received meanwhile and before is not its own: no row is in both."""
    await replicates(pair, "again")
    assert await run(actions.SuspendReplication(link=THERE.name)) == "changed"
    await pair.execute("one", "UPDATE account SET note = 'later' WHERE name = 'again'")
    await pair.execute("two", "INSERT INTO account VALUES ('of two')")
    assert await run(actions.ResumeReplication(link=THERE.name)) == "changed"
    await pair.settles("two", "SELECT note FROM account WHERE name = 'again'", "later")


async def test_rows_that_both_sides_wrote_are_still_named(pair: Pair) -> None:
    """As long as the other side's slot tells what it wrote; without a slot there is none to ask."""
    await replicates(pair, "both")
    await run(actions.SuspendReplication(link=THERE.name))
    for side in ("one", "two"):
        await pair.execute(side, "UPDATE account SET note = 'mine' WHERE name = 'both'")
    with pytest.raises(NotReady, match=r"both sides wrote the same rows.*name=both"):
        await run(actions.ResumeReplication(link=THERE.name))
    await pair.execute("one", "ALTER SUBSCRIPTION two_to_one SET (slot_name = NONE)")
    try:
        assert (await observed(BACK)).findings == ()
        assert await run(actions.ResumeReplication(link=THERE.name)) == "changed"
    finally:
        await pair.execute("one", "ALTER SUBSCRIPTION two_to_one SET (slot_name = two_to_one)")


async def test_a_publication_that_leaves_rows_out_is_found(pair: Pair) -> None:
    """This version has row filters and column lists already."""
    name: LiteralString = 'PUBLICATION "the ""pub"""'
    tables: LiteralString = "account (name) WHERE (name > 'a'), keyless"
    refresh: LiteralString = (
        "ALTER SUBSCRIPTION one_to_two REFRESH PUBLICATION WITH (copy_data = false)"
    )
    try:
        await pair.execute("one", f"DROP {name}")
        await pair.execute("one", f"CREATE {name} FOR TABLE {tables}")
        await pair.execute("two", refresh)
        found = [finding.name for finding in (await observed()).findings]
        assert found == ["tables_not_published", *["tables_published_in_part"] * 2]
    finally:
        await pair.execute("one", f"DROP {name}")
        await pair.execute("one", f"CREATE {name} FOR ALL TABLES")
        await pair.execute("two", refresh)


async def test_a_right_is_granted_as_it_is_advised(pair: Pair) -> None:
    """A member that does not inherit may not alter a subscription either."""
    await pair.execute(
        "two", f"CREATE ROLE op LOGIN NOINHERIT IN ROLE postgres PASSWORD '{DATABASE_PASSWORD}'"
    )
    link = postgres_link(user="op")
    with pytest.raises(AccessRefused):
        await link.alter(link.altering("ENABLE"), within=5)
    [finding] = (await observed(subscriber=database("two", user="op"))).findings
    assert finding.name == "replication_not_alterable"
    statements: LiteralString = 'GRANT "postgres" TO "op"; ALTER ROLE "op" INHERIT'
    assert finding.advice.endswith(f": {statements}")
    await pair.execute("two", statements)
    assert (await observed(subscriber=database("two", user="op"))).findings == ()
    await link.alter(link.altering("ENABLE"), within=5)
