"""Replication between two real databases: suspended with nothing left behind, and resumed."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from activities import postgresql
from activities.postgresql import PostgreSql
from activities.replication import ReplicationLinks
from activities.secrets import Secrets
from lab.layout import DATABASE_PASSWORD, DATABASE_PORT
from lab.postgres import SUPERUSER, PostgresServer, binaries
from tests.activities.machines import QUICK, Attempt
from workflows.contract import ReplicationErrand
from workflows.errors import AccessRefused, NotReady, NotYet, OutcomeUnknown, Unreachable
from workflows.estate import Database, Replication, ReplicationLink
from workflows.observations import ObserveReplication
from workflows.orders import ResumeReplication, SuspendReplication
from workflows.reports import Operation

ADDRESS = "127.9.9.1"
SECRETS = Secrets({"DATABASE": DATABASE_PASSWORD, "WRONG": "wrong"})
LINK = ReplicationLink(
    name="one-to-two", source="one", target="two", publication="pub", subscription="sub"
)
SUSPEND, RESUME = SuspendReplication(link="one-to-two"), ResumeReplication(link="one-to-two")


@pytest.fixture(scope="module")
async def postgres() -> AsyncIterator[PostgresServer]:
    """One server with the two databases ``one`` and ``two``, and a subscription between them."""
    home = await asyncio.to_thread(place)
    programs = await asyncio.to_thread(binaries, home)
    server = PostgresServer(ADDRESS, home / "data", home / "log", programs)
    await server.start()
    await execute(server, "postgres", "CREATE DATABASE one")
    await execute(server, "postgres", "CREATE DATABASE two")
    for database in ("one", "two"):
        await execute(server, database, "CREATE TABLE Account (id int PRIMARY KEY)")
    await execute(server, "one", "CREATE PUBLICATION pub FOR TABLE Account")
    await execute(server, "one", "SELECT pg_create_logical_replication_slot('sub', 'pgoutput')")
    connection = psycopg.conninfo.make_conninfo(server.dsn("one"))
    async with await psycopg.AsyncConnection.connect(server.dsn("two"), autocommit=True) as two:
        words = psycopg.sql.SQL(
            "CREATE SUBSCRIPTION sub CONNECTION {} PUBLICATION pub "
            "WITH (create_slot = false, copy_data = false)"
        )
        await two.execute(words.format(psycopg.sql.Literal(connection)))
    yield server
    await server.stop()
    await asyncio.to_thread(shutil.rmtree, home)


def place() -> Path:
    """Make a directory that the server's own user can walk into."""
    home = Path(tempfile.mkdtemp(prefix="switchover-test-"))
    home.chmod(0o755)
    return home


async def execute(server: PostgresServer, database: str, statement: LiteralString) -> None:
    """Run one statement as the superuser."""
    async with await psycopg.AsyncConnection.connect(
        server.dsn(database), autocommit=True
    ) as connection:
        await connection.execute(statement)


async def rows(server: PostgresServer) -> int:
    """Count what has arrived at the subscriber."""
    async with await psycopg.AsyncConnection.connect(server.dsn("two")) as connection:
        found = await (await connection.execute("SELECT count(*) FROM Account")).fetchone()
    return int(found[0]) if found else 0


def database(name: str, **changes: object) -> Database:
    """Return one of the two databases."""
    facts: dict[str, object] = {
        "name": f"database-{name}",
        "address": ADDRESS,
        "port": DATABASE_PORT,
        "database": name,
        "user": SUPERUSER,
        "password": "env:DATABASE",
    }
    return Database.model_validate(facts | changes)


def errand(order: Any, link: ReplicationLink = LINK, **changes: object) -> ReplicationErrand[Any]:  # noqa: ANN401 - any order
    """Return the order for the link, with changed access to the subscriber."""
    return ReplicationErrand(
        operation=Operation(identity="run-1", stage="stage", order=order.key),
        order=order,
        timing=QUICK,
        link=link,
        publisher=database("one"),
        subscriber=database("two", **changes),
        replication=Replication(links=(link,)),
    )


@pytest.fixture
async def links(postgres: PostgresServer) -> ReplicationLinks:
    """The hands, with replication running."""
    links = ReplicationLinks(SECRETS)
    await Attempt().run(links.resume_replication, errand(RESUME))
    return links


