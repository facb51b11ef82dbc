"""Faults of what is configured, queued and stored."""

import os
import time
import uuid
from contextlib import suppress
from pathlib import Path

import psycopg

from lab.campaigns.preflight_faults.fault import Action, InjectedFault
from lab.environment.postgres import superuser_dsn
from lab.layout import DATABASE, Layout, account
from lab.node.files import hidden

PARTNER = account(1)
ID = uuid.uuid5(uuid.NAMESPACE_URL, "lab:injected")
AGE = 7200
"""Seconds: two hours."""
ORIGIN = "lab_injected"


def _only_here(statement: bytes) -> Action:
    """Return the action that writes as replication does: such a change is not replicated."""

    async def act(layout: Layout, place: str) -> None:
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

    return act


async def _queue_event(layout: Layout, place: str) -> None:
    async with await psycopg.AsyncConnection.connect(layout.cluster(place).dsn) as connection:
        await connection.execute(
            "INSERT INTO event (id, kind, account, path, created) "
            "VALUES (%s, 'unreachable_partner', %s, 'order.dat', now() - make_interval(secs => %s))"
            "ON CONFLICT DO NOTHING",
            (ID, PARTNER, AGE),
        )


async def _drop_event(layout: Layout, place: str) -> None:
    async with await psycopg.AsyncConnection.connect(layout.cluster(place).dsn) as connection:
        await connection.execute("DELETE FROM event WHERE id = %s", (ID,))


async def _leave_orphan(layout: Layout, place: str) -> None:
    orphan = _orphan(layout, place)
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"half a file")
    changed = time.time() - AGE
    os.utime(orphan, (changed, changed))


async def _remove_orphan(layout: Layout, place: str) -> None:
    orphan = _orphan(layout, place)
    orphan.unlink(missing_ok=True)
    with suppress(OSError):  # the account has other files
        orphan.parent.rmdir()


def _orphan(layout: Layout, place: str) -> Path:
    return hidden(layout.cluster(place).storage / "accounts" / PARTNER / "order.dat", ID)


FAULTS = (
    InjectedFault(
        "accounts_differ",
        "cluster2",
        "It has one account more than the other cluster.",
        _only_here(b"INSERT INTO account VALUES ('unknown', 'injected') ON CONFLICT DO NOTHING"),
        _only_here(b"DELETE FROM account WHERE name = 'unknown'"),
    ),
    InjectedFault(
        "events_stuck",
        "cluster1",
        "An event has been in its queue for two hours, and no Server processes it.",
        _queue_event,
        _drop_event,
    ),
    InjectedFault(
        "orphaned_files",
        "cluster1",
        "An unfinished file has been on its storage for two hours.",
        _leave_orphan,
        _remove_orphan,
    ),
)
