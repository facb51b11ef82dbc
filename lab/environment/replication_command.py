"""A command of the lab's own for each direction of its databases' replication.

It runs on ``loadbalancer1``, the one machine that is no node. What it does to a subscription the
databases record as for any other client, so that the lab's evidence is the same.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from lab.layout import DATABASE, DATABASE_PORT, DATABASE_USER, Layout

PROGRAM = '''\
#!{python}
"""Control one link: replication SOURCE TARGET WORD [POSITION].

What a cluster wrote itself since the suspension is what was committed since without an origin, and
the keys that are gone.
"""
import json, sys
from pathlib import Path

import psycopg
from psycopg import sql

PUBLICATION = "{publication}"
DATABASES = {databases}
PASSWORD = Path({password!r}).read_text().strip()
OWN = """SELECT key, coalesce(written.timestamp > %s AND written.roident = 0, false)
FROM (SELECT {{}}::text AS key, xmin FROM {{}}) AS rows
LEFT JOIN LATERAL pg_xact_commit_timestamp_origin(xmin) AS written ON true"""
KEY = """SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid
WHERE indrelid = %s::regclass AND indisprimary AND attnum = ANY(indkey) ORDER BY attnum"""
source, target, word = sys.argv[1:4]
link = source + "_to_" + target
state = Path({state!r}, link + ".json")


def ask(cluster, query, *values):
    where = dict(host=DATABASES[cluster], port={port}, dbname="{database}", user="{user}")
    with psycopg.connect(**where, password=PASSWORD, connect_timeout=5, autocommit=True) as link:
        cursor = link.execute(query, values or None)
        return cursor.fetchall() if cursor.description else []


def tables(cluster):
    query = "SELECT tablename FROM pg_publication_tables WHERE pubname = %s"
    found = ask(cluster, query, PUBLICATION)
    return sorted(name for (name,) in found)


def rows(cluster, since):
    for table in tables(cluster):
        names = [name for (name,) in ask(cluster, KEY, table)]
        key = sql.SQL("concat_ws('/', {{}})").format(sql.SQL(", ").join(map(sql.Identifier, names)))
        query = sql.SQL(OWN).format(key, sql.Identifier(table))
        for name, own in ask(cluster, query, since):
            yield table + " " + name, own


def observe():
    found = ask(
        target,
        "SELECT s.subenabled, EXISTS (SELECT FROM pg_stat_subscription AS t WHERE t.subid = s.oid "
        "AND t.pid IS NOT NULL AND t.relid IS NULL) FROM pg_subscription AS s WHERE s.subname = %s",
        link,
    )
    if not found:
        return {{"exists": False}}
    enabled, running = found[0]
    lag = behind("pg_current_wal_lsn()")
    return {{
        "exists": True,
        "enabled": enabled,
        "running": running,
        "compares": True,
        "lag": {{"amount": lag, "unit": "bytes"}},
        "tables": ["public." + name for name in tables(source)],
        "sends_back": False,
    }}


def behind(position, *values):
    query = "SELECT pg_wal_lsn_diff(" + position + ", confirmed_flush_lsn)::bigint "
    [[lag]] = ask(source, query + "FROM pg_replication_slots WHERE slot_name = %s", *values, link)
    return max(0, lag)


def own_writes(cluster, before):
    now = dict(rows(cluster, before["since"]))
    return {{name for name, own in now.items() if own}} | {{*before["keys"]}} - now.keys()


def compare():
    before = json.loads(state.read_text())
    both = own_writes(source, before[source]) & own_writes(target, before[target])
    return sorted(both)[:100]


def suspend():
    before = {{}}
    for cluster in (source, target):
        [[since]] = ask(cluster, "SELECT now()::text")
        before[cluster] = {{"since": since, "keys": [name for name, _ in rows(cluster, since)]}}
    state.parent.mkdir(parents=True, exist_ok=True)
    state.write_text(json.dumps(before))
    alter("DISABLE")


def alter(what):
    ask(target, sql.SQL("ALTER SUBSCRIPTION {{}} " + what).format(sql.Identifier(link)))


if word == "observe":
    print(json.dumps(observe()))
elif word == "position":
    print(json.dumps({{"position": ask(source, "SELECT pg_current_wal_lsn()::text")[0][0]}}))
elif word == "missing":
    lag = behind("%s::pg_lsn", sys.argv[4])
    print(json.dumps({{"missing": str(lag) + " bytes" if lag else ""}}))
elif word == "compare":
    print(json.dumps({{"conflicts": compare()}}))
elif word == "suspend":
    suspend()
elif word == "resume":
    alter("ENABLE")
else:
    sys.exit(64)
'''


def program(layout: Layout) -> Path:
    """Return where the command is, on ``loadbalancer1``."""
    return layout.load_balancer_root / "bin/replication"


def command(layout: Layout, source: str, target: str) -> Sequence[str]:
    """Return the words that an estate has for one direction."""
    return [str(program(layout)), source, target]


def write_program(layout: Layout, publication: str) -> None:
    """Put the command onto its machine."""
    text = PROGRAM.format(
        python=sys.executable,
        publication=publication,
        databases={cluster.name: cluster.database_address for cluster in layout.clusters},
        password=str(layout.keys / "database_password"),
        state=str(layout.load_balancer_root / "var/lib/replication"),
        port=DATABASE_PORT,
        database=DATABASE,
        user=DATABASE_USER,
    )
    file = program(layout)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)