async def test_it_is_suspended_once_and_resumed_once(
    links: ReplicationLinks, postgres: PostgresServer
) -> None:
    """Disabled and its worker gone, then enabled and its worker there; twice changes nothing."""
    outcomes = [
        (await Attempt().run(links.suspend_replication, errand(SUSPEND))).outcome,
        (await Attempt().run(links.suspend_replication, errand(SUSPEND))).outcome,
    ]
    await execute(postgres, "one", "INSERT INTO Account VALUES (-1)")
    arrived = await rows(postgres)
    reading = await Attempt().run(
        links.observe_replication, errand(ObserveReplication(link="one-to-two"))
    )
    assert (reading.enabled, reading.running) == (False, False)
    assert reading.lag is not None
    assert reading.lag > 0
    outcomes += [
        (await Attempt().run(links.resume_replication, errand(RESUME))).outcome,
        (await Attempt().run(links.resume_replication, errand(RESUME))).outcome,
    ]
    assert outcomes == ["changed", "unchanged", "changed", "unchanged"]
    while await rows(postgres) == arrived:  # noqa: ASYNC110 - a database tells no one
        await asyncio.sleep(0.05)


async def test_everything_is_read(links: ReplicationLinks) -> None:
    """State, lag and tables, in lower case."""
    reading = await Attempt().run(
        links.observe_replication, errand(ObserveReplication(link="one-to-two"))
    )
    assert (reading.enabled, reading.running, reading.trouble) == (True, True, ())
    assert reading.tables == ("public.account",)


async def observed(links: ReplicationLinks, given: Any = LINK, **changes: object) -> Any:  # noqa: ANN401
    """Observe a link."""
    order = ObserveReplication(link=given.name)
    return await Attempt().run(links.observe_replication, errand(order, given, **changes))


async def test_a_link_without_a_subscription_does_not_exist(links: ReplicationLinks) -> None:
    """That is an answer, and no trouble; the one that is there is nobody's then."""
    reading = await observed(links, LINK.model_copy(update={"subscription": "other"}))
    assert (reading.exists, reading.trouble) == (False, ())
    assert (reading.enabled, reading.running, reading.lag, reading.publisher) == (None,) * 4
    assert reading.strangers == ("sub",)


async def test_what_the_publisher_keeps_is_read(
    links: ReplicationLinks, postgres: PostgresServer
) -> None:
    """WAL kept, WAL that may be kept, WAL written; nothing is said of what is not limited."""
    reading = await observed(links)
    assert (reading.exists, reading.strangers, reading.subscriber_timestamps) == (True, (), True)
    assert reading.publisher.commit_timestamps is True
    assert reading.publisher.headroom is None
    before = reading.publisher.retained
    await execute(postgres, "two", "ALTER SUBSCRIPTION sub DISABLE")
    await execute(postgres, "one", "INSERT INTO Account SELECT generate_series(30000, 60000)")
    assert (await observed(links)).publisher.retained > before + 2**20
    try:
        await limited(postgres, "1GB")
        room = (await observed(links)).publisher.headroom
        assert 2**29 < room <= 2**30 + 2**26
        await limited(postgres, "1MB")
        await execute(postgres, "one", "SELECT pg_switch_wal()")
        await execute(postgres, "one", "SELECT pg_switch_wal()")
        await execute(postgres, "one", "INSERT INTO Account SELECT generate_series(60001, 60100)")
        assert (await observed(links)).publisher.headroom == 0
    finally:
        await limited(postgres, "-1")
        await execute(postgres, "two", "ALTER SUBSCRIPTION sub ENABLE")


async def limited(server: PostgresServer, size: LiteralString) -> None:
    """Limit the WAL that slots may keep, and wait until the server knows."""
    await execute(server, "one", f"ALTER SYSTEM SET max_slot_wal_keep_size = '{size}'")
    await execute(server, "one", "SELECT pg_reload_conf()")
    await asyncio.sleep(0.3)


async def test_a_rate_needs_a_minute_of_statistics(
    links: ReplicationLinks, monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer
) -> None:
    """Before, an average says nothing."""
    await execute(postgres, "one", "SELECT pg_stat_reset_shared('wal')")
    assert (await observed(links)).publisher.wal_rate is None
    monkeypatch.setattr(postgresql, "SHORTEST_STATISTICS", 0.0)
    await execute(postgres, "one", "INSERT INTO Account SELECT generate_series(70000, 70100)")
    assert (await observed(links)).publisher.wal_rate > 0


