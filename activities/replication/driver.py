"""What one direction of replication is asked, whatever keeps the databases in step.

A driver is one module or package of this folder, registered in ``DRIVERS``, and its estate type. It
only reads, sends one statement, and says what it would send. When a statement may be sent, how
often, and what a lost reply means is decided once for all drivers, in ``activities``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from workflows.model.actions import (
    BeginSlot,
    CopyTables,
    DropSlot,
    RenewSlot,
    ResumeReplication,
    SuspendReplication,
)
from workflows.model.observations import ReplicationReading

Send = Callable[[], float]
"""Called before each statement: returns its seconds, or refuses because it is too late."""

SlotAction = BeginSlot | DropSlot | CopyTables | RenewSlot


@dataclass(frozen=True)
class LinkStatus:
    """Whether a link is to replicate, and whether it does."""

    enabled: bool
    running: bool


class ReplicationDriver(Protocol):
    """One direction of replication; every method opens and closes its own connections."""

    async def observe(self) -> ReplicationReading:
        """Read everything; what cannot be read is in the reading's error, never raised."""

    async def status(self) -> LinkStatus:
        """Read whether the link replicates; NotReady where there is no such link."""

    async def position(self) -> str:
        """Return up to where the publisher has written by now, in the driver's own form."""

    async def missing(self, position: str) -> str:
        """Return what the subscriber lacks of it, such as "12 bytes"; empty where nothing is."""

    async def require_no_conflicts(self) -> str:
        """Refuse where both sides wrote the same rows since replication was suspended; only reads.

        Returns why it cannot be told, where an operator accepted that; otherwise nothing.

        A link that runs has nothing to compare. One that leads the other way may run already.

        Raises:
            NotReady: naming the rows, or because there are too many to compare, or they cannot be
                told.
            NotYet: the comparison is not possible at this moment.
        """

    async def suspend(self, within: float) -> None:
        """Stop replicating, in so many seconds; OutcomeUnknown without an answer."""

    async def resume(self, within: float) -> None:
        """Replicate again, in so many seconds; OutcomeUnknown without an answer."""

    def preview(self, action: SuspendReplication | ResumeReplication) -> str:
        """Return the very statement that carries the action out, and where; asks no server."""


@runtime_checkable
class SlotDriver(ReplicationDriver, Protocol):
    """A driver whose links have slots, which keep what a link has yet to deliver.

    Each method reads first, returns whether anything had to be changed, and may be repeated.
    """

    async def begin_slot(self, send: Send) -> bool:
        """Where the link rests, keep what its publisher writes from now on."""

    async def drop_slot(self, send: Send) -> bool:
        """Where the link rests, keep nothing; NotReady where its publisher's own rows are kept."""

    async def copy_tables(self) -> bool:
        """Where changes were lost, make the subscriber equal to the publisher; may take hours.

        Raises:
            NotReady: the subscriber wrote rows itself that the publisher lacks.
            NotYet: somebody writes to the subscriber's tables.
        """

    async def renew_slot(self) -> bool:
        """Where the slot was lost, make it anew; may take hours.

        Raises:
            NotReady: the publisher has rows that the subscriber lacks.
            NotYet: somebody writes to the publisher's tables.
        """

    def preview_slot(self, action: SlotAction) -> str:
        """Return what the action may send, and where; asks no server."""
