"""Observe, suspend, compare and resume database replication."""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Generic

from temporalio import activity

from workflows.model.actions import (
    AwaitDelivery,
    BeginSlot,
    CopyTables,
    DropSlot,
    ObserveReplication,
    RenewSlot,
    ResumeReplication,
    SuspendReplication,
    VerifyNoConflicts,
)
from workflows.model.base import CheckName
from workflows.model.estate import Database, ReplicationLink
from workflows.model.observations import ReplicationReading
from workflows.model.replications.registry import AnyReplication
from workflows.model.results import Report
from workflows.ports.inputs import A, ActionInput


class ReplicationInput(ActionInput[A], Generic[A]):
    """An action on one replication link."""

    publisher: Database
    subscriber: Database
    replication: AnyReplication
    compared_at: datetime | None = None
    """When the run began to compare both sides last; None where it did not."""
    accepted: tuple[CheckName, ...] = ()
    """Findings that whoever started the run accepted."""

    @property
    def link(self) -> ReplicationLink:
        """The action's link."""
        return self.replication.link(self.action.place)

    @property
    def opposites(self) -> tuple[ReplicationLink, ...]:
        """The links that lead the other way."""
        back = (self.link.target, self.link.source)
        return tuple(o for o in self.replication.links if (o.source, o.target) == back)


class ReplicationPort(ABC):
    """Observe, suspend and resume database replication."""

    @activity.defn
    @abstractmethod
    async def observe_replication(
        self, given: ReplicationInput[ObserveReplication]
    ) -> ReplicationReading:
        """Read everything; what cannot be read is reported in the reading, never raised."""

    @activity.defn
    @abstractmethod
    async def suspend_replication(self, given: ReplicationInput[SuspendReplication]) -> Report:
        """Leave replication disabled and not running, after its lag reached zero."""

    @activity.defn
    @abstractmethod
    async def verify_no_conflicts(self, given: ReplicationInput[VerifyNoConflicts]) -> Report:
        """Compare what both sides wrote while replication was suspended; may take minutes.

        NotReady with a list where both wrote the same rows: resumed then, their values would
        silently swap, or replication stop for good. The report's time is that of its beginning.
        """

    @activity.defn
    @abstractmethod
    async def await_delivery(self, given: ReplicationInput[AwaitDelivery]) -> Report:
        """Return once everything that was written by its beginning has been delivered.

        Stuck where nothing was delivered for the estate's ``replication_timeout``.
        """

    @activity.defn
    @abstractmethod
    async def resume_replication(self, given: ReplicationInput[ResumeReplication]) -> Report:
        """Leave replication enabled and running.

        Compares again, as far as the attempt has time; NotReady where both sides wrote the same
        rows, or where there is no time and the last comparison is too old.
        """

    @activity.defn
    @abstractmethod
    async def begin_slot(self, given: ReplicationInput[BeginSlot]) -> Report:
        """Have a link that rests keep what its source writes from now on, and nothing older.

        What the source wrote itself since an earlier beginning stays kept. A link that does not
        rest is left as it is.
        """

    @activity.defn
    @abstractmethod
    async def drop_slot(self, given: ReplicationInput[DropSlot]) -> Report:
        """Have a link that rests keep nothing; a link that does not rest is left as it is.

        NotReady with a list where its source wrote rows itself that are still to be delivered.
        """

    @activity.defn
    @abstractmethod
    async def copy_tables(self, given: ReplicationInput[CopyTables]) -> Report:
        """Make the subscriber equal to the publisher where changes between them were lost.

        Everything happens in one transaction of the subscriber; nothing of the publisher's rows
        changes, and nothing that is copied travels back. May take hours. NotReady with a list
        where the subscriber wrote rows itself that the publisher lacks: they would be lost.
        """

    @activity.defn
    @abstractmethod
    async def renew_slot(self, given: ReplicationInput[RenewSlot]) -> Report:
        """Make a lost slot anew, so that the link delivers what is written from now on.

        May take hours. NotReady with a list where the publisher has rows that the subscriber
        lacks. A link that rests needs no slot and is left as it is.
        """
