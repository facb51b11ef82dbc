"""Round trips where one direction runs at a time: on two real databases of version 15.

Before each switchover the link to its target runs, and the one that leads back rests without a
slot. It gets one when replication is suspended, and the other one loses its own at the rejoin.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from activities.replication.activities import ReplicationLinks
from activities.replication.postgresql import pending, slots
from activities.replication.postgresql.link import PostgresLink
from activities.transport.ssh import Shell
from lab.layout import DATABASE_PASSWORD
from tests.activities.replication.postgresql.observing import observed
from tests.support import postgres_pair
from tests.support.postgres_pair import (
    BACK,
    OLD_PROGRAMS,
    SECRETS,
    SIDES,
    THERE,
    Pair,
    database,
    input_for,
    postgres_link,
    replicating_pair,
)
from tests.support.ssh_machines import Attempt
from workflows.errors import NotReady, NotYet, OutcomeUnknown, Unreachable
from workflows.model import actions
from workflows.model.estate import Database
from workflows.model.replications.postgresql import SubscriptionLink
from workflows.model.results import Report

pytestmark = pytest.mark.skipif(
    not (OLD_PROGRAMS / "postgres").exists(), reason=f"no PostgreSQL 15 in {OLD_PROGRAMS}"
)
REPLICATION = ReplicationLinks(SECRETS, Shell(SECRETS))
ACCOUNTS: LiteralString = "SELECT name, note FROM account ORDER BY name"
SLOTS: LiteralString = "SELECT slot_name FROM pg_replication_slots ORDER BY 1"
POINTS_AT: LiteralString = (
    "SELECT subslotname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid "
    "AND d.datname = current_database()"
)
MAKE_SLOT: LiteralString = "SELECT pg_create_logical_replication_slot({}, 'pgoutput')"
SUSPEND, RESUME = actions.SuspendReplication, actions.ResumeReplication
BEGIN, DROP = actions.BeginSlot, actions.DropSlot


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Pair]:
    """Two databases; only the link from one to two runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            postgres_pair, "ADDRESS", postgres_pair.ADDRESS.replace("127.9.7", "127.9.16")
        )
        async with replicating_pair(OLD_PROGRAMS) as pair:
            yield pair


@pytest.fixture(autouse=True)
async def one_way(pair: Pair) -> None:
    """The link from one to two runs, the one that leads back rests without a slot."""
    for one in (THERE, BACK):
        await pair.switch(one, "DISABLE")
        await pair.switch(one, "SET (slot_name = NONE)")
    await pair.settles("one", "SELECT count(*) FROM pg_replication_slots WHERE active", 0)
    everywhere: LiteralString = "FROM pg_replication_slots"
    await pair.execute("one", f"SELECT pg_drop_replication_slot(slot_name) {everywhere}")
    for side in SIDES:
        await pair.execute(side, 'TRUNCATE account, "Odd ""1"" table", keyless')
    await pair.execute("one", sql.SQL(MAKE_SLOT).format(THERE.subscription))
    await pair.switch(THERE, f"SET (slot_name = {THERE.subscription})")
    await pair.switch(THERE, "ENABLE")
    await write(pair, "one", "before")
    await pair.settles("two", "SELECT count(*) FROM account", 1)


async def write(pair: Pair, side: str, name: str) -> None:
    """Let one side write a row."""
    row = sql.SQL("INSERT INTO account VALUES ({}, {})").format(name, side)
    await pair.execute(side, row)


async def run(
    kind: type[Any], one: SubscriptionLink, attempt: Attempt | None = None, **changes: object
) -> Report:
    """Make attempts at an action on a link until one is not to be repeated by the engine."""
    action = kind(link=one.name)
    given = input_for(action, one, *sorted((THERE, BACK), key=lambda other: other is not one))
    given = given.model_copy(update=changes)
    report: Report = await (attempt or Attempt()).run(getattr(REPLICATION, action.kind), given)
    return report


async def switch_over(there: SubscriptionLink, back: SubscriptionLink) -> list[str]:
    """Do to replication what stage 2 of a switchover does; *there* leads to its target."""
    done = [await run(SUSPEND, one) for one in (there, back)]
    return [report.outcome for report in (*done, await run(BEGIN, back))]


async def rejoin(pair: Pair, there: SubscriptionLink, back: SubscriptionLink) -> list[str]:
    """Do to replication what a rejoin does; *there* leads to the side that returns."""
    done = [await run(actions.CopyTables, there), await run(actions.RenewSlot, back)]
    done += [await run(actions.VerifyNoConflicts, there), await run(DROP, back)]
    done.append(await run(RESUME, there))
    await pair.settles(there.target, "SELECT count(*) FROM account", len(await rows(pair, there)))
    return [report.outcome for report in done]


