"""A replication driver from outside the product: two databases in memory."""

# ruff: noqa: D102 - the methods are documented in the port

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from activities.replication.driver import LinkStatus
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from workflows.errors import NotReady, OutcomeUnknown, Unreachable
from workflows.model.actions import ResumeReplication, SuspendReplication
from workflows.model.observations import ReplicationReading
from workflows.model.replications.base import Replication, ReplicationLink
from workflows.model.replications.registry import TYPES
from workflows.ports.replication import ReplicationInput
from workflows.preflight import access


class MemoryLink(ReplicationLink):
    """A link that one command suspends and another one resumes."""

    suspend: tuple[str, ...]
    resume: tuple[str, ...]


class MemoryReplication(Replication):
    """Replication that two words control."""

    driver: Literal["memory"] = "memory"
    links: tuple[MemoryLink, ...] = Field(min_length=1)


TYPES.register(MemoryReplication)


@dataclass
class MemoryDatabases:
    """What two databases hold, and what each link has yet to deliver."""

    enabled: set[str] = field(default_factory=set)
    rows: set[tuple[str, str]] = field(default_factory=set)
    """Side and row."""
    pending: dict[str, list[str]] = field(default_factory=dict)
    """By link: rows that its own side wrote."""
    blocked: set[str] = field(default_factory=set)
    """Links whose subscriber applies nothing."""
    answers: bool = True
    commands: list[str] = field(default_factory=list)
    compare_time: timedelta = timedelta()
    loses_replies: bool = False
    comparison_fails: bool = False
    """A comparison ends in a timeout of the driver's own."""

    def write(self, side: str, row: str, link: str) -> None:
        """Let a side write a row, which the link is to deliver."""
        self.rows.add((side, row))
        self.pending.setdefault(link, []).append(row)

    def deliver(self, link: MemoryLink) -> None:
        """Let the link deliver what it has, if it runs and nothing keeps it from applying."""
        if link.name in self.enabled - self.blocked:
            self.rows |= {(link.target, row) for row in self.pending.pop(link.name, [])}

    def driver(self, _: Secrets, __: Shell, given: ReplicationInput[Any]) -> MemoryDriver:
        """Return the driver of one direction."""
        return MemoryDriver(self, given)


@dataclass(frozen=True)
class MemoryDriver:
    """One direction, read and altered in memory."""

    databases: MemoryDatabases
    given: ReplicationInput[Any]

    @property
    def link(self) -> MemoryLink:
        link = self.given.link
        assert isinstance(link, MemoryLink)
        return link

    async def observe(self) -> ReplicationReading:
        name = self.link.name
        if not self.databases.answers:
            silent = access.database_unreachable.unread(name, "no answer")
            return ReplicationReading(place=name, findings=(silent,))
        if self.link.suspend == ():
            return ReplicationReading(place=name, exists=False)
        status = await self.status()
        return ReplicationReading(
            place=name, exists=True, enabled=status.enabled, running=status.running
        )

    async def status(self) -> LinkStatus:
        if not self.databases.answers:
            raise Unreachable(f"{self.link.name}: no answer")
        if self.link.suspend == ():
            raise NotReady(f"{self.link.name}: there is no such link")
        self.databases.deliver(self.link)
        enabled = self.link.name in self.databases.enabled
        return LinkStatus(enabled, enabled)

    async def position(self) -> str:
        return "now"

    async def missing(self, position: str) -> str:
        del position
        self.databases.deliver(self.link)
        rows = len(self.databases.pending.get(self.link.name, []))
        return f"{rows} rows" if rows else ""

    async def require_no_conflicts(self) -> str:
        if self.databases.comparison_fails:
            raise TimeoutError("read of the change log timed out")
        await asyncio.sleep(self.databases.compare_time.total_seconds())
        pending = self.databases.pending
        theirs = {row for link in self.given.opposites for row in pending.get(link.name, [])}
        if both := sorted(theirs & set(pending.get(self.link.name, []))):
            raise NotReady(f"{self.link.name}: both sides wrote the same rows: {', '.join(both)}")
        return ""

    async def suspend(self, within: float) -> None:
        await self._run(self.link.suspend, self.databases.enabled.discard, within)

    async def resume(self, within: float) -> None:
        await self._run(self.link.resume, self.databases.enabled.add, within)

    def preview(self, action: SuspendReplication | ResumeReplication) -> str:
        suspends = isinstance(action, SuspendReplication)
        return " ".join(self.link.suspend if suspends else self.link.resume)

    async def _run(
        self, command: tuple[str, ...], alter: Callable[[str], None], within: float
    ) -> None:
        assert within > 0
        self.databases.commands.append(" ".join(command))
        alter(self.link.name)
        if self.databases.loses_replies:
            raise OutcomeUnknown("the connection broke")
