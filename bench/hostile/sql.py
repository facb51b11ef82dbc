"""PostgreSQL servers that send what they like, in front of the real driver."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from activities.replication.postgresql.link import PostgresLink
from activities.transport.login import Logins
from activities.transport.secrets import Secrets
from bench.hostile import Case
from tests.support.hostile_postgres import ANSWERS, LOGINS, Sends, hostile
from tests.support.postgres_pair import THERE, database


@asynccontextmanager
async def _serving(sends: Sends, *, login: bool) -> AsyncIterator[str]:
    async with hostile(sends, login=login) as port:
        yield str(port)


async def _ask(port: str) -> object:
    there = {"address": "127.0.0.1", "port": int(port)}
    logins = Logins(Secrets({"DATABASE": "invented"}))
    one, two = database("one", **there), database("two", **there)
    return await PostgresLink(logins, THERE, one, two).subscription()


def _cases(kind: str, peers: dict[str, tuple[Sends, str]], *, login: bool) -> tuple[Case, ...]:
    return tuple(
        Case(f"{kind}: {does}", partial(_serving, sends, login=login), _ask, says, limit=18.0)
        for does, (sends, says) in peers.items()
    )


CASES = (*_cases("SQL", ANSWERS, login=True), *_cases("SQL login", LOGINS, login=False))
