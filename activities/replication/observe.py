"""How does a replication link stand before anything is asked of it? Reads, and changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeVar

from activities.replication.driver import Link
from activities.runtime.partial_reading import reading_or_finding
from workflows.model.actions import ObserveReplication
from workflows.model.estate import Database
from workflows.model.findings import Finding, Severity
from workflows.model.observations import Instance, ReplicationReading
from workflows.ports.replication import ReplicationInput
from workflows.preflight import access

UNREACHABLE = access.database_unreachable

T = TypeVar("T")


@dataclass(frozen=True)
class ReplicationObserver:
    """Reads one link; each answer is of use without the others."""

    here: Link
    given: ReplicationInput[ObserveReplication]

    async def read(self) -> ReplicationReading:
        """Return everything that could be read, and why the rest could not."""
        here, name = self.here, self.given.link.name
        at_subscriber = asyncio.gather(
            reading_or_finding(here.found, name, UNREACHABLE),
            reading_or_finding(here.keeps_commit_times, name, UNREACHABLE),
            reading_or_finding(self._strangers, name, UNREACHABLE),
        )
        at_publisher = asyncio.gather(
            reading_or_finding(here.tables, name, UNREACHABLE),
            reading_or_finding(self._lag, name, UNREACHABLE),
            reading_or_finding(self._instance, name, UNREACHABLE),
            reading_or_finding(lambda: _comparable(here, self.given.publisher), name, UNREACHABLE),
        )
        subscription, timestamps, strangers = await at_subscriber
        tables, lag, instance, compared = await at_publisher
        # What only warns stands first, so that a blocking finding of its name comes after it.
        results = (compared, subscription, timestamps, strangers, tables, lag, instance)
        known = _or_none(subscription)
        return ReplicationReading(
            place=name,
            exists=None if isinstance(subscription, Finding) else subscription is not None,
            enabled=known.enabled if known else None,
            running=known.running if known else None,
            lag=_or_none(lag),
            tables=_or_none(tables) or (),
            publisher=_or_none(instance),
            subscriber_timestamps=_or_none(timestamps),
            strangers=_or_none(strangers) or (),
            # One silent server is one finding, whatever was asked of it.
            findings=tuple({f.name: f for f in results if isinstance(f, Finding)}.values()),
        )

    async def _lag(self) -> int | None:
        found = await self.here.found()
        return await self.here.lag(found.slot) if found else None

    async def _instance(self) -> Instance | None:
        found = await self.here.found()
        return await self.here.instance(found.slot) if found else None

    async def _strangers(self) -> tuple[str, ...]:
        """Return the subscriber's subscriptions that no link of the estate names."""
        there = self.given.link.target
        ours = {o.subscription for o in self.given.replication.links if o.target == there}
        return tuple(name for name in await self.here.subscriptions() if name not in ours)


def _or_none(result: T | Finding) -> T | None:
    return None if isinstance(result, Finding) else result


async def _comparable(here: Link, publisher: Database) -> Finding | None:
    """Say in time that a roll-back could not tell whether replication may be resumed."""
    if await here.may_compare():
        return None
    return Finding(
        name="replication_not_comparable",
        place=here.name,
        seen=f"{publisher.user} may not read replication slots on {publisher.name}",
        expected="the right to, so that a roll-back can compare what both sides wrote",
        advice=f"ALTER ROLE {publisher.user} REPLICATION there",
        severity=Severity.WARNS,
    )
