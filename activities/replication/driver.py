"""What can one direction of replication be asked? One driver for each kind of database."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Protocol, assert_never

from activities.replication import postgresql
from activities.replication.postgresql import PostgreSql, Subscription
from activities.replication.row_changes import Row, Values, Written
from activities.transport.secrets import Secrets
from workflows.model.actions import ResumeReplication, SuspendReplication
from workflows.model.estate import Replication, ReplicationLink
from workflows.model.observations import Instance
from workflows.ports.replication import ReplicationInput


class Link(Protocol):
    """One direction of replication; Oracle GoldenGate, SQL Server and others follow as modules."""

    @property
    def name(self) -> str:
        """The link's name in the estate."""

    async def found(self) -> Subscription | None:
        """Read the subscription; None where there is none."""

    async def subscription(self) -> Subscription:
        """Read the subscription; NotReady where there is none."""

    async def subscriptions(self) -> tuple[str, ...]:
        """Return every subscription of the subscriber's database."""

    async def keeps_commit_times(self) -> bool:
        """Whether the subscriber keeps the time of each commit."""

    async def instance(self, slot: str) -> Instance:
        """Return what the publisher keeps for a slot, and may keep."""

    async def written(self) -> str:
        """Return the position up to which the publisher has written by now."""

    async def lag(self, slot: str, written: str | None = None) -> int:
        """Return how many bytes, up to a position, the subscriber has not confirmed yet."""

    async def tables(self) -> tuple[str, ...]:
        """Return what the publication carries."""

    async def may_compare(self) -> bool:
        """Whether our account may read what the publisher has not delivered yet."""

    def pending(self, slot: str, within: float) -> AsyncGenerator[Written]:
        """Yield what the publisher itself has written and not delivered; takes nothing away.

        Raises:
            NotYet: someone is at the slot.
            NotReady: it is too much to be read.
            OutcomeUnknown: it takes longer than so many seconds, or cannot be understood.
        """

    async def current(self, row: Row) -> Values | None:
        """Return what a row is at the publisher now; None where there is none."""

    async def disable(self, within: float) -> None:
        """Disable the subscription, in so many seconds; OutcomeUnknown without an answer."""

    async def enable(self, within: float) -> None:
        """Enable the subscription, in so many seconds; OutcomeUnknown without an answer."""


def link(secrets: Secrets, given: ReplicationInput[Any]) -> Link:
    """Return the errand's link by its driver; the only place where drivers are told apart."""
    match given.replication.driver:
        case "postgresql":
            return PostgreSql(secrets, given.link, given.publisher, given.subscriber)
        case never:
            assert_never(never)


def preview(
    replication: Replication, link: ReplicationLink, action: SuspendReplication | ResumeReplication
) -> str:
    """Return the statement that carries an order out; asks nobody."""
    match replication.driver, action:
        case "postgresql", SuspendReplication():
            return postgresql.disabling(link).as_string()
        case "postgresql", ResumeReplication():
            return postgresql.enabling(link).as_string()
        case never:
            assert_never(never)


def opposites(secrets: Secrets, given: ReplicationInput[Any]) -> tuple[Link, ...]:
    """Return the links that lead the other way."""
    there = (given.link.target, given.link.source)
    return tuple(
        link(
            secrets,
            given.model_copy(
                update={
                    "link": other,
                    "publisher": given.subscriber,
                    "subscriber": given.publisher,
                }
            ),
        )
        for other in given.replication.links
        if (other.source, other.target) == there
    )
