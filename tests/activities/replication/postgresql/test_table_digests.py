"""A table that was written to is seen, and only that one."""

from typing import LiteralString

import pytest

from activities.replication.postgresql import table_digests
from activities.replication.postgresql.table_digests import PostgresTables
from tests.support import estates
from tests.support.postgres_pair import ACCESS, LINKS, Pair, database
from workflows.errors import OutcomeUnknown, Unreachable
from workflows.model.estate import Cluster
from workflows.model.replications.base import Replication, ReplicationLink
from workflows.model.replications.postgresql import PostgresReplication

pytestmark = pytest.mark.usefixtures("suspended")
REPLICATION = PostgresReplication(links=LINKS)
TABLES = {"public.account", 'public.Odd "1" table', "public.keyless"}
FLUSHED: LiteralString = "SELECT pg_stat_force_next_flush()"


def cluster(side: str, **changes: object) -> Cluster:
    """Return a cluster with one of the two databases."""
    node = estates.estate().cluster("cluster1").nodes[0]
    return Cluster(name=side, nodes=(node,), database=database(side, **changes), storage="/shared")


async def written(pair: Pair, statement: LiteralString) -> None:
    """Write, and have the server count it at once."""
    await pair.execute("one", statement)
    await pair.execute("one", FLUSHED)


async def differing(
    pair: Pair, tables: PostgresTables, *statements: LiteralString, side: str = "one"
) -> set[str]:
    """Return the tables of a side whose digests differ after something was written."""
    before = await tables.read(REPLICATION, cluster(side))
    for statement in statements:
        await written(pair, statement)
    after = await tables.read(REPLICATION, cluster(side))
    assert before.keys() == after.keys() == TABLES
    return {name for name in TABLES if before[name] != after[name]}


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO account VALUES ('p2', 'new')",
        "UPDATE account SET note = 'new'",
        "DELETE FROM account",
        "TRUNCATE account",
    ],
)
async def test_a_table_that_was_written_to_differs(pair: Pair, statement: LiteralString) -> None:
    """It alone, whatever was done to it."""
    assert await differing(pair, PostgresTables(ACCESS), statement) == {"public.account"}


async def test_rows_that_are_as_they_were_are_no_change(pair: Pair) -> None:
    """The counters rise; a reading by counters alone would report it."""
    again: LiteralString = "UPDATE account SET note = note"
    assert await differing(pair, PostgresTables(ACCESS), again) == set()


async def test_rows_are_read_only_where_counters_have_moved(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large table is not read every few seconds."""
    tables = PostgresTables(ACCESS)
    known = await tables.read(REPLICATION, cluster("one"))
    monkeypatch.setattr(table_digests, "_ROWS", "SELECT 'read ' || count(*) FROM {}")
    assert await tables.read(REPLICATION, cluster("one")) == known
    await written(pair, "INSERT INTO account VALUES ('p3', 'new')")
    changed = await tables.read(REPLICATION, cluster("one"))
    assert changed == known | {"public.account": "read 2"}


async def test_a_table_that_is_too_large_is_watched_by_its_counters(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then a row that is written as it was counts, too."""
    monkeypatch.setattr(table_digests, "MAX_DIGESTED", -1)
    again: LiteralString = "UPDATE account SET note = note"
    assert await differing(pair, PostgresTables(ACCESS), again) == {"public.account"}


async def test_partitions_are_watched_as_their_table(pair: Pair) -> None:
    """A table that the publication names has no rows of its own."""
    try:
        for statement in (
            "CREATE TABLE whole (id int PRIMARY KEY) PARTITION BY RANGE (id)",
            "CREATE TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (10)",
        ):
            await pair.execute("one", statement)
        tables = PostgresTables(ACCESS)
        before = await tables.read(REPLICATION, cluster("one"))
        await written(pair, "INSERT INTO whole VALUES (1)")
        after = await tables.read(REPLICATION, cluster("one"))
        assert {name for name in after if before[name] != after[name]} == {"public.part"}
    finally:
        await pair.execute("one", "DROP TABLE whole")


async def test_tables_that_stay_local_are_not_watched(pair: Pair) -> None:
    """What need not replicate is no configuration."""
    local = REPLICATION.model_copy(update={"local_tables": ("account",)})
    assert set(await PostgresTables(ACCESS).read(local, cluster("one"))) == TABLES - {
        "public.account"
    }


async def test_the_side_that_only_receives_is_watched(pair: Pair) -> None:
    """Where one link leads one way, its subscriber's tables are its configuration."""
    one_way = PostgresReplication(links=LINKS[:1])
    assert set(await PostgresTables(ACCESS).read(one_way, cluster("two"))) == TABLES


async def test_a_database_that_does_not_answer_is_unknown(pair: Pair) -> None:
    """It is never a database without tables."""
    with pytest.raises(Unreachable):
        await PostgresTables(ACCESS).read(REPLICATION, cluster("one", port=1))


async def test_an_answer_that_was_not_asked_for_is_unknown(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither rows without a digest nor a list of something else."""
    for name, query in (("_ROWS", "SELECT NULL FROM {} LIMIT 0"), ("_COUNTERS", "SELECT %s, %s")):
        monkeypatch.setattr(table_digests, name, query)
        with pytest.raises(OutcomeUnknown, match="not what was asked for"):
            await PostgresTables(ACCESS).read(REPLICATION, cluster("one"))


async def test_another_driver_has_no_tables(pair: Pair) -> None:
    """Its own log of changes is not known here."""
    link = ReplicationLink(name="one-to-two", source="one", target="two")
    other = Replication(driver="commands", links=(link,))
    assert await PostgresTables(ACCESS).read(other, cluster("one")) == {}
