"""For each driver: two databases that replicate both ways, and what a test does to them."""

# ruff: noqa: D102 - the methods are documented in Rig

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from activities.ledger.posix import PosixLedger
from activities.ledger.store import Busy, LedgerCommand
from activities.replication.activities import ReplicationLinks
from activities.replication.driver import SlotAction
from activities.replication.postgresql.link import PostgresLink
from activities.transport.ssh import Shell
from tests.support import postgres_pair
from tests.support.memory_replication import MemoryDatabases, MemoryLink, MemoryReplication
from tests.support.site_replication import Site, links
from tests.support.ssh_machines import HOST_KEY_LINE, SECRETS, Attempt, SshServer
from workflows.errors import OutcomeUnknown
from workflows.model import actions
from workflows.model.estate import Machine
from workflows.model.observations import ReplicationReading
from workflows.model.results import Report
from workflows.ports.replication import ReplicationInput

LinkAction = (
    actions.ObserveReplication
    | actions.SuspendReplication
    | actions.VerifyNoConflicts
    | actions.ResumeReplication
    | SlotAction
)

NAMES = ("one-to-two", "two-to-one")


class Rig(ABC):
    """Two databases, ``one`` and ``two``, with a link each way."""

    links: ReplicationLinks

    @abstractmethod
    def given(self, action: LinkAction) -> ReplicationInput[Any]:
        """Return the input of an action on one of the links."""

    @abstractmethod
    def missing_link(self, action: LinkAction) -> ReplicationInput[Any]:
        """Return the input of an action on a link that the databases do not have."""

    @abstractmethod
    def silent(self, action: LinkAction) -> ReplicationInput[Any]:
        """Return the input of an action whose subscriber does not answer."""

    @abstractmethod
    async def reset(self) -> None:
        """Leave both links running, with nothing to deliver."""

    @abstractmethod
    async def write(self, side: str, row: str) -> None:
        """Let one side write a row."""

    @abstractmethod
    async def holds(self, side: str, row: str) -> bool:
        """Whether a side has a row."""

    @abstractmethod
    def blocked(self) -> AbstractAsyncContextManager[None]:
        """Keep the subscriber ``two`` from applying anything for a while."""

    @abstractmethod
    def lose_replies(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let statements be carried out and their answers be lost."""

    @abstractmethod
    async def statements(self) -> list[str]:
        """Return what was sent since the databases were reset, as a preview shows it."""

    async def run(
        self,
        action: LinkAction,
        attempt: Attempt | None = None,
        given: ReplicationInput[Any] | None = None,
    ) -> Report:
        """Make one attempt at an action, with its usual input if none is given."""
        activity = getattr(self.links, action.kind)
        report: Report = await (attempt or Attempt()).run(activity, given or self.given(action))
        return report

    async def observe(self, name: str = NAMES[0]) -> ReplicationReading:
        """Observe a link."""
        given = self.given(actions.ObserveReplication(link=name))
        return await Attempt().run(self.links.observe_replication, given)

    async def suspend_both(self) -> None:
        """Suspend both links."""
        for name in NAMES:
            await self.run(actions.SuspendReplication(link=name))

    async def arrives(self, side: str, row: str) -> None:
        """Wait until a side has a row."""
        async with asyncio.timeout(20):
            while not await self.holds(side, row):  # noqa: ASYNC110 - a database sends no events
                await asyncio.sleep(0.05)

    def preview(self, action: LinkAction) -> list[str]:
        """Return what a reviewed plan shows for an action."""
        return list(self.links.preview(self.given(action)))


class PostgresRig(Rig):
    """Two real databases."""

    def __init__(self, pair: postgres_pair.Pair) -> None:
        self._pair = pair
        self._logged = 0
        self.links = ReplicationLinks(postgres_pair.SECRETS, Shell(postgres_pair.SECRETS))

    def given(self, action: LinkAction) -> ReplicationInput[Any]:
        [link] = [link for link in postgres_pair.LINKS if link.name == action.link]
        return postgres_pair.input_for(action, link)

    def missing_link(self, action: LinkAction) -> ReplicationInput[Any]:
        other = postgres_pair.THERE.model_copy(update={"subscription": "other"})
        return postgres_pair.input_for(action, other, other)

    def silent(self, action: LinkAction) -> ReplicationInput[Any]:
        silent = postgres_pair.database("two", port=1)
        return self.given(action).model_copy(update={"subscriber": silent})

    async def reset(self) -> None:
        await self._pair.reset()
        await self._pair.run()
        log_all: LiteralString = "ALTER ROLE CURRENT_USER SET log_statement = 'ddl'"
        await self._pair.execute("two", log_all)
        self._logged = len(self._pair.server.log.read_text())

    async def write(self, side: str, row: str) -> None:
        statement = sql.SQL("INSERT INTO account VALUES ({})").format(sql.Literal(row))
        await self._pair.execute(side, statement)

    async def holds(self, side: str, row: str) -> bool:
        query = sql.SQL("SELECT name FROM account WHERE name = {}").format(sql.Literal(row))
        return bool(await self._pair.execute(side, query))

    @asynccontextmanager
    async def blocked(self) -> AsyncIterator[None]:
        async with await psycopg.AsyncConnection.connect(self._pair.server.dsn("two")) as blocking:
            await blocking.execute("LOCK TABLE account IN ACCESS EXCLUSIVE MODE")
            yield
            await blocking.rollback()

    def lose_replies(self, monkeypatch: pytest.MonkeyPatch) -> None:
        alter = PostgresLink.alter

        async def and_lose(self: PostgresLink, statement: sql.Composed, within: float) -> None:
            await alter(self, statement, within)
            raise OutcomeUnknown("the connection broke")

        monkeypatch.setattr(PostgresLink, "alter", and_lose)

    async def statements(self) -> list[str]:
        log = self._pair.server.log.read_text()[self._logged :]
        lines = [line.partition("statement: ")[2] for line in log.splitlines()]
        return [f"database-two: {line}" for line in lines if line.startswith("ALTER SUBSCRIPTION")]


class MemoryRig(Rig):
    """Two databases in memory."""

    def __init__(self) -> None:
        self.databases = MemoryDatabases()
        self.links = ReplicationLinks(
            postgres_pair.SECRETS,
            Shell(postgres_pair.SECRETS),
            {MemoryReplication: self.databases.driver},
        )
        self.replication = MemoryReplication(
            links=tuple(
                MemoryLink(
                    name=f"{a}-to-{b}",
                    source=a,
                    target=b,
                    suspend=("repl", "stop", f"{a}-to-{b}"),
                    resume=("repl", "start", f"{a}-to-{b}"),
                )
                for a, b in (("one", "two"), ("two", "one"))
            )
        )

    def given(self, action: LinkAction) -> ReplicationInput[Any]:
        link = self.replication.link(action.link)
        return postgres_pair.input_for(
            action,
            replication=self.replication,
            publisher=postgres_pair.database(link.source),
            subscriber=postgres_pair.database(link.target),
        )

    def missing_link(self, action: LinkAction) -> ReplicationInput[Any]:
        links = tuple(one.model_copy(update={"suspend": ()}) for one in self.replication.links)
        other = self.replication.model_copy(update={"links": links})
        return self.given(action).model_copy(update={"replication": other})

    def silent(self, action: LinkAction) -> ReplicationInput[Any]:
        self.databases.answers = False
        return self.given(action)

    async def reset(self) -> None:
        self.databases.enabled.update(NAMES)

    async def write(self, side: str, row: str) -> None:
        self.databases.write(side, row, NAMES[0] if side == "one" else NAMES[1])

    async def holds(self, side: str, row: str) -> bool:
        for link in self.replication.links:
            self.databases.deliver(link)
        return (side, row) in self.databases.rows

    @asynccontextmanager
    async def blocked(self) -> AsyncIterator[None]:
        self.databases.blocked.add(NAMES[0])
        yield
        self.databases.blocked.clear()

    def lose_replies(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(self.databases, "loses_replies", True)

    async def statements(self) -> list[str]:
        return self.databases.commands


class CommandsRig(Rig):
    """Two databases behind a command of the site's own, over real SSH."""

    def __init__(self, site: Site, server: SshServer, folder: Path) -> None:
        self.site, self.shell = site, Shell(SECRETS)
        self.links = ReplicationLinks(SECRETS, self.shell)
        machine = {
            "address": "127.0.0.1",
            "ssh": {"user": "st", "key": "env:KEY", "port": server.port},
            "host_key": HOST_KEY_LINE,
            "ledger": str(folder / "ledger"),
        }
        self.replication = links(site, machine)

    def given(self, action: LinkAction) -> ReplicationInput[Any]:
        link = self.replication.link(action.link)
        return postgres_pair.input_for(
            action,
            replication=self.replication,
            publisher=postgres_pair.database(link.source),
            subscriber=postgres_pair.database(link.target),
        )

    def missing_link(self, action: LinkAction) -> ReplicationInput[Any]:
        self.site.clear(f"link.{action.link}")
        return self.given(action)

    def silent(self, action: LinkAction) -> ReplicationInput[Any]:
        [host] = self.replication.hosts
        silent = host.model_copy(update={"ssh": host.ssh.model_copy(update={"port": 1})})
        other = self.replication.model_copy(update={"hosts": (silent,)})
        return self.given(action).model_copy(update={"replication": other})

    async def reset(self) -> None:
        """Nothing has happened yet."""

    async def write(self, side: str, row: str) -> None:
        self.site.add(f"rows.{side}", row)
        self.site.add(f"pending.{NAMES[0] if side == 'one' else NAMES[1]}", row)

    async def holds(self, side: str, row: str) -> bool:
        for name in NAMES:  # what runs delivers
            await self.observe(name)
        return row in self.site.rows(side)

    @asynccontextmanager
    async def blocked(self) -> AsyncIterator[None]:
        self.site.set(f"blocked.{NAMES[0]}")
        yield
        self.site.clear(f"blocked.{NAMES[0]}")

    def lose_replies(self, monkeypatch: pytest.MonkeyPatch) -> None:
        begin = PosixLedger.begin

        async def and_lose(self: PosixLedger, machine: Machine, command: LedgerCommand) -> Busy:
            await begin(self, machine, command)
            raise OutcomeUnknown("the connection broke")

        monkeypatch.setattr(PosixLedger, "begin", and_lose)

    async def statements(self) -> list[str]:
        return self.site.changes
