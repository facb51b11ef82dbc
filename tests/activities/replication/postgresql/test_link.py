"""One link between two real databases: its statements, and what PostgreSQL answers."""

from typing import LiteralString

import psycopg
import pytest

from activities.replication.activities import ReplicationLinks
from activities.transport.ssh import Shell
from lab.layout import DATABASE_PASSWORD
from tests.support.postgres_pair import SECRETS, THERE, Pair, input_for, postgres_link
from tests.support.ssh_machines import Attempt
from workflows.errors import AccessRefused, NotReady, OutcomeUnknown, Unreachable
from workflows.model.actions import SuspendReplication

LINKS = ReplicationLinks(SECRETS, Shell(SECRETS))
SUSPEND = SuspendReplication(link=THERE.name)
COUNT: LiteralString = "SELECT count(*) FROM account"


@pytest.fixture(autouse=True)
async def running(pair: Pair) -> None:
    """Both directions run."""
    await pair.run()


async def test_nothing_is_missing_at_the_subscriber(pair: Pair) -> None:
    """What was written before the action has arrived when it ends."""
    before = await pair.value("two", COUNT)
    await pair.execute("one", "INSERT INTO account SELECT 'm' || generate_series(1, 20000)")
    await Attempt().run(LINKS.suspend_replication, input_for(SUSPEND))
    assert await pair.value("two", COUNT) == before + 20000


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(pair: Pair) -> None:
    """It has no effect later, when the worker no longer expects it."""
    link = postgres_link()
    async with await psycopg.AsyncConnection.connect(pair.server.dsn("two")) as blocking:
        await blocking.execute("ALTER SUBSCRIPTION one_to_two SET (disable_on_error = true)")
        with pytest.raises(OutcomeUnknown, match="took too long"):
            await link.alter(link.altering("DISABLE"), within=0.3)
        await blocking.rollback()
    assert (await link.subscription()).enabled


async def test_a_subscription_that_is_not_there_is_named() -> None:
    """The estate and the database disagree; nothing is guessed."""
    other = THERE.model_copy(update={"subscription": "other"})
    given = input_for(SUSPEND, other, other)
    with pytest.raises(NotReady, match="database-two has no subscription other"):
        await Attempt().run(LINKS.suspend_replication, given)


async def test_a_slot_that_is_not_there_is_no_lag_of_zero() -> None:
    """Unknown is not none; so is the WAL that it would retain."""
    with pytest.raises(OutcomeUnknown, match="has no slot nowhere"):
        await postgres_link().lag("nowhere")
    with pytest.raises(OutcomeUnknown, match="has no slot nowhere"):
        await postgres_link().wal("nowhere")


async def test_a_refused_login_and_a_silent_server_differ() -> None:
    """An operator has to fix one, the other is tried again; neither shows the password."""
    with pytest.raises(AccessRefused, match="password authentication failed") as refusal:
        await postgres_link(password="env:WRONG").subscription()
    assert "wrong" not in str(refusal.value)
    with pytest.raises(Unreachable, match="database-two"):
        await postgres_link(port=1).subscription()


async def test_a_right_that_is_missing_is_named(pair: Pair) -> None:
    """Altering a subscription takes its owner."""
    await pair.execute("two", f"CREATE ROLE altering LOGIN PASSWORD '{DATABASE_PASSWORD}'")
    link = postgres_link(user="altering")
    with pytest.raises(AccessRefused, match="must be owner of subscription one_to_two"):
        await link.alter(link.altering("DISABLE"), within=5)