async def rows(pair: Pair, one: SubscriptionLink) -> list[Any]:
    """Return the accounts of a link's source."""
    return await pair.execute(one.source, ACCOUNTS)


async def test_round_trips_lose_nothing_and_leave_no_slot(pair: Pair) -> None:
    """Both ways, twice: both sides are equal after each rejoin, and one slot is there."""
    for turn, (there, back) in enumerate([(THERE, BACK), (BACK, THERE)] * 2):
        # A switchover: the target becomes active; then the source returns.
        await write(pair, there.source, f"{turn} before")
        assert await switch_over(there, back) == ["changed", "unchanged", "changed"]
        assert len(await pair.execute("one", SLOTS)) == 2
        await write(pair, there.target, f"{turn} while it was off")
        update: LiteralString = "UPDATE account SET note = 'changed' WHERE name = 'before'"
        await pair.execute(there.target, update)
        assert await rejoin(pair, back, there) == [
            "unchanged",
            "unchanged",
            "seen",
            *["changed"] * 2,
        ]
        assert await pair.execute("one", ACCOUNTS) == await pair.execute("two", ACCOUNTS)
        assert len(await rows(pair, there)) == 3 + 2 * turn
        assert await pair.execute("one", SLOTS) == [(back.subscription,)]
        assert [(await observed(one)).findings for one in (there, back)] == [(), ()]


async def test_a_rollback_leaves_no_slot(pair: Pair) -> None:
    """What stage 2 began is dropped, and the source replicates as before."""
    assert await switch_over(THERE, BACK) == ["changed", "unchanged", "changed"]
    await write(pair, "one", "meanwhile")
    assert (await run(actions.VerifyNoConflicts, THERE)).outcome == "seen"
    assert (await run(RESUME, THERE)).outcome == "changed"
    assert [(await run(DROP, BACK)).outcome for _ in range(2)] == ["changed", "unchanged"]
    assert await pair.execute("one", SLOTS) == [(THERE.subscription,)]
    assert await pair.value("one", POINTS_AT) is None
    await pair.settles("two", "SELECT count(*) FROM account", 2)


async def test_rows_that_the_target_wrote_keep_its_slot(pair: Pair) -> None:
    """After a rollback nothing delivers them: they are named until an operator has decided."""
    await switch_over(THERE, BACK)
    await write(pair, "two", "of two")
    assert (await run(RESUME, THERE)).outcome == "changed"
    with pytest.raises(NotReady, match=r"database-two wrote rows itself.*name=of two.*advance"):
        await run(DROP, BACK)
    assert len(await pair.execute("one", SLOTS)) == 2
    await pair.discard(BACK)
    assert (await run(DROP, BACK)).outcome == "changed"


async def test_rows_that_both_sides_wrote_are_found_by_the_new_slot(pair: Pair) -> None:
    """A rollback compares them, which it cannot where nothing kept what the target wrote."""
    await switch_over(THERE, BACK)
    for side in SIDES:
        await write(pair, side, "both")
    with pytest.raises(NotReady, match=r"both sides wrote the same rows.*name=both"):
        await run(RESUME, THERE)


async def test_a_slot_begins_once(pair: Pair) -> None:
    """Made again by a retry or by the next run it keeps what was written since."""
    await switch_over(THERE, BACK)
    await write(pair, "two", "of two")
    assert (await run(BEGIN, BACK)).outcome == "unchanged"
    assert await rejoin(pair, BACK, THERE)
    assert (await pair.execute("one", ACCOUNTS))[-1] == ("of two", "two")


async def test_an_old_slot_begins_anew(pair: Pair) -> None:
    """What it kept of the other side's rows would be sent back, and stop replication for good."""
    await pair.execute("two", sql.SQL(MAKE_SLOT).format(BACK.subscription))
    await write(pair, "one", "received")
    await pair.settles("two", "SELECT count(*) FROM account", 2)
    assert await switch_over(THERE, BACK) == ["changed", "unchanged", "changed"]
    await write(pair, "two", "of two")
    await rejoin(pair, BACK, THERE)
    assert len(await pair.execute("one", ACCOUNTS)) == 3


