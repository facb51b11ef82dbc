"""Which faults can databases and their replication have, and how are they planted?

What a plant changes about replication leaves no record: it is nobody's effect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import LiteralString

import psycopg
from psycopg import sql

from lab.campaigns.preflight_faults.actions import until
from lab.campaigns.preflight_faults.fault import Action, InjectedFault
from lab.environment.databases import PUBLICATION, subscription
from lab.environment.postgres import superuser_dsn
from lab.layout import DATABASE, DATABASE_USER, ClusterLayout, Layout

Side = Callable[[Layout, str], ClusterLayout]
"""Which of the databases, given a place."""
Statements = Sequence[LiteralString]

EXCLUDED = "event"
HELD = "certificate"
"""A replicated table that nobody writes to."""
HOLD = "lab_plant"
BEHIND = 80
"""MiB: more than the 64 by which a subscriber may be behind."""
SCHEMA = "lab_plant"
STRANGER = "reporting"

RUNS: LiteralString = """
SELECT EXISTS (SELECT FROM pg_stat_subscription
               WHERE subname = %s AND relid IS NULL AND pid IS NOT NULL)
"""
STANDS: LiteralString = """
SELECT NOT EXISTS (SELECT FROM pg_stat_subscription
                   WHERE subname = %s AND relid IS NULL AND pid IS NOT NULL)