async def test_a_subscription_that_nobody_knows_is_a_stranger(
    links: ReplicationLinks, postgres: PostgresServer
) -> None:
    """Enabled or not; those of other databases are somebody else's."""
    for side in ("one", "two"):
        await execute(
            postgres,
            side,
            f"CREATE SUBSCRIPTION stranger_{side} CONNECTION 'host=127.0.0.1' PUBLICATION x "
            "WITH (connect = false)",
        )
    try:
        assert (await observed(links)).strangers == ("stranger_two",)
    finally:
        for side in ("one", "two"):
            name: LiteralString = f"SUBSCRIPTION stranger_{side}"
            await execute(postgres, side, f"ALTER {name} SET (slot_name = NONE)")
            await execute(postgres, side, f"DROP {name}")


async def test_an_account_without_any_right_reads_it_all(
    links: ReplicationLinks, postgres: PostgresServer
) -> None:
    """A login suffices to look; what it could not compare later is a finding that warns."""
    await execute(postgres, "two", f"CREATE ROLE looker LOGIN PASSWORD '{DATABASE_PASSWORD}'")
    order = ObserveReplication(link=LINK.name)
    looker = {"publisher": database("one", user="looker")}
    given = errand(order, user="looker").model_copy(update=looker)
    reading = await Attempt().run(links.observe_replication, given)
    everything = await observed(links)
    alike = {"exists", "enabled", "running", "tables", "subscriber_timestamps", "strangers"}
    assert reading.model_dump(include=alike) == everything.model_dump(include=alike)
    assert reading.publisher is not None
    assert reading.publisher.retained is not None
    assert [finding.name for finding in reading.trouble] == ["replication_not_comparable"]


async def test_a_link_whose_slot_is_gone_is_unknown(links: ReplicationLinks) -> None:
    """Nothing is said of the WAL that nobody keeps."""
    with pytest.raises(OutcomeUnknown, match="has no slot nowhere"):
        await link().instance("nowhere")


async def test_nothing_is_left_behind(links: ReplicationLinks, postgres: PostgresServer) -> None:
    """What was written before the order has arrived when it is carried out."""
    before = await rows(postgres)
    await execute(postgres, "one", "INSERT INTO Account SELECT generate_series(1, 20000)")
    await Attempt().run(links.suspend_replication, errand(SUSPEND))
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
                links.suspend_replication, errand(SUSPEND)
            )
        await blocking.rollback()
    assert (await link().subscription()).enabled


def link(**changes: object) -> PostgreSql:
    """Return the driver itself."""
    return PostgreSql(SECRETS, LINK, database("one"), database("two", **changes))


async def test_a_frozen_worker_sends_nothing(links: ReplicationLinks) -> None:
    """After the first third of its time an attempt only reads."""
    late = Attempt(limit=timedelta(seconds=30), age=timedelta(seconds=11))
    with pytest.raises(Unreachable, match="nothing was sent"):
        await late.run(links.suspend_replication, errand(SUSPEND))
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
        await Attempt().run(links.suspend_replication, errand(SUSPEND, other))


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


async def test_observing_never_fails(links: ReplicationLinks) -> None:
    """What cannot be read is said, beside what can."""
    observation = ObserveReplication(link="one-to-two")
    reading = await Attempt().run(links.observe_replication, errand(observation, port=1))
    assert [finding.name for finding in reading.trouble] == ["database_unreachable"]
    assert (reading.enabled, reading.tables) == (None, ("public.account",))


async def test_a_lost_reply_is_resolved_by_reading(
    links: ReplicationLinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement was carried out and its answer lost: what counts is what is seen."""
    disable = PostgreSql.disable

    async def and_lose_the_answer(self: PostgreSql, within: float) -> None:
        await disable(self, within)
        raise OutcomeUnknown("the connection broke")

    monkeypatch.setattr(PostgreSql, "disable", and_lose_the_answer)
    report = await Attempt().run(links.suspend_replication, errand(SUSPEND))
    assert report.outcome == "changed"


def test_a_driver_is_a_value(postgres: PostgresServer) -> None:
    """It keeps no connection that could be dead when it matters."""
    assert replace(link()) == link()
