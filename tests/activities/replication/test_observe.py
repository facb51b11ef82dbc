"""A replication link is looked at, by whoever may log in, and nothing is changed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import LiteralString

import psycopg
import pytest

from activities.replication import postgresql
from activities.replication.activities import ReplicationLinks
from lab.environment import postgres as lab_postgres
from lab.environment.postgres import PostgresServer
from lab.layout import DATABASE_PASSWORD
from tests.support.postgres_one_way import (
    ADDRESS,
    LINK,
    database,
    execute,
    input_for,
    link,
    one_way,
)
from tests.support.ssh_machines import Attempt
from workflows.errors import OutcomeUnknown
from workflows.model.actions import ObserveReplication
from workflows.model.estate import ReplicationLink
from workflows.model.observations import Instance, ReplicationReading


async def test_everything_is_read(links: ReplicationLinks) -> None:
    """State, lag and tables, in lower case."""
    reading = await Attempt().run(
        links.observe_replication, input_for(ObserveReplication(link="one-to-two"))
    )
    assert (reading.enabled, reading.running, reading.findings) == (True, True, ())
    assert reading.tables == ("public.account",)


async def observed(links: ReplicationLinks, given: ReplicationLink = LINK) -> ReplicationReading:
    """Observe a link."""
    return await Attempt().run(
        links.observe_replication, input_for(ObserveReplication(link=given.name), given)
    )


async def kept(links: ReplicationLinks) -> Instance:
    """Return what the publisher keeps."""
    instance = (await observed(links)).publisher
    assert instance is not None
    return instance


async def test_a_link_without_a_subscription_does_not_exist(links: ReplicationLinks) -> None:
    """That is an answer, and no trouble; the one that is there is nobody's then."""
    reading = await observed(links, LINK.model_copy(update={"subscription": "other"}))
    assert (reading.exists, reading.findings) == (False, ())
    assert (reading.enabled, reading.running, reading.lag, reading.publisher) == (None,) * 4
    assert reading.strangers == ("sub",)


async def test_what_the_publisher_keeps_is_read(
    links: ReplicationLinks, postgres: PostgresServer
) -> None:
    """WAL kept, WAL that may be kept, WAL written; nothing is said of what is not limited."""
    reading = await observed(links)
    assert (reading.exists, reading.strangers, reading.subscriber_timestamps) == (True, (), True)
    await limited(postgres, "-1")
    before = await kept(links)
    assert (before.commit_timestamps, before.headroom) == (True, None)
    await execute(postgres, "two", "ALTER SUBSCRIPTION sub DISABLE")
    await execute(postgres, "one", "INSERT INTO Account SELECT generate_series(30000, 60000)")
    assert ((await kept(links)).retained or 0) > (before.retained or 0) + 2**20
    try:
        await limited(postgres, "1GB")
        assert 2**29 < ((await kept(links)).headroom or 0) <= 2**30 + 2**26
        await limited(postgres, "1MB")
        await execute(postgres, "one", "SELECT pg_switch_wal()")
        await execute(postgres, "one", "SELECT pg_switch_wal()")
        await execute(postgres, "one", "INSERT INTO Account SELECT generate_series(60001, 60100)")
        assert (await kept(links)).headroom == 0
    finally:
        await limited(postgres, "-1")
        await execute(postgres, "two", "ALTER SUBSCRIPTION sub ENABLE")


async def limited(server: PostgresServer, size: LiteralString) -> None:
    """Limit the WAL that slots may keep, and wait until the server knows."""
    await execute(server, "one", f"ALTER SYSTEM SET max_slot_wal_keep_size = '{size}'")
    await execute(server, "one", "SELECT pg_reload_conf()")
    async with asyncio.timeout(10):
        while await shown(server) != size:  # noqa: ASYNC110 - another process reads its settings
            await asyncio.sleep(0.02)


async def shown(server: PostgresServer) -> str:
    """Return what a new connection is told of that limit."""
    async with await psycopg.AsyncConnection.connect(server.dsn("one")) as connection:
        found = await (await connection.execute("SHOW max_slot_wal_keep_size")).fetchone()
    return str(found[0]) if found else ""


async def test_a_rate_needs_a_minute_of_statistics(
    links: ReplicationLinks, monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer
) -> None:
    """Before, an average says nothing."""
    await execute(postgres, "one", "SELECT pg_stat_reset_shared('wal')")
    assert (await kept(links)).wal_rate is None
    monkeypatch.setattr(postgresql, "SHORTEST_STATISTICS", 0.0)
    await execute(postgres, "one", "INSERT INTO Account SELECT generate_series(70000, 70100)")
    assert ((await kept(links)).wal_rate or 0) > 0


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
    action = ObserveReplication(link=LINK.name)
    looker = {"publisher": database("one", user="looker")}
    given = input_for(action, user="looker").model_copy(update=looker)
    reading = await Attempt().run(links.observe_replication, given)
    everything = await observed(links)
    alike = {"exists", "enabled", "running", "tables", "subscriber_timestamps", "strangers"}
    assert reading.model_dump(include=alike) == everything.model_dump(include=alike)
    assert reading.publisher is not None
    assert reading.publisher.retained is not None
    assert [finding.name for finding in reading.findings] == ["replication_not_comparable"]


async def test_a_link_whose_slot_is_gone_is_unknown(links: ReplicationLinks) -> None:
    """Nothing is said of the WAL that nobody keeps."""
    with pytest.raises(OutcomeUnknown, match="has no slot nowhere"):
        await link().instance("nowhere")


async def test_a_server_that_keeps_no_commit_times_is_seen(
    links: ReplicationLinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On either side."""
    monkeypatch.setitem(lab_postgres.SETTINGS, "track_commit_timestamp", "off")
    elsewhere = ADDRESS.replace("127.9.9", "127.9.10")
    async with one_way(elsewhere):
        given = input_for(ObserveReplication(link=LINK.name), address=elsewhere)
        reading = await Attempt().run(links.observe_replication, given)
        there = replace(link(), publisher=database("one", address=elsewhere))
        instance = await there.instance("sub")
    assert reading.subscriber_timestamps is False
    assert instance.commit_timestamps is False


async def test_observing_never_fails(links: ReplicationLinks) -> None:
    """What cannot be read is said, beside what can."""
    observation = ObserveReplication(link="one-to-two")
    reading = await Attempt().run(links.observe_replication, input_for(observation, port=1))
    assert [finding.name for finding in reading.findings] == ["database_unreachable"]
    assert (reading.enabled, reading.tables) == (None, ("public.account",))
