"""What the databases of a lab replicate, keep local and record."""

from typing import LiteralString

import psycopg
import pytest

from lab import records
from lab.environment.databases import LOCAL
from lab.environment.lab import Lab
from tests.support.polling import eventually

TO_2 = "cluster1_to_cluster2"


async def ask(lab: Lab, cluster: str, statement: LiteralString) -> list[tuple[object, ...]]:
    """Run a statement as the user that a product has."""
    dsn = lab.layout.cluster(cluster).dsn
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        cursor = await connection.execute(statement)
        return await cursor.fetchall() if cursor.description else []


async def becomes_true(lab: Lab, cluster: str, question: LiteralString) -> None:
    """Wait until a database answers true."""

    async def holds() -> bool:
        return await ask(lab, cluster, question) == [(True,)]

    await eventually(holds)


async def effects(lab: Lab, number: int) -> list[tuple[str, str, str, bool]]:
    """Wait for that many effects."""

    async def holds() -> bool:
        return len(list(records.read(lab.layout.effects))) >= number

    await eventually(holds)
    found = records.read(lab.layout.effects)
    return [(e["place"], e["service"], e["effect"], e["changed"]) for e in found]


@pytest.mark.parametrize(("here", "there"), [("cluster1", "cluster2"), ("cluster2", "cluster1")])
async def test_configuration_replicates_both_ways(whole_lab: Lab, here: str, there: str) -> None:
    """A changed account shows on the other side, whichever side it was."""
    await ask(whole_lab, here, "UPDATE account SET note = 'moved' WHERE name = 'partner001'")

    await becomes_true(
        whole_lab, there, "SELECT note = 'moved' FROM account WHERE name = 'partner001'"
    )


async def test_excluded_tables_stay_where_they_are(whole_lab: Lab) -> None:
    """What was written before an account that did arrive has not arrived, nor ever will."""
    await ask(whole_lab, "cluster1", "INSERT INTO event (id) VALUES (gen_random_uuid())")
    await ask(whole_lab, "cluster1", "INSERT INTO dmz_zone VALUES ('public')")
    await ask(whole_lab, "cluster1", "INSERT INTO account VALUES ('late')")
    await becomes_true(
        whole_lab, "cluster2", "SELECT count(*) = 1 FROM account WHERE name = 'late'"
    )

    assert await ask(whole_lab, "cluster2", "SELECT count(*) FROM event") == [(0,)]
    assert await ask(whole_lab, "cluster2", "SELECT * FROM dmz_zone") == [("private",)]
    published = await ask(whole_lab, "cluster1", "SELECT tablename FROM pg_publication_tables")
    assert {name for (name,) in published}.isdisjoint(LOCAL)


async def test_every_statement_about_a_subscription_is_recorded(whole_lab: Lab) -> None:
    """A statement that changes nothing is recorded as an effect without a change."""
    for verb in ("DISABLE", "DISABLE", "ENABLE"):
        statement = f"ALTER SUBSCRIPTION {TO_2} {verb}".encode()
        dsn = whole_lab.layout.cluster("cluster2").dsn
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            await connection.execute(statement)

    assert await effects(whole_lab, 3) == [
        ("database2", TO_2, "disable", True),
        ("database2", TO_2, "disable", False),
        ("database2", TO_2, "enable", True),
    ]


async def test_a_statement_that_was_rolled_back_is_not_recorded(whole_lab: Lab) -> None:
    """It had no effect."""
    dsn = whole_lab.layout.cluster("cluster2").dsn
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute(f"ALTER SUBSCRIPTION {TO_2} DISABLE".encode())
        await connection.rollback()
        await connection.execute(f"ALTER SUBSCRIPTION {TO_2} ENABLE".encode())

    assert await effects(whole_lab, 1) == [("database2", TO_2, "enable", False)]


async def test_a_suspended_subscription_catches_up_when_resumed(whole_lab: Lab) -> None:
    """Its slot keeps what was changed meanwhile."""
    await ask(whole_lab, "cluster2", "ALTER SUBSCRIPTION cluster1_to_cluster2 DISABLE")
    await ask(whole_lab, "cluster1", "INSERT INTO account VALUES ('meanwhile')")
    await becomes_true(whole_lab, "cluster1", "SELECT NOT active FROM pg_replication_slots")
    missing = "SELECT count(*) = 0 FROM account WHERE name = 'meanwhile'"
    assert await ask(whole_lab, "cluster2", missing) == [(True,)]

    await ask(whole_lab, "cluster2", "ALTER SUBSCRIPTION cluster1_to_cluster2 ENABLE")

    await becomes_true(
        whole_lab, "cluster2", "SELECT count(*) = 1 FROM account WHERE name = 'meanwhile'"
    )


async def test_reset_mends_replication_that_a_conflict_has_stopped(whole_lab: Lab) -> None:
    """The same key inserted on both sides stops an apply worker for good; a reset forgets both."""
    await ask(whole_lab, "cluster2", "ALTER SUBSCRIPTION cluster1_to_cluster2 DISABLE")
    for cluster in ("cluster1", "cluster2"):
        await ask(whole_lab, cluster, "INSERT INTO account VALUES ('twin')")
    await ask(whole_lab, "cluster2", "ALTER SUBSCRIPTION cluster1_to_cluster2 ENABLE")
    await becomes_true(
        whole_lab, "cluster2", "SELECT apply_error_count > 0 FROM pg_stat_subscription_stats"
    )

    await whole_lab.databases.reset()

    assert await whole_lab.databases.differences() == []
    await ask(whole_lab, "cluster1", "INSERT INTO account VALUES ('after')")
    await becomes_true(
        whole_lab, "cluster2", "SELECT count(*) = 1 FROM account WHERE name = 'after'"
    )
