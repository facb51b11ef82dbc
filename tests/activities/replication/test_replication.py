"""Replication between two real databases: suspended with nothing left behind, and resumed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from activities.replication.activities import ReplicationLinks
from activities.replication.postgresql import PostgreSql
from lab.environment.postgres import PostgresServer
from lab.layout import DATABASE_PASSWORD
from tests.support.postgres_one_way import (
    LINK,
    RESUME,
    SUSPEND,
    execute,
    input_for,
    link,
    rows,
)
from tests.support.ssh_machines import Attempt
from workflows.errors import AccessRefused, NotReady, NotYet, OutcomeUnknown, Unreachable
from workflows.model.actions import ObserveReplication


async def test_it_is_suspended_once_and_resumed_once(
    links: ReplicationLinks, postgres: PostgresServer
) -> None:
    """Disabled and its worker gone, then enabled and its worker there; twice changes nothing."""
    outcomes = [
        (await Attempt().run(links.suspend_replication, input_for(SUSPEND))).outcome,
        (await Attempt().run(links.suspend_replication, input_for(SUSPEND))).outcome,
    ]
    await execute(postgres, "one", "INSERT INTO Account VALUES (-1)")
    arrived = await rows(postgres)
    reading = await Attempt().run(
        links.observe_replication, input_for(ObserveReplication(link="one-to-two"))
    )
    assert (reading.enabled, reading.running) == (False, False)
    assert reading.lag is not None
    assert reading.lag > 0
    outcomes += [
        (await Attempt().run(links.resume_replication, input_for(RESUME))).outcome,
        (await Attempt().run(links.resume_replication, input_for(RESUME))).outcome,
    ]
    assert outcomes == ["changed", "unchanged", "changed", "unchanged"]
    while await rows(postgres) == arrived:  # noqa: ASYNC110 - a database tells no one
        await asyncio.sleep(0.05)


async def test_nothing_is_left_behind(links: ReplicationLinks, postgres: PostgresServer) -> None:
    """What was written before the order has arrived when it is carried out."""
    before = await rows(postgres)
    await execute(postgres, "one", "INSERT INTO Account SELECT generate_series(1, 20000)")
    await Attempt().run(links.suspend_replication, input_for(SUSPEND))
    assert await rows(postgres) == before + 20000


async def test_a_lag_that_stays_forbids_it(
    links: ReplicationLinks, postgres: PostgresServer
) -> None:
    """A subscriber that cannot apply is not cut off: what it lacks would be missing for good."""
    async with await psycopg.AsyncConnection.connect(postgres.dsn("two")) as blocking:
        await blocking.execute("LOCK TABLE Account IN ACCESS EXCLUSIVE MODE")
        await execute(postgres, "one", "INSERT INTO Account VALUES (-2)")
        with pytest.raises(NotYet, match="bytes behind database-one, expected 0"):
            await Attempt(limit=timedelta(seconds=6)).run(
                links.suspend_replication, input_for(SUSPEND)
            )
        await blocking.rollback()
    assert (await link().subscription()).enabled


async def test_a_frozen_worker_sends_nothing(links: ReplicationLinks) -> None:
    """After the first third of its time an attempt only reads."""
    late = Attempt(limit=timedelta(seconds=30), age=timedelta(seconds=11))
    with pytest.raises(Unreachable, match="nothing was sent"):
        await late.run(links.suspend_replication, input_for(SUSPEND))
    assert (await link().subscription()).enabled


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(
    links: ReplicationLinks, postgres: PostgresServer
) -> None:
    """It has no effect later, when nobody expects it any more."""
    async with await psycopg.AsyncConnection.connect(postgres.dsn("two")) as blocking:
        await blocking.execute("ALTER SUBSCRIPTION sub SET (disable_on_error = true)")
        with pytest.raises(OutcomeUnknown, match="took too long"):
            await link().disable(within=0.3)
        await blocking.rollback()
    assert (await link().subscription()).enabled


async def test_a_subscription_that_is_not_there_is_named(links: ReplicationLinks) -> None:
    """The estate and the database disagree; nothing is guessed."""
    other = LINK.model_copy(update={"subscription": "other"})
    with pytest.raises(NotReady, match="database-two has no subscription other"):
        await Attempt().run(links.suspend_replication, input_for(SUSPEND, other))


async def test_a_slot_that_is_not_there_is_no_lag_of_zero(links: ReplicationLinks) -> None:
    """Unknown is not none."""
    with pytest.raises(OutcomeUnknown, match="has no slot nowhere"):
        await link().lag("nowhere")


async def test_a_refused_login_and_a_silent_server_differ(links: ReplicationLinks) -> None:
    """One is for someone to fix, the other is tried again; neither shows the password."""
    with pytest.raises(AccessRefused, match="password authentication failed") as refusal:
        await link(password="env:WRONG").subscription()
    assert "wrong" not in str(refusal.value)
    with pytest.raises(Unreachable, match="database-two"):
        await link(port=1).subscription()


async def test_a_right_that_is_missing_is_named(
    links: ReplicationLinks, postgres: PostgresServer
) -> None:
    """Altering a subscription takes its owner."""
    await execute(postgres, "two", f"CREATE ROLE reader LOGIN PASSWORD '{DATABASE_PASSWORD}'")
    with pytest.raises(AccessRefused, match="must be owner of subscription sub"):
        await link(user="reader").disable(within=5)


async def test_a_lost_reply_is_resolved_by_reading(
    links: ReplicationLinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement was carried out and its answer lost: what counts is what is seen."""
    disable = PostgreSql.disable

    async def and_lose_the_answer(self: PostgreSql, within: float) -> None:
        await disable(self, within)
        raise OutcomeUnknown("the connection broke")

    monkeypatch.setattr(PostgreSql, "disable", and_lose_the_answer)
    report = await Attempt().run(links.suspend_replication, input_for(SUSPEND))
    assert report.outcome == "changed"


def test_a_driver_is_a_value(postgres: PostgresServer) -> None:
    """It keeps no connection that could be dead when it matters."""
    assert replace(link()) == link()


async def test_the_preview_shows_the_exact_statements(
    links: ReplicationLinks, postgres: PostgresServer
) -> None:
    """The server's own log has them word for word."""
    await execute(postgres, "two", "ALTER ROLE CURRENT_USER SET log_statement = 'ddl'")
    wait, suspended = links.preview(input_for(SUSPEND))
    [resumed] = links.preview(input_for(RESUME))
    await Attempt().run(links.suspend_replication, input_for(SUSPEND))
    await Attempt().run(links.resume_replication, input_for(RESUME))
    await execute(postgres, "two", "ALTER ROLE CURRENT_USER RESET log_statement")
    log = await asyncio.to_thread(postgres.log.read_text)
    sent = [line.partition("statement: ")[2] for line in log.splitlines() if "SUBSCRIPTION" in line]
    assert [suspended, resumed] == [f"database-two: {statement}" for statement in sent[-2:]]
    assert wait == "until database-two has confirmed everything that database-one has written"
