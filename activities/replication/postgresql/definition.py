"""Read how a subscription is defined, and find what keeps our account from altering it."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql
from pydantic import Json, TypeAdapter

from activities.replication.postgresql.connection import Name, fetched
from activities.replication.postgresql.link import (
    ORIGIN_FILTER_VERSION,
    PostgresLink,
    SubscriptionState,
)
from workflows.model.findings import Finding
from workflows.model.replications import postgresql_checks as checks
from workflows.model.text import listed

_COMMON: LiteralString = """
SELECT to_json(subpublications::text[]), pg_get_userbyid(subowner)::text,
       pg_has_role(subowner, 'USAGE'), rolsuper,
       current_setting('transaction_read_only')::boolean, """
_FROM: LiteralString = """
FROM pg_subscription JOIN pg_roles ON rolname = current_user
WHERE subname = %s AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# No earlier version has these columns: it sends everything, and lets every owner alter.
_SINCE_16: LiteralString = _COMMON + "suborigin = 'none', subpasswordrequired" + _FROM
_BEFORE_16: LiteralString = _COMMON + "false, true" + _FROM


_ROWS = TypeAdapter(list[tuple[Json[tuple[Name, ...]], Name, bool, bool, bool, bool, bool]])


@dataclass(frozen=True)
class Definition:
    """How a subscription is defined, as our account reads it."""

    publications: tuple[str, ...]
    owner: str
    has_owners_rights: bool
    """Whether our account has the rights of its owner."""
    superuser: bool
    """Whether our account is a superuser."""
    read_only: bool
    """Whether our account's transactions are, on this server, by default or as it is a standby."""
    asks_for_own: bool
    """Whether it asks the publisher for what was written there only."""
    password_required: bool
    """Where it is not, only a superuser may alter the subscription."""


async def read_definition(link: PostgresLink, version: int) -> tuple[Definition, ...]:
    """Read the link's subscription on a server of that version; nothing where there is none."""
    query = _SINCE_16 if version >= ORIGIN_FILTER_VERSION else _BEFORE_16
    name = link.link.subscription
    return tuple(
        Definition(*row) for row in await fetched(link.logins, link.subscriber, _ROWS, query, name)
    )


def sends_back(defined: Definition, publisher: int | None) -> bool | None:
    """Whether a link also sends what arrived by replication; None without a publisher's version."""
    if not defined.asks_for_own:
        return True
    return None if publisher is None else publisher < ORIGIN_FILTER_VERSION


async def rests(link: PostgresLink, state: SubscriptionState) -> bool:
    """Whether a link is off because only one direction can run: it sends back what it received."""
    if state.enabled:
        return False
    publisher, subscriber = await asyncio.gather(
        link.version(link.publisher), link.version(link.subscriber)
    )
    definitions = await read_definition(link, subscriber)
    return any(sends_back(defined, publisher) for defined in definitions)


def definition_findings(defined: Definition, link: PostgresLink, version: int) -> Iterator[Finding]:
    """Yield why the subscription could not be suspended and resumed as the estate describes it."""
    yield from _other_publications(defined, link)
    yield from not_alterable(defined, link, version)


def _other_publications(defined: Definition, link: PostgresLink) -> Iterator[Finding]:
    """Rows of a publication that the estate does not name would not be compared."""
    expected = link.link.publication
    if defined.publications != (expected,):
        yield checks.publication_differs.finding(
            link.name,
            seen=f"subscription {link.link.subscription} on {link.subscriber.name} receives "
            f"{listed(defined.publications)}",
            expected=f"only publication {expected}, as in the estate file",
            advice="correct the publication in the estate file, or that of the subscription",
        )


def not_alterable(defined: Definition, link: PostgresLink, version: int) -> Iterator[Finding]:
    """Yield what keeps our account from altering the subscription."""
    user, place = link.subscriber.user, link.subscriber.name
    name = link.link.subscription
    wrong = checks.replication_not_alterable
    if not defined.has_owners_rights:
        yield wrong.finding(
            link.name,
            seen=f"subscription {name} belongs to {defined.owner}, whose rights {user} has not",
            expected=f"{user} may disable and enable it on {place}",
            advice=f"on {place}, as a superuser: {_granting(defined.owner, user, version)}",
        )
    elif not (defined.password_required or defined.superuser):
        yield wrong.finding(
            link.name,
            seen=f"subscription {name} has password_required = false",
            expected=f"{user} may disable and enable it on {place}; now only a superuser may",
            advice=f"on {place}, as a superuser: {_requiring_password(name)} (its connection "
            "needs a password then), or use an account that is a superuser",
        )
    if defined.read_only:
        yield wrong.finding(
            link.name,
            seen=f"transactions of {user} on {place} are read only",
            expected=f"{user} may disable and enable subscription {name} there",
            advice="use the address of the primary server, not of a standby, and remove "
            "default_transaction_read_only from the account",
        )


def _granting(owner: str, user: str, version: int) -> str:
    names = sql.Identifier(owner), sql.Identifier(user)
    if version >= ORIGIN_FILTER_VERSION:
        return sql.SQL("GRANT {} TO {} WITH INHERIT TRUE").format(*names).as_string()
    inherit = sql.SQL("ALTER ROLE {} INHERIT").format(names[1]).as_string()
    return f"{sql.SQL('GRANT {} TO {}').format(*names).as_string()}; {inherit}"


def _requiring_password(name: str) -> str:
    statement = sql.SQL("ALTER SUBSCRIPTION {} SET (password_required = true)")
    return statement.format(sql.Identifier(name)).as_string()
