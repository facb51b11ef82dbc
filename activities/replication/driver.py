"""What one direction of replication is asked, whatever keeps the databases in step.

A driver is one module or package of this folder, registered in ``DRIVERS``, and its estate type. It
only reads, sends one statement, and says what it would send. When a statement may be sent, how
often, and what a lost reply means is decided once for all drivers, in ``activities``.
"""

from dataclasses import dataclass
from typing import Protocol

from workflows.model.actions import ResumeReplication, SuspendReplication
from workflows.model.observations import ReplicationReading


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

    async def require_no_conflicts(self) -> None:
        """Refuse where both sides wrote the same rows since replication was suspended; only reads.

        A link that runs has nothing to compare. One that leads the other way may run already.

        Raises:
            NotReady: naming the rows, or because there are too many to compare.
            NotYet: the comparison is not possible at this moment.
        """

    async def suspend(self, within: float) -> None:
        """Stop replicating, in so many seconds; OutcomeUnknown without an answer."""

    async def resume(self, within: float) -> None:
        """Replicate again, in so many seconds; OutcomeUnknown without an answer."""

    def preview(self, action: SuspendReplication | ResumeReplication) -> str:
        """Return the very statement that carries the action out, and where; asks no server."""
