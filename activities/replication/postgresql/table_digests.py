"""Digest the tables that replication carries, so that a watch sees which of them were changed.

The server counts the rows that are inserted, updated and deleted in each table: to read that is
cheap, and says nothing of the rows. So a table's rows are digested only where its counters have
moved, which they also do late, or for a row that is written as it was. Rows of a table that is too
large for that, or that our account may not read, are represented by the counters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql
from pydantic import TypeAdapter, ValidationError

from activities.replication.postgresql.connection import (
    ANSWER_TIMEOUT,
    MARGIN,
    Name,
    Session,
    connected,
    texts,
)
from activities.transport.login import Logins
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Cluster, Database
from workflows.model.replications.base import Replication
from workflows.model.replications.postgresql import PostgresReplication

MAX_DIGESTED = 32 * 1024**2
"""Bytes of a table whose rows are digested: more take longer than a question may."""

# A partitioned table has no rows of its own, and its partitions' counters.
_COUNTERS: LiteralString = """
WITH named AS (
    SELECT n.nspname, c.relname, c.oid
    FROM pg_publication_tables t
    JOIN pg_namespace n ON n.nspname = t.schemaname
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
    WHERE t.pubname = ANY(%s::text[])
    UNION
    SELECT n.nspname, c.relname, c.oid
    FROM pg_subscription_rel JOIN pg_subscription s ON s.oid = srsubid
    JOIN pg_class c ON c.oid = srrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE subname = ANY(%s::text[])
      AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
), stored AS (
    SELECT named.oid AS named_oid, named.oid FROM named
    UNION
    SELECT named.oid, relid FROM named, pg_partition_tree(named.oid)
)
SELECT nspname, relname,
       sum(coalesce(pg_stat_get_tuples_inserted(stored.oid), 0)) || '.' ||
       sum(coalesce(pg_stat_get_tuples_updated(stored.oid), 0)) || '.' ||
       sum(coalesce(pg_stat_get_tuples_deleted(stored.oid), 0)),
       string_agg(coalesce(pg_relation_filenode(stored.oid)::text, ''), '.' ORDER BY stored.oid),
       (has_schema_privilege(nspname, 'USAGE') AND has_table_privilege(named.oid, 'SELECT'))::text,
       sum(coalesce(pg_table_size(stored.oid), 0))::text
FROM named JOIN stored ON stored.named_oid = named.oid
GROUP BY nspname, relname, named.oid
ORDER BY nspname, relname
"""
_ROWS: LiteralString = (
    "SELECT count(*) || '.' || coalesce(sum(hashtextextended(ROW(row_of.*)::text, 0)::numeric), 0) "
    "FROM {} AS row_of"
)

_Table = tuple[Name, Name, Name, str, bool, int]
_TABLES = TypeAdapter(list[_Table])


@dataclass(frozen=True)
class _Digest:
    trigger: str
    """The counters, and the files of the rows: TRUNCATE counts nothing, and changes these."""
    rows: str


class PostgresTables:
    """Digests tables, and remembers by which counters."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins
        self._known: dict[tuple[str, str], _Digest] = {}
        """By database and table."""

    async def read(self, replication: Replication, cluster: Cluster) -> dict[str, str]:
        """Return the digest of each table of a cluster's database that is replicated.

        Empty where another driver replicates: it has no tables that this one knows.
        """
        if not isinstance(replication, PostgresReplication):
            return {}
        published = [one.publication for one in replication.links if one.source == cluster.name]
        received = [one.subscription for one in replication.links if one.target == cluster.name]
        found: dict[str, str] = {}
        async with connected(self._logins, cluster.database) as session:
            await session.limit(ANSWER_TIMEOUT)
            asked = await session.ask(
                _COUNTERS, published, received, within=ANSWER_TIMEOUT + MARGIN
            )
            for schema, table, counters, files, readable, size in _tables(session, texts(asked)):
                name = f"{schema}.{table}"
                if replication.stays_local(name):
                    continue
                if readable and size <= MAX_DIGESTED:
                    trigger = f"{counters} {files}"
                    rows = sql.Identifier(schema, table)
                    found[name] = await self._digest(session, cluster.database, rows, trigger)
                else:
                    found[name] = counters
        return found

    async def _digest(
        self, session: Session, database: Database, table: sql.Identifier, trigger: str
    ) -> str:
        """Return the digest of a table's rows, read anew only where something was written."""
        key = f"{database.address} {database.port} {database.database}", table.as_string()
        known = self._known.get(key)
        if known is not None and known.trigger == trigger:
            return known.rows
        statement = sql.SQL(_ROWS).format(table)
        answer = texts(await session.ask(statement, within=ANSWER_TIMEOUT + MARGIN))
        if len(answer) != 1 or len(answer[0]) != 1 or (rows := answer[0][0]) is None:
            raise _not_asked_for(session)
        self._known[key] = _Digest(trigger, rows)
        return rows


def _tables(session: Session, rows: Sequence[tuple[str | None, ...]]) -> list[_Table]:
    try:
        return _TABLES.validate_python(rows)
    except ValidationError as strange:
        raise _not_asked_for(session) from strange


def _not_asked_for(session: Session) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{session.place}: its answer is not what was asked for; find out which server answers "
        "there"
    )
