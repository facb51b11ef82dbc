"""Actions that verify a state, wait for it or read it once; they change nothing."""

from __future__ import annotations

from typing import Literal

from workflows.model.actions.base import Intent, OnLink, OnNode, ReadOnly
from workflows.model.estate import Name, Protocol


class VerifyTraffic(ReadOnly):
    """Log in through the load balancer and find that very session on a node of the cluster."""

    intent = Intent.VERIFY
    kind: Literal["verify_traffic"] = "verify_traffic"
    protocol: Protocol
    to: Name

    @property
    def place(self) -> str:
        return self.to

    @property
    def subject(self) -> str:
        return self.protocol

    def __str__(self) -> str:
        return f"verify that a new {self.protocol} session reaches {self.to}"


class VerifySchedulingStopped(ReadOnly, OnNode):
    """Verify Scheduler and Folder Monitor stopped, also after the takeover time."""

    intent = Intent.VERIFY
    kind: Literal["verify_scheduling_stopped"] = "verify_scheduling_stopped"

    def __str__(self) -> str:
        return f"verify that Scheduler and Folder Monitor stay stopped on {self.node}"


class AwaitInFlightEvents(ReadOnly, OnNode):
    """Wait until every event that is queued now has ended, then one storage delay more."""

    intent = Intent.WAIT
    kind: Literal["await_in_flight_events"] = "await_in_flight_events"

    def __str__(self) -> str:
        return f"wait until the events in flight have ended, as {self.node} sees them"


class AwaitSessions(ReadOnly, OnNode):
    """Wait until no client session remains, stable over several readings."""

    intent = Intent.WAIT
    kind: Literal["await_sessions"] = "await_sessions"

    def __str__(self) -> str:
        return f"wait until no session remains on {self.node}"


class VerifyNoConflicts(ReadOnly, OnLink):
    """Compare what both sides wrote while replication was suspended, and refuse common rows."""

    intent = Intent.COMPARE_DATABASES
    kind: Literal["verify_no_conflicts"] = "verify_no_conflicts"

    def __str__(self) -> str:
        return f"verify that no row was written on both sides of {self.link}"


class ReadSessions(ReadOnly, OnNode):
    """Read once which sessions remain on a node, to name those that a decision concerns."""

    kind: Literal["read_sessions"] = "read_sessions"

    def __str__(self) -> str:
        return f"read the sessions on {self.node}"


class VerifyStopped(ReadOnly, OnNode):
    """Verify every protocol server and the Monitor of a node down."""

    intent = Intent.VERIFY
    kind: Literal["verify_stopped"] = "verify_stopped"

    def __str__(self) -> str:
        return f"verify that every protocol server and the Monitor are down on {self.node}"


class VerifyServing(ReadOnly, OnNode):
    """Verify twice that the Transaction Manager and the listed protocol servers run."""

    intent = Intent.VERIFY
    kind: Literal["verify_serving"] = "verify_serving"

    def __str__(self) -> str:
        return f"verify that {self.node} serves clients"


class VerifyUnreachable(ReadOnly, OnNode):
    """Verify that a node answers nowhere: neither SSH, nor its admin API, nor any port."""

    intent = Intent.VERIFY
    kind: Literal["verify_unreachable"] = "verify_unreachable"

    def __str__(self) -> str:
        return f"verify that {self.node} is unreachable"


class AwaitQueue(ReadOnly, OnNode):
    """Wait until the event queue is empty and nothing is active, as this Server sees it."""

    intent = Intent.WAIT
    kind: Literal["await_queue"] = "await_queue"

    def __str__(self) -> str:
        return f"wait until the event queue is empty, as {self.node} sees it"


class ReadQueue(ReadOnly, OnNode):
    """Read once what remains in the event queue, to name what a decision concerns."""

    kind: Literal["read_queue"] = "read_queue"

    def __str__(self) -> str:
        return f"read the event queue, as {self.node} sees it"


class FindOrphanedFiles(ReadOnly, OnNode):
    """List files of unfinished transfers on the shared storage, as this Server sees it."""

    intent = Intent.VERIFY
    kind: Literal["find_orphaned_files"] = "find_orphaned_files"

    def __str__(self) -> str:
        return f"find orphaned files on the shared storage, as {self.node} sees it"


Verification = (
    VerifyTraffic
    | VerifySchedulingStopped
    | AwaitInFlightEvents
    | AwaitSessions
    | ReadSessions
    | VerifyStopped
    | VerifyServing
    | VerifyUnreachable
    | VerifyNoConflicts
    | AwaitQueue
    | ReadQueue
    | FindOrphanedFiles
)
"""Actions that read and report, and change nothing."""

WAITS = (AwaitInFlightEvents, AwaitSessions, AwaitQueue)
"""Actions that wait for clients and partners; a drain timeout applies to them."""
