"""A replication link is read, by every account that may log in, and nothing is changed."""

from typing import LiteralString

import pytest

from activities.replication.postgresql import link as postgres
from activities.replication.postgresql.link import WalUsage
from activities.replication.postgresql.observe import wal_headroom
from lab.environment import postgres as lab_postgres
from lab.layout import DATABASE_PASSWORD
from tests.activities.replication.postgresql.observing import observed
from tests.support import postgres_pair
from tests.support.postgres_pair import (
    BACK,
    THERE,
    Pair,
    database,
    input_for,
    postgres_link,
    replicating_pair,
)
from workflows.model.actions import ObserveReplication
from workflows.model.estate import Timing
from workflows.model.observations import ReplicationReading
from workflows.model.replications.postgresql import PostgresReplication

OBSERVE = ObserveReplication(link=THERE.name)
TABLES = ("public.account", "public.keyless", 'public.odd "1" table')


@pytest.fixture(autouse=True)
async def running(pair: Pair) -> None:
    """Both directions run."""
    await pair.run()


def names(reading: ReplicationReading) -> list[str]:
    """Return what was found."""
    return [finding.name for finding in reading.findings]


async def test_everything_is_read() -> None:
    """State and tables, in lower case."""
    reading = await observed()
    assert (reading.exists, reading.enabled, reading.running) == (True, True, True)
    assert (reading.tables, reading.findings) == (TABLES, ())


async def test_a_link_without_a_subscription_does_not_exist() -> None:
    """That is an answer; the subscription that is there belongs to no link then."""
    other = THERE.model_copy(update={"subscription": "other"})
    reading = await observed(other)
    assert (reading.exists, reading.enabled, reading.running) == (False, None, None)
    [finding] = reading.findings
    assert (finding.name, finding.seen) == ("unknown_subscription", "one_to_two")


async def test_a_lag_is_found_in_the_unit_of_the_limit(pair: Pair) -> None:
    """How far the subscriber is behind, and how far it may be."""
    await pair.idle()
    await pair.execute("one", "INSERT INTO account SELECT 'l' || generate_series(1, 20000)")
    replication = input_for(OBSERVE).replication.model_copy(update={"lag_limit": 2**20})
    [finding] = (await observed(replication=replication)).findings
    assert finding.name == "replication_lagging"
    assert finding.seen.endswith("MiB behind one")
    assert finding.expected == "at most 1.0 MiB"


async def test_what_the_publisher_retains_is_read(pair: Pair) -> None:
    """WAL retained, WAL that may be retained; no headroom where there is no limit."""
    await limited(pair, "-1")
    before = await postgres_link().wal("one_to_two")
    assert before.headroom is None
    await pair.idle()
    await pair.execute("one", "INSERT INTO account SELECT 'w' || generate_series(1, 30000)")
    kept = await postgres_link().wal("one_to_two")
    assert (kept.retained or 0) > (before.retained or 0) + 2**20
    try:
        await limited(pair, "1GB")
        assert 2**29 < ((await postgres_link().wal("one_to_two")).headroom or 0) <= 2**30 + 2**26
        await limited(pair, "1MB")
        for _ in range(2):
            await pair.execute("one", "SELECT pg_switch_wal()")
        await pair.execute("one", "INSERT INTO account SELECT 'v' || generate_series(1, 100)")
        assert (await postgres_link().wal("one_to_two")).headroom == 0
    finally:
        await limited(pair, "-1")


async def limited(pair: Pair, size: LiteralString) -> None:
    """Limit the WAL that slots may retain, and wait until the server uses the limit."""
    await pair.execute("one", f"ALTER SYSTEM SET max_slot_wal_keep_size = '{size}'")
    await pair.execute("one", "SELECT pg_reload_conf()")
    await pair.settles("one", "SHOW max_slot_wal_keep_size", size)


@pytest.mark.parametrize(
    ("usage", "space", "seen"),
    [
        (WalUsage(0, None, None), None, "no limit for retained WAL"),
        (WalUsage(0, 10**6, 100.0), None, "space for 1 MiB"),
        (WalUsage(0, 0, None), None, "space for 0 MiB"),
        (WalUsage(10**9, None, 10.0), 10**9, "space for 0 MiB"),
        (WalUsage(10**6, None, 10.0), 10**9, None),
        (WalUsage(0, 4 * 1024**3, 10.0), None, None),
    ],
)
def test_too_little_room_for_wal_is_found(
    usage: WalUsage, space: int | None, seen: str | None
) -> None:
    """What is written in the drain timeout has to fit; the estate may give the limit."""
    found = list(wal_headroom(usage, database("one", wal_space=space), Timing()))
    assert [finding.name for finding in found] == (["wal_headroom_low"] if seen else [])
    assert all(seen and finding.seen.startswith(seen) for finding in found)