async def test_an_old_slot_with_rows_of_its_own_is_refused(pair: Pair) -> None:
    """It can deliver neither its own rows without what was received, nor be discarded."""
    await pair.execute("two", sql.SQL(MAKE_SLOT).format(BACK.subscription))
    await write(pair, "one", "received")
    await pair.settles("two", "SELECT count(*) FROM account", 2)
    await write(pair, "two", "own")
    with pytest.raises(NotReady, match=r"database-two wrote rows itself.*name=own"):
        await switch_over(THERE, BACK)


async def test_a_lost_slot_begins_anew(pair: Pair) -> None:
    """It keeps nothing, so there is nothing to lose."""
    await pair.execute("two", sql.SQL(MAKE_SLOT).format(BACK.subscription))
    await pair.switch(BACK, f"SET (slot_name = {BACK.subscription})")
    await run(SUSPEND, THERE)
    await lose_wal(pair)
    assert (await observed(BACK)).changes_kept is False
    assert (await run(BEGIN, BACK)).outcome == "changed"
    assert (await observed(BACK)).changes_kept is True


async def lose_wal(pair: Pair) -> None:
    """Let the server remove the WAL of every slot."""
    for size in ("1MB", "1TB"):
        await pair.execute("one", f"ALTER SYSTEM SET max_slot_wal_keep_size = '{size}'")
        await pair.execute("one", "SELECT pg_reload_conf()")
        await pair.settles("one", "SHOW max_slot_wal_keep_size", size)
        if size == "1MB":
            for _ in range(4):
                await pair.execute("one", "SELECT pg_switch_wal()")
                await pair.execute("one", "SELECT txid_current()")
            await pair.execute("one", "CHECKPOINT")
    lost: LiteralString = "SELECT count(*) FROM pg_replication_slots WHERE wal_status <> 'lost'"
    await pair.settles("one", lost, 0)


async def test_changes_that_were_lost_are_copied(pair: Pair) -> None:
    """The side that returns becomes equal to the active one; nothing travels back."""
    await switch_over(THERE, BACK)
    await write(pair, "two", "of two")
    await pair.execute("two", "SELECT pg_drop_replication_slot('two_to_one')")
    active = await pair.execute("two", ACCOUNTS)
    assert await rejoin(pair, BACK, THERE) == ["changed", "unchanged", "seen", *["changed"] * 2]
    assert await pair.execute("one", ACCOUNTS) == active == await pair.execute("two", ACCOUNTS)
    await write(pair, "two", "later")
    await pair.settles("one", "SELECT count(*) FROM account", 3)
    assert len(await pair.execute("one", SLOTS)) == 1


async def test_both_slots_lost(pair: Pair) -> None:
    """The sides are compared; the slot that rests from now on is gone afterwards."""
    await switch_over(THERE, BACK)
    await pair.execute("two", "UPDATE account SET note = 'newer'")
    await lose_wal(pair)
    assert await rejoin(pair, BACK, THERE) == ["changed", "changed", "seen", "unchanged", "changed"]
    assert await pair.execute("one", ACCOUNTS) == [("before", "newer")]
    assert len(await pair.execute("one", SLOTS)) == 1


async def test_a_frozen_worker_makes_and_drops_nothing(pair: Pair) -> None:
    """After the first third of its time an attempt only reads."""
    late = Attempt(age=Attempt().limit / 2)
    await run(SUSPEND, THERE)
    with pytest.raises(Unreachable, match="nothing was sent"):
        await run(BEGIN, BACK, late)
    assert len(await pair.execute("one", SLOTS)) == 1
    await run(BEGIN, BACK)
    with pytest.raises(Unreachable, match="nothing was sent"):
        await run(DROP, BACK, late)
    assert len(await pair.execute("one", SLOTS)) == 2


async def test_what_an_attempt_left_half_done_is_finished(pair: Pair) -> None:
    """The subscription names the slot as long as there may be one."""
    await run(SUSPEND, THERE)
    await pair.switch(BACK, "SET (slot_name = two_to_one)")
    # A rollback at this moment has nothing to compare with, and drops nothing.
    assert (await run(actions.VerifyNoConflicts, THERE)).outcome == "seen"
    assert (await run(BEGIN, BACK)).outcome == "changed"
    assert len(await pair.execute("one", SLOTS)) == 2
    await pair.execute("two", "SELECT pg_drop_replication_slot('two_to_one')")
    assert (await run(DROP, BACK)).outcome == "changed"
    assert await pair.value("one", POINTS_AT) is None


