"""Changes that no slot keeps any more are brought over by a copy: on two real databases.

The side ``one`` is active, ``two`` returns: the link from one to two has lost its slot.
"""

import asyncio
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from activities.replication.activities import ReplicationLinks
from activities.replication.driver import SlotAction
from activities.replication.postgresql import copy_rows, own_rows, repair
from activities.replication.postgresql.slots import slot_names
from activities.transport.ssh import Shell
from lab.layout import DATABASE_PASSWORD
from tests.activities.replication.postgresql.observing import observed
from tests.support.postgres_pair import (
    BACK,
    LINKS,
    SECRETS,
    SIDES,
    THERE,
    Pair,
    database,
    input_for,
)
from tests.support.ssh_machines import Attempt
from workflows.errors import AccessRefused, NotReady, NotYet, Unreachable
from workflows.model import actions
from workflows.model.replications.postgresql import PostgresReplication, SubscriptionLink
from workflows.model.results import Report

REPLICATION = ReplicationLinks(SECRETS, Shell(SECRETS))
COPY, RENEW = actions.CopyTables(link=THERE.name), actions.RenewSlot(link=BACK.name)
ACCOUNTS: LiteralString = "SELECT name, note FROM account ORDER BY name"
ALL_SLOTS: LiteralString = "FROM pg_replication_slots"
SLOTS: LiteralString = f"SELECT slot_name {ALL_SLOTS} ORDER BY 1"
MAKE_SLOT: LiteralString = "SELECT pg_create_logical_replication_slot({}, 'pgoutput')"
EQUAL: LiteralString = """
INSERT INTO account VALUES ('p1', 'old', '2026-01-01'), ('p2', 'old', '2026-01-01')
"""
EXTRA: tuple[LiteralString, ...] = (
    "CREATE TABLE event (id int PRIMARY KEY, note text)",
    "CREATE TABLE event_20260101 (id int PRIMARY KEY)",
    "CREATE TABLE site (id int, day int, note text, PRIMARY KEY (id, day)) PARTITION BY LIST (day)",
    "CREATE TABLE site_1 PARTITION OF site FOR VALUES IN (1)",
    "CREATE TABLE site_2 PARTITION OF site FOR VALUES IN (2)",
    """
    CREATE TABLE owner (
        account text REFERENCES account ON DELETE CASCADE,
        twice int GENERATED ALWAYS AS (2) STORED,
        id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)
    """,
)


@pytest.fixture(scope="module", autouse=True)
async def tables(pair: Pair) -> None:
    """Tables that stay local, a partitioned one, and one with a foreign key."""
    for side in SIDES:
        for table in EXTRA:
            await pair.execute(side, table)
    for link in LINKS:
        await pair.execute(
            link.target,
            f"ALTER SUBSCRIPTION {link.subscription} REFRESH PUBLICATION WITH (copy_data = false)",
        )


@pytest.fixture(autouse=True)
async def suspended(pair: Pair) -> None:
    """Both links are suspended, each with a new slot of its own, and both sides are equal."""
    for link in LINKS:
        await pair.switch(link, "DISABLE")
    await pair.settles("one", "SELECT count(*) FROM pg_replication_slots WHERE active", 0)
    await pair.execute("one", f"SELECT pg_drop_replication_slot(slot_name) {ALL_SLOTS}")
    for side in SIDES:
        await pair.execute(side, 'TRUNCATE account, "Odd ""1"" table", keyless, event, site, owner')
        await pair.execute(side, EQUAL)
        await pair.execute(side, "INSERT INTO keyless VALUES ('twice', 1.50), ('twice', 1.50)")
    for link in LINKS:
        await begin(pair, link)


async def begin(pair: Pair, link: SubscriptionLink) -> None:
    """Make a link's slot, and have its subscription use it."""
    slot = sql.SQL(MAKE_SLOT)
    await pair.execute(link.source, slot.format(sql.Literal(link.subscription)))
    await pair.switch(link, f"SET (slot_name = {link.subscription})")


async def lose(pair: Pair, link: SubscriptionLink) -> None:
    """Drop a link's slot."""
    statement = sql.SQL("SELECT pg_drop_replication_slot({})")
    await pair.execute("one", statement.format(sql.Literal(link.subscription)))