"""
CAUGHT_UP: LiteralString = """
SELECT active AND confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s
"""
FAR_BEHIND: LiteralString = """
SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) > %s * 1048576
FROM pg_replication_slots WHERE slot_name = %s
"""
WRITE: LiteralString = """
SELECT count(pg_logical_emit_message(false, 'lab', repeat('x', 1048576)))
FROM generate_series(1, %s)
"""
SHIM: Statements = (
    "CREATE SCHEMA {schema}",
    """
    CREATE FUNCTION {schema}.current_setting(name text) RETURNS text LANGUAGE sql STABLE AS $$
        SELECT CASE name WHEN 'track_commit_timestamp' THEN 'off'
                         ELSE pg_catalog.current_setting(name) END
    $$
    """,
    "GRANT USAGE ON SCHEMA {schema} TO {user}",
    "ALTER ROLE {user} IN DATABASE {database} SET search_path = {schema}, pg_catalog, public",
)
"""A schema comes first on the account's path, as a directory does on a machine's PATH: a real
change of that setting would need a restart of the server, and the lab with it."""
UNSHIM: Statements = (
    "ALTER ROLE {user} IN DATABASE {database} RESET search_path",
    "DROP SCHEMA IF EXISTS {schema} CASCADE",
)
SETTING: LiteralString = (
    "SELECT setting = %s FROM pg_settings WHERE name = 'max_slot_wal_keep_size'"
)


@dataclass(frozen=True)
class Link:
    """One direction of replication."""

    publisher: ClusterLayout
    subscriber: ClusterLayout

    @classmethod
    def of(cls, layout: Layout, place: str) -> Link:
        """Return the link of that name."""
        source, _, target = place.partition("-to-")
        return cls(layout.cluster(source), layout.cluster(target))

    @property
    def name(self) -> str:
        """Of its subscription, and of its slot."""
        return subscription(self.publisher.name, self.subscriber.name)


def _publisher(layout: Layout, place: str) -> ClusterLayout:
    return Link.of(layout, place).publisher


def _subscriber(layout: Layout, place: str) -> ClusterLayout:
    return Link.of(layout, place).subscriber


def _database(layout: Layout, place: str) -> ClusterLayout:
    return {cluster.database_name: cluster for cluster in layout.clusters}[place]


def _statements(side: Side, *statements: LiteralString) -> Action:
    """Return the hand that has a database carry out statements."""

    async def act(layout: Layout, place: str) -> None:
        cluster = side(layout, place)
        name = Link.of(layout, place).name if "-to-" in place else STRANGER
        async with await _connect(cluster) as connection:
            for statement in statements:
                await connection.execute(_spelled(statement, name))

    return act


def _spelled(statement: LiteralString, link: str) -> sql.Composed:
    words = {
        "database": DATABASE,
        "excluded": EXCLUDED,
        "held": HELD,
        "publication": PUBLICATION,
        "renamed": f"{link}_before",
        "schema": SCHEMA,
        "subscription": link,
        "user": DATABASE_USER,
    }
    names = {word: sql.Identifier(name) for word, name in words.items()}
    return sql.SQL(statement).format(**names, hold=sql.Literal(HOLD))


async def _connect(cluster: ClusterLayout) -> psycopg.AsyncConnection:
    dsn = superuser_dsn(cluster.database_address, DATABASE)
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    await connection.execute("SET event_triggers = off")
    return connection


async def _holds(cluster: ClusterLayout, question: LiteralString, *values: object) -> bool:
    async with await _connect(cluster) as connection:
        answer = await (await connection.execute(question, values)).fetchone()
    return bool(answer and answer[0])


async def _until_replicating(layout: Layout, place: str) -> None:
    """Wait until the link runs and has nothing left to deliver."""
    link = Link.of(layout, place)
    async with await _connect(link.publisher) as connection:
        row = await (await connection.execute("SELECT pg_current_wal_lsn()::text")).fetchone()
    written = row[0] if row else ""
    await until(partial(_holds, link.subscriber, RUNS, link.name), f"{place} runs")
    caught_up = partial(_holds, link.publisher, CAUGHT_UP, written, link.name)
    await until(caught_up, f"{place} has caught up")


def _then(hand: Action, condition: Action) -> Action:
    """Return the hand that does one thing and waits for another."""

    async def act(layout: Layout, place: str) -> None:
        await hand(layout, place)
        await condition(layout, place)

    return act


async def _until_standing(layout: Layout, place: str) -> None:
    link = Link.of(layout, place)
    await until(partial(_holds, link.subscriber, STANDS, link.name), f"{place} stands")


async def _until_renamed(layout: Layout, place: str) -> None:
    link = Link.of(layout, place)
    runs = partial(_holds, link.subscriber, RUNS, f"{link.name}_before")
    await until(runs, f"{place} runs under another name")


async def _fall_behind(layout: Layout, place: str) -> None:
    link = Link.of(layout, place)
    await _statements(
        _subscriber, "BEGIN", "LOCK TABLE {held} IN SHARE MODE", "PREPARE TRANSACTION {hold}"
    )(layout, place)
    # The same row again: it differs nowhere, and the subscriber has to wait with it.
    await _statements(_publisher, "UPDATE {held} SET alias = alias")(layout, place)
    async with await _connect(link.publisher) as connection:
        await connection.execute(WRITE, (BEHIND,))
    behind = partial(_holds, link.publisher, FAR_BEHIND, BEHIND - 1, link.name)
    await until(behind, f"{place} is {BEHIND} MiB behind")


async def _keep_little(layout: Layout, place: str) -> None:
    # A checkpoint meanwhile could give a slot up for good; the next one is far away.
    await _statements(
        _database,
        "CHECKPOINT",
        "ALTER SYSTEM SET checkpoint_timeout = '1d'",
        "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'",
        "SELECT pg_reload_conf()",
    )(layout, place)
    little = partial(_holds, _database(layout, place), SETTING, "1")
    await until(little, f"{place} keeps 1 MB of WAL for a slot")


async def _keep_much(layout: Layout, place: str) -> None:
    await _statements(
        _database,
        "ALTER SYSTEM RESET max_slot_wal_keep_size",
        "ALTER SYSTEM RESET checkpoint_timeout",
        "SELECT pg_reload_conf()",
    )(layout, place)

    async def much() -> bool:
        return not await _holds(_database(layout, place), SETTING, "1")

    await until(much, f"{place} keeps WAL for slots again")


FAULTS = (
    InjectedFault(
        "database_unreachable",
        "cluster1-to-cluster2",
        "The subscriber's database accepts no new connection of the account.",
        _statements(_subscriber, "ALTER DATABASE {database} CONNECTION LIMIT 0"),
        _statements(_subscriber, "ALTER DATABASE {database} CONNECTION LIMIT -1"),
    ),
    InjectedFault(
        "replication_not_running",
        "cluster1-to-cluster2",
        "Its subscription is disabled.",
        _then(
            _statements(_subscriber, "ALTER SUBSCRIPTION {subscription} DISABLE"), _until_standing
        ),
        _then(
            _statements(_subscriber, "ALTER SUBSCRIPTION {subscription} ENABLE"), _until_replicating
        ),
    ),
    InjectedFault(
        "replication_one_way",
        "cluster2-to-cluster1",
        "Its subscription has another name than in the estate.",
        _then(
            _statements(_subscriber, "ALTER SUBSCRIPTION {subscription} RENAME TO {renamed}"),
            _until_renamed,
        ),
        _then(
            _statements(_subscriber, "ALTER SUBSCRIPTION {renamed} RENAME TO {subscription}"),
            _until_replicating,
        ),
    ),
    InjectedFault(
        "replication_lagging",
        "cluster1-to-cluster2",
        f"A lock holds the subscriber, which is {BEHIND} MiB behind.",
        _fall_behind,
        _then(_statements(_subscriber, "ROLLBACK PREPARED {hold}"), _until_replicating),
    ),
    InjectedFault(
        "excluded_tables_replicated",
        "cluster1-to-cluster2",
        "The publication carries the event queue.",
        _statements(_publisher, "ALTER PUBLICATION {publication} ADD TABLE {excluded}"),
        _statements(_publisher, "ALTER PUBLICATION {publication} DROP TABLE {excluded}"),
    ),
    InjectedFault(
        "replication_not_comparable",
        "cluster1-to-cluster2",
        "The account may not read replication slots on the publisher.",
        _statements(_publisher, "ALTER ROLE {user} NOREPLICATION"),
        _then(_statements(_publisher, "ALTER ROLE {user} REPLICATION"), _until_replicating),
    ),
    InjectedFault(
        "unknown_subscription",
        "database1",
        "It has a subscription that the estate does not list.",
        _statements(
            _database,
            "CREATE SUBSCRIPTION {subscription} CONNECTION 'host=reporting.example.com' "
            "PUBLICATION {publication} "
            "WITH (connect = false, enabled = false, slot_name = NONE)",
        ),
        _statements(_database, "DROP SUBSCRIPTION IF EXISTS {subscription}"),
    ),
    InjectedFault(
        "commit_timestamps_off",
        "database2",
        "The account is told that track_commit_timestamp is off.",
        _statements(_database, *SHIM),
        _statements(_database, *UNSHIM),
    ),
    InjectedFault(
        "wal_headroom_low",
        "database1",
        "It keeps 1 MB of WAL for a slot.",
        _keep_little,
        _keep_much,
    ),
)
