"""Find configuration tables that a link does not carry, or not whole.

Everything but the tables that stay local has to replicate (docs/securetransport.md, section 2). A
table that was published later reaches no subscriber until its subscription is refreshed, and
PostgreSQL reports neither that nor a publication that lacks tables, rows, columns or changes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql
from pydantic import Json, TypeAdapter

from activities.replication.postgresql.connection import Name, fetched
from activities.replication.postgresql.link import PostgresLink
from workflows.model.findings import Finding
from workflows.model.replications import postgresql_checks as checks
from workflows.model.replications.postgresql import PostgresReplication
from workflows.model.text import listed

MAX_NAMED_TABLES = 20

_LEFT_OUT_CHANGES: LiteralString = """
SELECT to_json(array_remove(ARRAY[CASE WHEN NOT pubinsert THEN 'insert' END,
                          CASE WHEN NOT pubupdate THEN 'update' END,
                          CASE WHEN NOT pubdelete THEN 'delete' END], NULL))
FROM pg_publication WHERE pubname = %s
"""

# A partition is published by itself, or as a part of a table above it. Row filters and column lists
# are columns of the view from version 15 on; as JSON they are merely missing before.
_TABLES: LiteralString = """
WITH published AS MATERIALIZED (
    SELECT c.oid, t.schemaname || '.' || t.tablename AS name, to_jsonb(t) AS facts
    FROM pg_publication_tables t
    JOIN pg_namespace n ON n.nspname = t.schemaname
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
    WHERE t.pubname = %s
), stored AS (
    SELECT c.oid, n.nspname || '.' || c.relname AS name,
           has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't'
      AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
      AND NOT EXISTS (SELECT FROM pg_depend
                      WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
), above AS (
    SELECT oid AS table_oid, oid FROM stored
    UNION
    SELECT stored.oid, relid FROM stored, pg_partition_ancestors(stored.oid) AS ancestor (relid)
)
SELECT DISTINCT ON (stored.name) stored.name, published.name, readable,
       facts ->> 'rowfilter' IS NOT NULL,
       facts ? 'attnames' AND EXISTS (
           SELECT FROM pg_attribute
           WHERE attrelid = published.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
             AND NOT facts -> 'attnames' ? attname::text)
FROM stored JOIN above ON above.table_oid = stored.oid
LEFT JOIN published ON published.oid = above.oid
ORDER BY stored.name, published.name NULLS LAST
"""

_SUBSCRIBED: LiteralString = """
SELECT n.nspname || '.' || c.relname, srsubstate::text
FROM pg_subscription_rel JOIN pg_subscription s ON s.oid = srsubid
JOIN pg_class c ON c.oid = srrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE subname = %s AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_READY = "r"

_CHANGES = TypeAdapter(list[tuple[Json[tuple[Name, ...]]]])
_TABLE_ROWS = TypeAdapter(list[tuple[Name, Name | None, bool, bool, bool]])
_STATES = TypeAdapter(list[tuple[Name, Name]])


@dataclass(frozen=True)
class Table:
    """A table of the publisher that holds rows."""

    name: str
    """With its schema."""
    published_as: str | None
    """Itself, or the partitioned table that is published in its place; None where neither is."""
    readable: bool
    """Whether our account may read its rows."""
    rows_left_out: bool
    columns_left_out: bool


@dataclass(frozen=True)
class Publication:
    """What the publisher says of a link's publication."""

    exists: bool
    changes_left_out: tuple[str, ...]
    """Of insert, update and delete; the procedure never empties a table by TRUNCATE."""
    tables: tuple[Table, ...]
    """Every table that has to replicate, published or not."""


Subscribed = Mapping[str, str]
"""The state of each table that the subscriber receives, by its name."""


async def read_publication(link: PostgresLink, replication: PostgresReplication) -> Publication:
    """Read which of the publisher's tables the publication carries, and how."""
    name, logins = link.link.publication, link.logins
    changes = await fetched(logins, link.publisher, _CHANGES, _LEFT_OUT_CHANGES, name)
    found = await fetched(logins, link.publisher, _TABLE_ROWS, _TABLES, name)
    tables = (Table(*row) for row in found)
    carried = tuple(table for table in tables if not replication.stays_local(table.name))
    return Publication(bool(changes), changes[0][0] if changes else (), carried)


async def read_subscribed(link: PostgresLink) -> Subscribed:
    """Read the tables that the subscriber receives."""
    name = link.link.subscription
    return dict(await fetched(link.logins, link.subscriber, _STATES, _SUBSCRIBED, name))


def publication_findings(published: Publication, link: PostgresLink) -> Iterator[Finding]:
    """Yield what the publication leaves out."""
    name, place = link.link.publication, link.publisher.name
    if not published.exists:
        yield checks.tables_not_published.finding(
            link.name,
            seen=f"{place} has no publication {name}",
            expected="a publication of every table that has to replicate",
            advice="create it, or correct its name in the estate file",
        )
        return
    if missing := [table.name for table in published.tables if table.published_as is None]:
        yield checks.tables_not_published.finding(
            link.name,
            seen=f"not in publication {name} on {place}: {_named(missing)}",
            expected="every table that has to replicate",
            advice="add them to it, then refresh the subscription; or list tables that are not "
            "SecureTransport's in replication.local_tables",
        )
    yield from _left_out(published, link)


def _left_out(published: Publication, link: PostgresLink) -> Iterator[Finding]:
    carried = [table for table in published.tables if table.published_as is not None]
    filtered = [table.name for table in carried if table.rows_left_out]
    shortened = [table.name for table in carried if table.columns_left_out]
    if carried and published.changes_left_out:
        changes = ", ".join(published.changes_left_out)
        yield _in_part(link, f"{changes} of all its tables", "every insert, update and delete")
    if filtered:
        yield _in_part(link, f"rows, by a row filter on {_named(filtered)}", "every row")
    if shortened:
        yield _in_part(link, f"columns, by a column list on {_named(shortened)}", "every column")


def _in_part(link: PostgresLink, left_out: str, expected: str) -> Finding:
    return checks.tables_published_in_part.finding(
        link.name,
        seen=f"publication {link.link.publication} leaves out {left_out}",
        expected=expected,
        advice=f"alter the publication on {link.publisher.name}, and copy by hand what was left "
        "out until then",
    )


def unreadable_rows(published: Publication, link: PostgresLink) -> Iterator[Finding]:
    """Yield which rows a rollback could not compare, if the other link ran by then."""
    account, place = link.publisher.user, link.publisher.name
    hidden = [table.name for table in published.tables if table.published_as and not table.readable]
    if hidden:
        yield checks.replication_not_comparable.finding(
            link.name,
            seen=f"{account} may not read rows of {_named(hidden)} on {place}",
            expected="the right to, so that a rollback can compare what both sides wrote",
            advice=f"GRANT SELECT on them, and USAGE on their schemas, TO {account} there",
        )


def subscription_findings(
    published: Publication, subscribed: Subscribed, link: PostgresLink
) -> Iterator[Finding]:
    """Yield which published tables the subscriber does not receive, or not yet."""
    name, place = link.link.subscription, link.subscriber.name
    carried = sorted({table.published_as for table in published.tables if table.published_as})
    if missing := [table for table in carried if table not in subscribed]:
        refresh = sql.SQL("ALTER SUBSCRIPTION {} REFRESH PUBLICATION").format(sql.Identifier(name))
        yield checks.tables_not_subscribed.finding(
            link.name,
            seen=f"published, and not received by subscription {name}: {_named(missing)}",
            expected="every published table",
            advice=f"on {place}: {refresh.as_string()}; without copy_data = false it copies all "
            "rows first, which fails on rows that are there already",
        )
    if copying := [table for table in carried if subscribed.get(table, _READY) != _READY]:
        yield checks.tables_not_subscribed.finding(
            link.name,
            seen=f"still being copied by subscription {name}: {_named(copying)}",
            expected="every table in state r (ready) in pg_subscription_rel",
            advice=f"wait until they are copied; if this does not end, read the log of {place}",
        )


def _named(tables: Sequence[str]) -> str:
    return listed(tables, MAX_NAMED_TABLES)