async def run(
    action: SlotAction | actions.ResumeReplication | actions.VerifyNoConflicts,
    attempt: Attempt | None = None,
    **changes: object,
) -> Report:
    """Make one attempt at an action."""
    [link] = [link for link in LINKS if link.name == action.link]
    given = input_for(action, link, **changes)
    return await (attempt or Attempt()).run(getattr(REPLICATION, action.kind), given)


async def both_run(pair: Pair) -> None:
    """Resume both links, and verify that rows of both sides arrive and that nothing fails."""
    for link in LINKS:
        assert (await run(actions.ResumeReplication(link=link.name))).outcome == "changed"
    for side in SIDES:
        row = sql.Literal(f"later on {side}")
        await pair.execute(side, sql.SQL("INSERT INTO account VALUES ({}, 'new')").format(row))
    for side in SIDES:
        await pair.settles(side, "SELECT count(*) FROM account WHERE name LIKE 'later on %'", 2)
    assert await pair.execute("one", ACCOUNTS) == await pair.execute("two", ACCOUNTS)


async def test_a_slot_that_holds_everything_is_left_alone(pair: Pair) -> None:
    """Nothing is copied, nothing is made anew."""
    slots = await pair.execute("one", SLOTS)
    await pair.execute("one", "UPDATE account SET note = 'new'")
    assert [(await run(action)).outcome for action in (COPY, RENEW)] == ["unchanged"] * 2
    assert await pair.value("two", "SELECT note FROM account LIMIT 1") == "old"
    assert await pair.execute("one", SLOTS) == slots
    assert [(await observed(link)).changes_kept for link in LINKS] == [True, True]


async def write_on_the_active_side(pair: Pair) -> None:
    """Change rows of every kind on side one."""
    for statement in (
        "UPDATE account SET note = 'new' WHERE name = 'p1'",
        "DELETE FROM account WHERE name = 'p2'",
        "INSERT INTO account VALUES ('p3', E'tab\\t, line\\n, back\\\\slash, \\'quote\\'')",
        'INSERT INTO "Odd ""1"" table" VALUES (1, \'b\', true), (2, \'c\', NULL)',
        "DELETE FROM keyless; INSERT INTO keyless VALUES ('once', 2.50), (NULL, NULL)",
        "INSERT INTO site VALUES (1, 1, 'a'), (2, 2, 'b')",
        "INSERT INTO owner VALUES ('p1')",
        "INSERT INTO event VALUES (1, 'of one')",
    ):
        await pair.execute("one", statement)


async def contents(pair: Pair, side: str) -> list[Any]:
    """Return every row of every table that replicates."""
    tables = ("account", 'Odd "1" table', "keyless", "site_1", "site_2", "owner")
    read = sql.SQL("SELECT t::text FROM {} t ORDER BY 1")
    return [await pair.execute(side, read.format(sql.Identifier(table))) for table in tables]


async def test_the_returning_side_becomes_equal_to_the_active_one(pair: Pair) -> None:
    """Every row of every table, partitions too; excluded tables stay out; nothing comes back."""
    await lose(pair, THERE)
    await pair.execute("two", "INSERT INTO event VALUES (1, 'of two'), (2, 'of two')")
    await pair.execute("two", "INSERT INTO event_20260101 VALUES (7)")
    await pair.discard(BACK)  # they stay local, although this publication carries all tables
    await write_on_the_active_side(pair)
    active, events = await contents(pair, "one"), await pair.execute("two", "TABLE event")
    assert (await observed()).changes_kept is False
    assert (await run(COPY)).outcome == "changed"
    assert await contents(pair, "two") == active == await contents(pair, "one")
    assert await pair.execute("two", "TABLE event") == events
    assert await pair.value("two", "SELECT count(*) FROM event_20260101") == 1
    assert (await run(COPY)).outcome == "unchanged"
    assert (await run(RENEW)).outcome == "unchanged"
    # Nothing that was copied is sent back, and nothing that is written later is lost.
    peek: LiteralString = (
        "SELECT count(*) FROM pg_logical_slot_peek_binary_changes('two_to_one', NULL, NULL, "
        "'proto_version', '1', 'publication_names', '\"the \"\"pub\"\"\"', 'origin', 'none')"
    )
    assert await pair.value("two", peek) == 0
    await both_run(pair)
    assert (await contents(pair, "one"))[1:] == active[1:]
    assert len(await pair.execute("one", SLOTS)) == len(LINKS)


