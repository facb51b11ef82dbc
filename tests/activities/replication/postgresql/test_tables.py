"""A table that has to replicate and does not is found, in whatever way it was left out."""

from typing import Any, LiteralString

import pytest

from tests.activities.replication.postgresql.observing import observed
from tests.support.postgres_pair import BACK, THERE, Pair, input_for
from workflows.model.actions import ObserveReplication
from workflows.model.replications.postgresql import PostgresReplication

PUBLICATION: LiteralString = 'PUBLICATION "the ""pub"""'
REFRESH: LiteralString = (
    "ALTER SUBSCRIPTION one_to_two REFRESH PUBLICATION WITH (copy_data = false)"
)
PARTITIONS: tuple[LiteralString, ...] = (
    "CREATE TABLE news (at date) PARTITION BY RANGE (at)",
    "CREATE TABLE news_1 PARTITION OF news FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
)


@pytest.fixture(autouse=True)
async def running(pair: Pair) -> None:
    """Both directions run, and nothing is found."""
    await pair.run()


async def found(pair: Pair, *statements: LiteralString, side: str = "one") -> list[tuple[str, str]]:
    """Execute statements on one side, and return what is found on the link from one to two."""
    for statement in statements:
        await pair.execute(side, statement)
    return [(finding.name, finding.seen) for finding in (await observed()).findings]


async def only(pair: Pair, tables: LiteralString, *options: LiteralString) -> None:
    """Publish only these tables on one, and let two receive exactly these."""
    await pair.execute("one", f"DROP {PUBLICATION}")
    await pair.execute("one", f"CREATE {PUBLICATION} FOR TABLE {tables}")
    for option in options:
        await pair.execute("one", f"ALTER {PUBLICATION} SET ({option})")
    await pair.execute("two", REFRESH)


async def restore(pair: Pair) -> None:
    """Publish and receive every table again."""
    await pair.execute("one", f"DROP {PUBLICATION}")
    await pair.execute("one", f"CREATE {PUBLICATION} FOR ALL TABLES")
    await pair.execute("two", REFRESH)


ALL: LiteralString = 'account, keyless, "Odd ""1"" table"'


@pytest.mark.parametrize(
    ("tables", "options", "name", "seen"),
    [
        (
            'keyless, "Odd ""1"" table"',
            (),
            "tables_not_published",
            'not in publication the "pub" on database-one: public.account',
        ),
        (
            ALL,
            ("publish = 'insert'",),
            "tables_published_in_part",
            'publication the "pub" leaves out update, delete of all its tables',
        ),
        (
            'account WHERE (name > \'a\'), keyless, "Odd ""1"" table"',
            (),
            "tables_published_in_part",
            'publication the "pub" leaves out rows, by a row filter on public.account',
        ),
        (
            'account (name, note), keyless, "Odd ""1"" table"',
            (),
            "tables_published_in_part",
            'publication the "pub" leaves out columns, by a column list on public.account',
        ),
        (
            'account (at, note, name), keyless, "Odd ""1"" table"',
            ("publish = 'insert, update, delete'",),
            "",
            "",
        ),
    ],
)
async def test_what_a_publication_leaves_out_is_found(
    pair: Pair, tables: LiteralString, options: tuple[LiteralString, ...], name: str, seen: str
) -> None:
    """A table, changes, rows or columns; a list of all columns leaves out nothing."""
    try:
        await only(pair, tables, *options)
        assert await found(pair) == ([(name, seen)] if name else [])
    finally:
        await restore(pair)


async def test_a_table_that_was_published_later_is_found(pair: Pair) -> None:
    """Until the subscription is refreshed; and only in the direction in which it is missing."""
    later: LiteralString = "CREATE TABLE later (id int PRIMARY KEY)"
    try:
        [(name, seen)] = await found(pair, later)
        assert (name, seen) == (
            "tables_not_subscribed",
            "published, and not received by subscription one_to_two: public.later",
        )
        assert (await observed(BACK)).findings == ()
        await pair.execute("two", later)
        await pair.execute("two", REFRESH)
        assert await found(pair) == []
        assert [finding.name for finding in (await observed(BACK)).findings] == [name]
    finally:
        for side in ("one", "two"):
            await pair.execute(side, "DROP TABLE later")


async def test_a_table_that_is_still_being_copied_is_found(pair: Pair) -> None:
    """Rows that it has here are not all there."""
    state: LiteralString = "UPDATE pg_subscription_rel SET srsubstate = '{}' WHERE srrelid = "
    table: LiteralString = "'account'::regclass"
    try:
        await pair.switch(THERE, "DISABLE")  # its worker would copy the table at once
        assert await found(pair, state.replace("{}", "d") + table, side="two") == [
            (
                "tables_not_subscribed",
                "still being copied by subscription one_to_two: public.account",
            )
        ]
    finally:
        await pair.execute("two", state.replace("{}", "r") + table)


async def test_a_publication_that_is_not_there_is_named(pair: Pair) -> None:
    """And one that the subscription does not receive."""
    other = THERE.model_copy(update={"publication": "other"})
    assert [(f.name, f.seen) for f in (await observed(other)).findings] == [
        ("tables_not_published", "database-one has no publication other"),
        ("publication_differs", 'subscription one_to_two on database-two receives the "pub"'),
    ]


@pytest.mark.parametrize("as_root", ["true", "false"])
async def test_partitions_are_carried_by_their_table(pair: Pair, as_root: LiteralString) -> None:
    """Whether each is published by itself or not."""
    try:
        for side in ("one", "two"):
            for statement in PARTITIONS:
                await pair.execute(side, statement)
        await only(pair, ALL, f"publish_via_partition_root = {as_root}")
        [(name, seen)] = await found(pair)
        assert (name, seen.rpartition(" ")[2]) == ("tables_not_published", "public.news_1")
        await only(pair, ALL + ", news", f"publish_via_partition_root = {as_root}")
        assert await found(pair) == []
    finally:
        for side in ("one", "two"):
            await pair.execute(side, "DROP TABLE news")
        await restore(pair)


async def test_tables_that_stay_local_need_not_replicate(pair: Pair) -> None:
    """Those of the profile, their partitions, and those that the estate names."""
    statements: tuple[LiteralString, ...] = (
        "CREATE SCHEMA audit",
        *(f"CREATE TABLE {name} (id int)" for name in ("event", "logging_event_20260101")),
        *(f"CREATE TABLE audit.{name} (id int)" for name in ("a", "b")),
    )
    try:
        await only(pair, ALL)
        for statement in statements:
            await pair.execute("one", statement)
        [(name, seen)] = await found(pair)
        assert name == "tables_not_published"
        assert seen.endswith(": audit.a, audit.b")
        replication = input_for(ObserveReplication(link=THERE.name)).replication
        local = replication.model_copy(update={"local_tables": ("Audit.*",)})
        assert (await observed(replication=local)).findings == ()
    finally:
        await pair.execute("one", "DROP SCHEMA audit CASCADE")
        await pair.execute("one", "DROP TABLE event, logging_event_20260101")
        await restore(pair)


@pytest.mark.parametrize(
    ("table", "local"),
    [
        ("public.account", False),
        ("public.Report_1", True),
        ("st.report_2", True),
        ("site.account", True),
        ("public.event", True),
    ],
)
def test_a_pattern_is_compared_with_and_without_the_schema(table: str, *, local: bool) -> None:
    """Without regard to case."""
    written: dict[str, Any] = {"local_tables": ["report_?", "SITE.*"]}
    replication = PostgresReplication(links=(THERE,), **written)
    assert replication.stays_local(table) is local
