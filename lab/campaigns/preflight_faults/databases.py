"""Faults of the databases and their replication, which leave no record of effects."""

from collections.abc import Callable
from functools import partial
from typing import LiteralString

import psycopg
from psycopg import sql

from lab.campaigns.preflight_faults.actions import until
from lab.campaigns.preflight_faults.fault import Action, InjectedFault
from lab.environment.databases import subscription
from lab.environment.postgres import superuser_dsn
from lab.layout import DATABASE, DATABASE_USER, ClusterLayout, Layout

Side = Callable[[Layout, str], ClusterLayout]
"""Which cluster of a link."""

LINK = "cluster1-to-cluster2"
LOCKED = "certificate"
"""A replicated table that nothing writes to."""
LOCK = "lab_injected"
LAG = 80
"""MiB: more than the 64 that a subscriber may lag behind."""
NAMES = {
    "database": sql.Identifier(DATABASE),
    "lock": sql.Literal(LOCK),
    "locked": sql.Identifier(LOCKED),
    "user": sql.Identifier(DATABASE_USER),
}

REPLICATES: LiteralString = """
SELECT EXISTS (SELECT FROM pg_stat_subscription
               WHERE subname = %s AND relid IS NULL AND pid IS NOT NULL)
"""
CAUGHT_UP: LiteralString = """
SELECT active AND confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s
"""
LAGS: LiteralString = """
SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) > %s * 1048576
FROM pg_replication_slots WHERE slot_name = %s
"""
WRITE: LiteralString = """
SELECT count(pg_logical_emit_message(false, 'lab', repeat('x', 1048576)))
FROM generate_series(1, %s)
"""
SETTING: LiteralString = (
    "SELECT setting = %s FROM pg_settings WHERE name = 'max_slot_wal_keep_size'"
)


def _publisher(layout: Layout, link: str) -> ClusterLayout:
    return layout.cluster(link.partition("-to-")[0])


def _subscriber(layout: Layout, link: str) -> ClusterLayout:
    return layout.cluster(link.partition("-to-")[2])


def _slot(link: str) -> str:
    source, _, target = link.partition("-to-")
    return subscription(source, target)


def _database(layout: Layout, place: str) -> ClusterLayout:
    return {cluster.database_name: cluster for cluster in layout.clusters}[place]


async def _connect(cluster: ClusterLayout) -> psycopg.AsyncConnection:
    dsn = superuser_dsn(cluster.database_address, DATABASE)
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    await connection.execute("SET event_triggers = off")
    return connection


async def _execute(cluster: ClusterLayout, *statements: LiteralString, link: str = LINK) -> None:
    names = {**NAMES, "subscription": sql.Identifier(_slot(link))}
    async with await _connect(cluster) as connection:
        for statement in statements:
            await connection.execute(sql.SQL(statement).format(**names))


async def _holds(cluster: ClusterLayout, question: LiteralString, *values: object) -> bool:
    async with await _connect(cluster) as connection:
        answer = await (await connection.execute(question, values)).fetchone()
    return bool(answer and answer[0])


async def _until_replicating(layout: Layout, link: str) -> None:
    """Wait until the link replicates and has caught up."""
    publisher, slot = _publisher(layout, link), _slot(link)
    async with await _connect(publisher) as connection:
        row = await (await connection.execute("SELECT pg_current_wal_lsn()::text")).fetchone()
    written = row[0] if row else ""
    await until(partial(_holds, _subscriber(layout, link), REPLICATES, slot), f"{link} replicates")
    await until(partial(_holds, publisher, CAUGHT_UP, written, slot), f"{link} has caught up")


def _executes(side: Side, *statements: LiteralString) -> Action:
    """Return the action that executes statements on one side of a link."""

    async def act(layout: Layout, link: str) -> None:
        await _execute(side(layout, link), *statements, link=link)

    return act


def _restores(side: Side, *statements: LiteralString) -> Action:
    """Return the action that does so, and waits until the link has caught up."""

    async def act(layout: Layout, link: str) -> None:
        await _execute(side(layout, link), *statements, link=link)
        await _until_replicating(layout, link)

    return act


async def _disable(layout: Layout, link: str) -> None:
    subscriber = _subscriber(layout, link)
    await _execute(subscriber, "ALTER SUBSCRIPTION {subscription} DISABLE", link=link)

    async def stopped() -> bool:
        return not await _holds(subscriber, REPLICATES, _slot(link))

    await until(stopped, f"{link} does not replicate")


async def _lag(layout: Layout, link: str) -> None:
    publisher = _publisher(layout, link)
    await _execute(
        _subscriber(layout, link),
        "BEGIN",
        "LOCK TABLE {locked} IN SHARE MODE",
        "PREPARE TRANSACTION {lock}",
    )
    # The same row again: it differs nowhere, and the subscriber has to wait with it.
    await _execute(publisher, "UPDATE {locked} SET alias = alias")
    async with await _connect(publisher) as connection:
        await connection.execute(WRITE, (LAG,))
    behind = partial(_holds, publisher, LAGS, LAG - 1, _slot(link))
    await until(behind, f"{link} lags {LAG} MiB")


async def _limit_wal(layout: Layout, place: str) -> None:
    cluster = _database(layout, place)
    # A checkpoint meanwhile could invalidate a slot; the next one is far away.
    await _execute(
        cluster,
        "CHECKPOINT",
        "ALTER SYSTEM SET checkpoint_timeout = '1d'",
        "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'",
        "SELECT pg_reload_conf()",
    )
    await until(partial(_holds, cluster, SETTING, "1"), f"{place} keeps 1 MB of WAL for a slot")


async def _unlimit_wal(layout: Layout, place: str) -> None:
    cluster = _database(layout, place)
    await _execute(
        cluster,
        "ALTER SYSTEM RESET max_slot_wal_keep_size",
        "ALTER SYSTEM RESET checkpoint_timeout",
        "SELECT pg_reload_conf()",
    )

    async def unlimited() -> bool:
        return not await _holds(cluster, SETTING, "1")

    await until(unlimited, f"{place} keeps WAL for slots again")


FAULTS = (
    InjectedFault(
        "database_unreachable",
        LINK,
        "The subscriber's database accepts no new connection of the account.",
        _executes(_subscriber, "ALTER DATABASE {database} CONNECTION LIMIT 0"),
        _executes(_subscriber, "ALTER DATABASE {database} CONNECTION LIMIT -1"),
    ),
    InjectedFault(
        "replication_not_running",
        LINK,
        "Its subscription is disabled.",
        _disable,
        _restores(_subscriber, "ALTER SUBSCRIPTION {subscription} ENABLE"),
    ),
    InjectedFault(
        "replication_lagging",
        LINK,
        f"A lock holds the subscriber, which lags {LAG} MiB behind.",
        _lag,
        _restores(_subscriber, "ROLLBACK PREPARED {lock}"),
    ),
    InjectedFault(
        "replication_not_comparable",
        LINK,
        "The account may not read replication slots on the publisher.",
        _executes(_publisher, "ALTER ROLE {user} NOREPLICATION"),
        _restores(_publisher, "ALTER ROLE {user} REPLICATION"),
    ),
    InjectedFault(
        "wal_headroom_low",
        "database1",
        "It keeps 1 MB of WAL for a slot.",
        _limit_wal,
        _unlimit_wal,
    ),
)
