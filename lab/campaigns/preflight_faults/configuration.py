"""Which faults can there be in what is configured, queued and stored, and how are they planted?"""

from __future__ import annotations

import os
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.environment.postgres import superuser_dsn
from lab.layout import DATABASE, Layout, account
from lab.node import options
from lab.node.files import hidden

STRANGER = "stranger"
PARTNER = account(1)
ID = uuid.uuid5(uuid.NAMESPACE_URL, "lab:planted")
LONG_AGO = 7200
"""Seconds: two hours."""
ORIGIN = "lab_plant"


def _row(name: str, table: str, *values: object, key: str = "") -> InjectedFault:
    """Return a row, named in its first column or in *key*, that only one cluster's database has."""
    where = sql.Identifier(table)
    literals = sql.SQL(", ").join(map(sql.Literal, values))
    insert = sql.SQL("INSERT INTO {} VALUES ({}) ON CONFLICT DO NOTHING").format(where, literals)
    delete = sql.SQL("DELETE FROM {} WHERE {} = {}").format(
        where, sql.Identifier(key or "name"), sql.Literal(STRANGER)
    )

    async def inject(layout: Layout, place: str) -> None:
        await _write_here_only(layout, place, insert)

    async def revert(layout: Layout, place: str) -> None:
        await _write_here_only(layout, place, delete)

    words = f"It has one {table.replace('_', ' ')} more than the other cluster."
    return InjectedFault(name, "cluster2", words, inject, revert)


async def _write_here_only(layout: Layout, place: str, statement: sql.Composed) -> None:
    """Write as if it had come by replication: such a change is not sent on (origin = none)."""
    dsn = superuser_dsn(layout.cluster(place).database_address, DATABASE)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(
            "SELECT pg_replication_origin_create(%(name)s) "
            "WHERE pg_replication_origin_oid(%(name)s) IS NULL",
            {"name": ORIGIN},
        )
        await connection.execute("SELECT pg_replication_origin_session_setup(%s)", (ORIGIN,))
        await connection.execute(statement)
        await connection.execute("SELECT pg_replication_origin_session_reset()")
        await connection.execute("SELECT pg_replication_origin_drop(%s)", (ORIGIN,))


def _option(name: str, place: str, words: str, option: str, value: str) -> InjectedFault:
    """Return an option that someone has changed on a cluster."""

    async def inject(layout: Layout, place: str) -> None:
        options.change(layout, place, option, value)

    async def revert(layout: Layout, place: str) -> None:
        options.restore(layout, place, option)

    return InjectedFault(name, place, words, inject, revert)


async def _queue_event(layout: Layout, place: str) -> None:
    async with await psycopg.AsyncConnection.connect(layout.cluster(place).dsn) as connection:
        await connection.execute(
            "INSERT INTO event (id, kind, account, path, created) "
            "VALUES (%s, 'unreachable_partner', %s, 'order.dat', now() - make_interval(secs => %s))"
            "ON CONFLICT DO NOTHING",
            (ID, PARTNER, LONG_AGO),
        )


async def _drop_event(layout: Layout, place: str) -> None:
    async with await psycopg.AsyncConnection.connect(layout.cluster(place).dsn) as connection:
        await connection.execute("DELETE FROM event WHERE id = %s", (ID,))


async def _leave_orphan(layout: Layout, place: str) -> None:
    orphan = _orphan(layout, place)
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"half a file")
    long_ago = time.time() - LONG_AGO
    os.utime(orphan, (long_ago, long_ago))


async def _remove_orphan(layout: Layout, place: str) -> None:
    orphan = _orphan(layout, place)
    orphan.unlink(missing_ok=True)
    with suppress(OSError):  # the account has other files
        orphan.parent.rmdir()


def _orphan(layout: Layout, place: str) -> Path:
    return hidden(layout.cluster(place).storage / "accounts" / PARTNER / "order.dat", ID)


FAULTS = (
    _option(
        "options_differ",
        "cluster2",
        "One of its options has another value than on the other cluster.",
        "Ssh.MaxConnections",
        "50",
    ),
    _option(
        "graceful_timeout_short",
        "cluster1",
        "Its HTTP protocol servers are given 30 seconds for a graceful stop.",
        "Http.GracefulShutdownTimeout",
        "30",
    ),
    _option(
        "transaction_manager_timeout_short",
        "cluster1",
        "Its Transaction Managers are given 20 seconds for a graceful stop, so that none is.",
        "TransactionManager.GracefulShutdownTimeout",
        "20",
    ),
    _option(
        "maintenance_mode",
        "cluster2",
        "It is in maintenance mode.",
        "Server.MaintenanceMode.enabled",
        "true",
    ),
    _row("accounts_differ", "account", STRANGER, "planted"),
    _row("business_units_differ", "business_unit", STRANGER, "/data/stranger"),
    _row("sites_differ", "site", STRANGER, PARTNER, "ssh", "stranger.example.com"),
    _row("routes_differ", "route", STRANGER, "SIMPLE", "always"),
    _row("subscriptions_differ", "subscription", PARTNER, STRANGER, "Routing", key="folder"),
    _row("applications_differ", "application", STRANGER, "SharedFolder"),
    _row(
        *("certificates_differ", "certificate", STRANGER, "CN=stranger, O=Example", "trusted"),
        datetime(2040, 1, 1, tzinfo=UTC),
        key="alias",
    ),
    InjectedFault(
        "events_stuck",
        "cluster1",
        "An event is in its queue for two hours, and no Server works on it.",
        _queue_event,
        _drop_event,
    ),
    InjectedFault(
        "orphaned_files",
        "cluster1",
        "Half a file lies on its storage for two hours.",
        _leave_orphan,
        _remove_orphan,
    ),
)