@pytest.mark.parametrize("kind", [BEGIN, DROP])
async def test_a_lost_reply_is_resolved_by_reading(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, kind: type[Any]
) -> None:
    """Each statement was carried out and its answer lost: attempts go on from what they read."""
    await run(SUSPEND, THERE)
    if kind is DROP:
        await run(BEGIN, BACK)
    for name in ("alter", "alter_slot"):
        monkeypatch.setattr(PostgresLink, name, _and_lose(getattr(PostgresLink, name)))
    lost = 0
    for _ in range(4):
        try:
            await run(kind, BACK)
        except OutcomeUnknown:
            lost += 1
    assert lost >= 2
    assert (await observed(BACK)).changes_kept is (kind is BEGIN)
    assert len(await pair.execute("one", SLOTS)) == (2 if kind is BEGIN else 1)


def _and_lose(statement: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def lose(*given: Any, **within: float) -> None:  # noqa: ANN401 - those of the original
        await statement(*given, **within)
        raise OutcomeUnknown("the connection broke")

    return lose


async def test_a_slot_that_something_uses_is_not_dropped(pair: Pair) -> None:
    """Whoever uses it would lose it; the engine tries again."""
    await switch_over(THERE, BACK)
    active: LiteralString = "SELECT active FROM pg_replication_slots WHERE slot_name = 'two_to_one'"
    dsn = psycopg.conninfo.make_conninfo(pair.server.dsn("two"), replication="database")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as reader:
        reader.pgconn.send_query(
            b"START_REPLICATION SLOT two_to_one LOGICAL 0/0 "
            b'(proto_version \'1\', publication_names \'"the ""pub"""\')'
        )
        await pair.settles("two", active, value=True)
        with pytest.raises(NotYet, match='slot "two_to_one" is active'):
            await run(DROP, BACK)
        await postgres_link(BACK).alter_slot(slots.DROP_IDLE, "two_to_one")
        reader.pgconn.finish()
    await pair.settles("two", active, value=False)
    assert (await run(DROP, BACK)).outcome == "changed"


async def test_a_link_that_runs_keeps_its_slot(pair: Pair) -> None:
    """It does not rest."""
    assert [(await run(kind, THERE)).outcome for kind in (BEGIN, DROP)] == ["unchanged"] * 2
    assert await pair.execute("one", SLOTS) == [(THERE.subscription,)]
    await write(pair, "one", "runs")
    await pair.settles("two", "SELECT count(*) FROM account", 2)


async def test_what_keeps_a_slot_from_being_made_is_found(pair: Pair) -> None:
    """Before replication is off: a right, room among the slots, and room for WAL."""
    most: LiteralString = "SELECT count(pg_create_physical_replication_slot('s' || n)) "
    await pair.execute("one", most + "FROM generate_series(1, 7) n")
    rights: LiteralString = "GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain"
    await pair.execute("two", f"CREATE ROLE plain LOGIN PASSWORD '{DATABASE_PASSWORD}'; {rights}")
    await pair.settles("two", "SELECT count(*) FROM pg_replication_slots", 8)
    found = {one.name: one for one in (await observed(BACK, publisher=plain())).findings}
    assert set(found) == {"slot_not_creatable", "replication_not_comparable"}
    assert found["slot_not_creatable"].seen == (
        "on database-two: plain may not make one, max_replication_slots is reached"
    )
    await pair.execute("two", "ALTER SYSTEM SET max_slot_wal_keep_size = -1")
    await pair.execute("two", "SELECT pg_reload_conf()")
    await pair.settles("two", "SHOW max_slot_wal_keep_size", "-1")
    try:
        unlimited = (await observed(BACK, publisher=database("two"))).findings
    finally:
        await pair.execute("two", "ALTER SYSTEM SET max_slot_wal_keep_size = '1TB'")
        await pair.execute("two", "SELECT pg_reload_conf()")
    assert [one.name for one in unlimited] == ["slot_not_creatable", "wal_headroom_low"]


def plain() -> Database:
    """Return the side that becomes active, with an account that may make no slot."""
    return database("two", user="plain", wal_space=2**40)


async def test_a_side_that_wrote_nothing_meets_any_number_of_changes(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a day the active side has more to deliver than can be compared row by row."""
    await switch_over(THERE, BACK)
    monkeypatch.setattr(pending, "MAX_PENDING_MESSAGES", 100)
    await pair.execute("two", "INSERT INTO account SELECT 'n' || generate_series(1, 1000)")
    assert (await run(actions.VerifyNoConflicts, BACK)).outcome == "seen"
    await write(pair, "one", "own")
    with pytest.raises(NotReady, match="more than 100 changes wait at database-two"):
        await run(actions.VerifyNoConflicts, BACK)