async def test_what_is_written_during_a_copy_follows_it(pair: Pair) -> None:
    """The new slot begins where the copied snapshot ends: nothing twice, nothing missing."""
    await lose(pair, THERE)
    stop = asyncio.Event()

    async def writing() -> int:
        number = 0
        while not stop.is_set():
            number += 1
            row = sql.Literal(f"w{number}")
            insert = sql.SQL("INSERT INTO account SELECT {}, repeat('x', 1000)").format(row)
            await pair.execute("one", insert)
        return number

    writer = asyncio.create_task(writing())
    await pair.execute("one", "INSERT INTO account SELECT 'many' || generate_series(1, 20000)")
    assert (await run(COPY)).outcome == "changed"
    stop.set()
    assert await writer > 0
    await both_run(pair)


async def test_a_slot_that_lost_its_wal_is_recognised(pair: Pair) -> None:
    """The limit of WAL was reached, and the server removed it at a checkpoint."""
    await pair.execute("one", "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    await pair.execute("one", "SELECT pg_reload_conf()")
    await pair.settles("one", "SHOW max_slot_wal_keep_size", "1MB")
    try:
        for _ in range(4):
            await pair.execute("one", "SELECT pg_switch_wal()")
            await pair.execute("one", "INSERT INTO account SELECT 'f' || md5(random()::text)")
        await pair.execute("one", "CHECKPOINT")
        await pair.settles(
            "one",
            "SELECT bool_and(wal_status = 'lost') FROM pg_replication_slots",
            True,  # noqa: FBT003 - a value
        )
    finally:
        await pair.execute("one", "ALTER SYSTEM SET max_slot_wal_keep_size = '1TB'")
        await pair.execute("one", "SELECT pg_reload_conf()")
    assert [(await observed(link)).changes_kept for link in LINKS] == [False, False]
    reading = await observed()
    assert [finding.name for finding in reading.findings] == []
    assert (await run(COPY)).outcome == "changed"
    assert (await run(RENEW)).outcome == "changed"
    assert [(await run(action)).outcome for action in (COPY, RENEW)] == ["unchanged"] * 2
    assert len(await pair.execute("one", SLOTS)) == len(LINKS)
    await both_run(pair)


async def test_a_subscription_without_a_slot_gets_one(pair: Pair) -> None:
    """In both directions: first the copy, then the way back."""
    for link in LINKS:
        await lose(pair, link)
        await pair.switch(link, "SET (slot_name = NONE)")
    await pair.execute("one", "UPDATE account SET note = 'newer' WHERE name = 'p1'")
    await pair.execute("one", "INSERT INTO account VALUES ('p3', 'new')")
    assert (await run(COPY)).outcome == "changed"
    assert (await run(RENEW)).outcome == "changed"
    assert len(await pair.execute("one", SLOTS)) == len(LINKS)
    await both_run(pair)


@pytest.mark.parametrize("wanted", [True, False])
async def test_standbys_keep_a_new_slot_where_the_subscription_wants_it(
    pair: Pair, *, wanted: bool
) -> None:
    """Or the next failover of the publisher would lose changes that its slot has kept before."""
    for link in LINKS:
        await pair.switch(link, "SET (failover = true)" if wanted else "SET (failover = false)")
        await lose(pair, link)
    try:
        assert [(await run(action)).outcome for action in (COPY, RENEW)] == ["changed"] * 2
        kept = await pair.execute("one", f"SELECT failover {ALL_SLOTS}")
        assert kept == [(wanted,)] * 2
        await both_run(pair)
    finally:
        for link in LINKS:
            await pair.switch(link, "DISABLE")
            await pair.switch(link, "SET (failover = false)")


async def test_a_second_loss_uses_the_other_name(pair: Pair) -> None:
    """The names take turns, and no slot more is left."""
    for name in ("one_to_two", "one_to_two_copy", "one_to_two"):
        drop = sql.SQL("SELECT pg_drop_replication_slot({})").format(sql.Literal(name))
        await pair.execute("one", drop)
        assert (await run(COPY)).outcome == "changed"
    found = await pair.execute("one", SLOTS)
    assert found == [("one_to_two_copy",), ("two_to_one",)]
    await both_run(pair)


async def test_rows_that_the_returning_side_wrote_are_named_and_kept(pair: Pair) -> None:
    """They would be lost: nothing is copied until an operator has decided."""
    await lose(pair, THERE)
    await pair.execute("two", "UPDATE account SET note = 'mine' WHERE name = 'p2'")
    before = await pair.execute("two", ACCOUNTS)
    with pytest.raises(NotReady, match=r"wrote rows itself.*account \(name=p2\).*two_to_one"):
        await run(COPY)
    assert await pair.execute("two", ACCOUNTS) == before
    assert await pair.execute("one", SLOTS) == [("two_to_one",)]
    await pair.discard(BACK)
    assert (await run(COPY)).outcome == "changed"


OWN: dict[str, tuple[LiteralString, str]] = {
    "inserted": ("INSERT INTO account VALUES ('p9', 'mine')", r"account \(name=p9\)"),
    "updated": ("UPDATE account SET note = 'mine' WHERE name = 'p2'", r"account \(name=p2\)"),
    "a key of a key": ("INSERT INTO site VALUES (5, 2, 'mine')", r"site_2 \(id=5, day=2\)"),
    "a row again": (
        "INSERT INTO keyless VALUES ('twice', 1.50)",
        r"keyless \(line=twice, number=1\.50\)",
    ),
}


@pytest.mark.parametrize("case", OWN)
@pytest.mark.parametrize("lost", [LINKS, (BACK,)], ids=["both lost", "the way back lost"])
async def test_without_a_slot_both_sides_are_compared(
    pair: Pair, case: str, lost: tuple[SubscriptionLink, ...]
) -> None:
    """A row that only the returning side has, or wrote later, is named, and nothing is lost."""
    statement, row = OWN[case]
    for link in lost:
        await lose(pair, link)
    await pair.execute("one", "UPDATE account SET note = 'newer' WHERE name = 'p1'")
    await pair.execute("two", statement)
    before = await contents(pair, "two")
    action = COPY if THERE in lost else RENEW
    with pytest.raises(
        NotReady, match=f"nothing tells|no slot tells which side wrote them: .*{row}"
    ):
        await run(action)
    assert await contents(pair, "two") == before


async def test_what_the_active_side_wrote_explains_a_difference(pair: Pair) -> None:
    """Rows that it changed, removed or added since, and has yet to deliver."""
    await lose(pair, BACK)
    await write_on_the_active_side(pair)
    assert (await run(RENEW)).outcome == "changed"
    await pair.execute("two", "INSERT INTO account VALUES ('of two', 'mine')")
    await both_run(pair)
    assert await pair.value("one", "SELECT note FROM account WHERE name = 'of two'") == "mine"


async def test_without_any_slot_nothing_is_resumed(pair: Pair) -> None:
    """What the other side wrote cannot be told, and unknown is not "nothing"."""
    await lose(pair, BACK)
    await pair.execute("one", "UPDATE account SET note = 'new'")
    for action in (
        actions.VerifyNoConflicts(link=THERE.name),
        actions.ResumeReplication(link=THERE.name),
    ):
        with pytest.raises(NotReady, match="slot two_to_one on database-two was lost"):
            await run(action)
    assert not await pair.value("two", "SELECT bool_or(subenabled) FROM pg_subscription")


async def test_a_link_without_an_opposite_is_not_renewed(pair: Pair) -> None:
    """There is nothing to compare its publisher with."""
    await lose(pair, BACK)
    with pytest.raises(NotReady, match="no link that leads the other way"):
        await run(RENEW, replication=PostgresReplication(links=(BACK,)))
    assert await pair.execute("one", SLOTS) == [(THERE.subscription,)]


async def test_an_account_without_the_rights_copies_nothing(pair: Pair) -> None:
    """To write as replication does takes a right of its own."""
    await lose(pair, THERE)
    await pair.execute("one", "UPDATE account SET note = 'new'")
    await pair.execute("two", f"CREATE ROLE writing LOGIN PASSWORD '{DATABASE_PASSWORD}'")
    tables: LiteralString = "ALL TABLES IN SCHEMA public"
    await pair.execute("two", f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO writing")
    before = await contents(pair, "two")
    with pytest.raises(AccessRefused, match="permission denied"):
        await run(COPY, subscriber=database("two", user="writing"))
    assert await contents(pair, "two") == before
    assert await pair.execute("one", SLOTS) == [(BACK.subscription,)]


async def test_the_documented_rights_suffice(pair: Pair) -> None:
    """Nobody has to be a superuser, on either side."""
    await lose(pair, THERE)
    await pair.execute("one", "UPDATE account SET note = 'new'")
    tables: LiteralString = "ALL TABLES IN SCHEMA public TO copier"
    origin: LiteralString = "EXECUTE ON FUNCTION pg_replication_origin"
    await pair.execute(
        "one", f"CREATE ROLE copier LOGIN REPLICATION PASSWORD '{DATABASE_PASSWORD}'"
    )
    await pair.execute("one", f"GRANT SELECT ON {tables}")
    for right in (
        "pg_create_subscription TO copier",
        "CREATE ON DATABASE two TO copier",
        f"SELECT, INSERT, UPDATE, DELETE ON {tables}",
        f"{origin}_session_setup TO copier",
        f"{origin}_xact_setup TO copier",
        "SET ON PARAMETER session_replication_role TO copier",
    ):
        await pair.execute("two", f"GRANT {right}")
    await pair.switch(THERE, "OWNER TO copier")
    try:
        one, two = (database(side, user="copier") for side in SIDES)
        assert (await run(COPY, publisher=one, subscriber=two)).outcome == "changed"
    finally:
        await pair.switch(THERE, "OWNER TO postgres")
    assert await pair.execute("one", ACCOUNTS) == await pair.execute("two", ACCOUNTS)


@pytest.mark.parametrize(
    ("subscription", "names"),
    [
        ("one_to_two", ("one_to_two", "one_to_two_copy")),
        ('To "C1", Ä', ("to__c1____", "to__c1_____copy")),
        ("x" * 63, ("x" * 58, "x" * 58 + "_copy")),
    ],
)
def test_a_slot_has_a_name_that_the_server_takes(subscription: str, names: tuple[str, str]) -> None:
    """Small letters, digits and underscores, at most 63 of them, whatever the subscription's is."""
    assert slot_names(subscription) == names


async def test_too_many_differences_are_not_looked_up(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be told apart within bounds is left to an operator."""
    monkeypatch.setattr(own_rows, "MAX_DIFFERENCES", 1)
    for link in LINKS:
        await lose(pair, link)
    await pair.execute("one", "DELETE FROM account")
    with pytest.raises(NotReady, match="more than 1 rows differ on database-two"):
        await run(COPY)


async def test_a_copy_that_is_cut_leaves_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transaction is rolled back; the next attempt drops the slot that it left, and ends."""
    await lose(pair, THERE)
    await pair.execute("one", "INSERT INTO account SELECT 'many' || generate_series(1, 5000)")
    before = await pair.execute("two", ACCOUNTS)
    copied, begun = copy_rows.copy_rows, asyncio.Event()

    async def stuck(*given: Any) -> None:  # noqa: ANN401 - those of the original
        await copied(*given)
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(repair, "copy_rows", stuck)
    attempt = asyncio.create_task(run(COPY))
    await begun.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    monkeypatch.setattr(repair, "copy_rows", copied)
    assert await pair.execute("two", ACCOUNTS) == before
    assert ("one_to_two_copy",) in await pair.execute("one", SLOTS)
    assert (await observed()).changes_kept is False
    assert (await run(COPY)).outcome == "changed"
    assert len(await pair.execute("one", SLOTS)) == len(LINKS)
    await both_run(pair)


async def test_a_server_that_ends_a_copy_leaves_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a slot left by an attempt that can still clear up."""
    await lose(pair, THERE)
    copied = copy_rows.copy_rows

    async def ended(*given: Any) -> None:  # noqa: ANN401 - those of the original
        await copied(*given)
        await pair.execute(
            "two",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'switchover' AND datname = 'two'",
        )

    monkeypatch.setattr(repair, "copy_rows", ended)
    before = await contents(pair, "two")
    with pytest.raises(Unreachable):
        await run(COPY)
    assert await contents(pair, "two") == before
    assert await pair.execute("one", SLOTS) == [("two_to_one",)]


async def test_two_attempts_never_overlap(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that froze in its copy holds the tables: the next attempt waits for its end."""
    monkeypatch.setattr(repair, "_PATIENCE", {"lock_timeout": "200ms"})
    await lose(pair, THERE)
    async with await psycopg.AsyncConnection.connect(pair.server.dsn("two")) as frozen:
        await frozen.execute("LOCK TABLE ONLY account IN EXCLUSIVE MODE")
        with pytest.raises(NotYet, match="lock timeout"):
            await run(COPY)
        await frozen.rollback()
    assert (await run(COPY)).outcome == "changed"


async def test_a_lost_answer_to_the_commit_is_resolved_by_reading(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt finds that everything was copied."""
    await lose(pair, THERE)
    await write_on_the_active_side(pair)
    assert (await run(COPY)).outcome == "changed"
    await pair.execute("one", sql.SQL(MAKE_SLOT).format("one_to_two"))
    assert (await run(COPY)).outcome == "unchanged"
    assert len(await pair.execute("one", SLOTS)) == len(LINKS)


async def test_a_slot_of_another_database_is_not_touched(pair: Pair) -> None:
    """It has the name that a copy would use."""
    await lose(pair, THERE)
    await pair.execute("two", sql.SQL(MAKE_SLOT).format("one_to_two_copy"))
    with pytest.raises(NotReady, match="is of another database or plugin"):
        await run(COPY)
    assert ("one_to_two_copy",) in await pair.execute("one", SLOTS)


async def test_a_link_that_is_enabled_is_not_copied(pair: Pair) -> None:
    """Its apply worker tries again and again, and would use the slot at once."""
    await lose(pair, THERE)
    await pair.switch(THERE, "ENABLE")
    with pytest.raises(NotReady, match="it is enabled, and its slot was lost"):
        await run(COPY)


async def test_a_table_that_is_not_subscribed_is_not_copied(pair: Pair) -> None:
    """It would be equal once and never again."""
    await lose(pair, THERE)
    for side in SIDES:
        await pair.execute(side, "CREATE TABLE late (id int PRIMARY KEY)")
    try:
        with pytest.raises(NotReady, match=r"does not receive public\.late"):
            await run(COPY)
    finally:
        for side in SIDES:
            await pair.execute(side, "DROP TABLE late")


async def test_rows_that_are_hidden_from_the_account_are_no_missing_rows(pair: Pair) -> None:
    """A policy would leave rows out of the copy without a word."""
    await lose(pair, THERE)
    await pair.execute(
        "one", f"CREATE ROLE copying LOGIN REPLICATION PASSWORD '{DATABASE_PASSWORD}'"
    )
    await pair.execute("one", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO copying")
    await pair.execute("one", "ALTER TABLE account ENABLE ROW LEVEL SECURITY")
    before = await contents(pair, "two")
    try:
        with pytest.raises(AccessRefused, match="row-level security"):
            await run(COPY, publisher=database("one", user="copying"))
    finally:
        await pair.execute("one", "ALTER TABLE account DISABLE ROW LEVEL SECURITY")
    assert await contents(pair, "two") == before


async def test_a_long_copy_heartbeats(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that dies in it is noticed within seconds."""
    await lose(pair, THERE)
    copied = copy_rows.copy_rows

    async def slow(*given: Any) -> None:  # noqa: ANN401 - those of the original
        await copied(*given)
        await asyncio.sleep(0.5)

    monkeypatch.setattr(repair, "copy_rows", slow)
    attempt = Attempt()
    await run(COPY, attempt)
    assert attempt.heartbeats >= 2