async def test_a_rate_needs_a_minute_of_statistics(
    monkeypatch: pytest.MonkeyPatch, pair: Pair
) -> None:
    """Before, an average says nothing."""
    await pair.execute("one", "SELECT pg_stat_reset_shared('wal')")
    assert (await postgres_link().wal("one_to_two")).rate is None
    monkeypatch.setattr(postgres, "MIN_STATISTICS_SECONDS", 0.0)
    await pair.execute("one", "INSERT INTO account SELECT 'r' || generate_series(1, 100)")
    assert ((await postgres_link().wal("one_to_two")).rate or 0) > 0


async def test_a_subscription_that_no_link_names_is_found(pair: Pair) -> None:
    """Enabled or not; those of other databases belong to others."""
    for side in ("one", "two"):
        await pair.execute(
            side,
            f"CREATE SUBSCRIPTION unknown_{side} CONNECTION 'host=127.0.0.1' PUBLICATION x "
            "WITH (connect = false)",
        )
    try:
        [finding] = (await observed()).findings
        assert (finding.name, finding.seen) == ("unknown_subscription", "unknown_two")
        assert finding.place == "database-two"
    finally:
        for side in ("one", "two"):
            name: LiteralString = f"SUBSCRIPTION unknown_{side}"
            await pair.execute(side, f"ALTER {name} SET (slot_name = NONE)")
            await pair.execute(side, f"DROP {name}")


async def test_a_subscription_that_leads_back_is_found_in_an_estate_of_one_direction(
    pair: Pair,
) -> None:
    """If it is on; the estate's only link does not write to that database."""
    one_way = PostgresReplication(links=(THERE,))
    [finding] = (await observed(replication=one_way)).findings
    assert (finding.name, finding.place, finding.seen) == (
        "unknown_subscription",
        "database-one",
        "two_to_one",
    )
    await pair.switch(BACK, "DISABLE")
    assert (await observed(replication=one_way)).findings == ()


async def test_whether_a_link_sends_back_what_arrived_is_read(pair: Pair) -> None:
    """By its subscription's origin; that it is off then says nothing of it."""
    assert (await observed()).sends_back is False
    try:
        await pair.execute("two", "ALTER SUBSCRIPTION one_to_two SET (origin = any)")
        assert (await observed()).sends_back is True
        assert (await observed(BACK)).sends_back is False
    finally:
        await pair.execute("two", "ALTER SUBSCRIPTION one_to_two SET (origin = none)")


async def test_an_account_without_any_right_reads_it_all(pair: Pair) -> None:
    """A login suffices to read; what it could not do later is found."""
    await pair.execute("two", f"CREATE ROLE observer LOGIN PASSWORD '{DATABASE_PASSWORD}'")
    reading = await observed(
        publisher=database("one", user="observer", wal_space=2**40),
        subscriber=database("two", user="observer"),
    )
    everything = await observed()
    assert reading.model_dump(exclude={"findings"}) == everything.model_dump(exclude={"findings"})
    assert names(reading) == ["replication_not_comparable"] * 2 + ["replication_not_alterable"]
    assert "keyless" in reading.findings[1].seen


async def test_a_server_that_tracks_no_commit_timestamps_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The side that wrote a row last could not be found out."""
    monkeypatch.setitem(lab_postgres.SETTINGS, "track_commit_timestamp", "off")
    monkeypatch.setattr(
        postgres_pair, "ADDRESS", postgres_pair.ADDRESS.replace("127.9.7", "127.9.10")
    )
    async with replicating_pair() as elsewhere:
        await elsewhere.run()
        [finding] = (await observed()).findings
    assert (finding.name, finding.place) == ("commit_timestamps_off", "database-two")


async def test_observing_never_fails() -> None:
    """What cannot be read is a finding, beside what can."""
    reading = await observed(subscriber=database("two", port=1))
    assert names(reading) == ["database_unreachable"]
    assert (reading.enabled, reading.tables) == (None, TABLES)
