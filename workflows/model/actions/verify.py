"""Actions that verify a state, wait for it or read it once; they change nothing."""

from typing import Literal

from workflows.model.actions.base import Intent, OnLink, OnNode, OverProtocol, ReadOnly
from workflows.model.actions.change import Redirect, StopScheduling
from workflows.model.estate import Name


class VerifyTraffic(OverProtocol, ReadOnly):
    """Log in through the load balancer and find that very session on a node of the cluster."""

    intent = Intent.VERIFY
    verifies = Redirect
    kind: Literal["verify_traffic"] = "verify_traffic"
    to: Name
    sentence = "verify that a new {protocol} session reaches {to}"

    @property
    def place(self) -> str:
        return self.to


class VerifySchedulingStopped(ReadOnly, OnNode):
    """Verify that Scheduler and Folder Monitor are stopped, also after the takeover time."""

    intent = Intent.VERIFY
    verifies = StopScheduling
    kind: Literal["verify_scheduling_stopped"] = "verify_scheduling_stopped"
    sentence = "verify that Scheduler and Folder Monitor stay stopped on {node}"


class AwaitInFlightEvents(ReadOnly, OnNode):
    """Wait until every event that is queued now has ended, then one storage delay more."""

    intent = Intent.WAIT
    kind: Literal["await_in_flight_events"] = "await_in_flight_events"
    sentence = "wait until the events in flight have ended, read through {node}"


class AwaitSessions(ReadOnly, OnNode):
    """Wait until no client session remains, stable over several readings."""

    intent = Intent.WAIT
    kind: Literal["await_sessions"] = "await_sessions"
    sentence = "wait until no session remains on {node}"


class VerifyNoConflicts(ReadOnly, OnLink):
    """Compare what both sides wrote while replication was suspended, and refuse common rows."""

    intent = Intent.COMPARE_DATABASES
    kind: Literal["verify_no_conflicts"] = "verify_no_conflicts"
    sentence = "verify that no row was written on both sides of {link}"


class AwaitDelivery(ReadOnly, OnLink):
    """Wait until the subscriber has everything that its publisher has written by now."""

    intent = Intent.WAIT
    kind: Literal["await_delivery"] = "await_delivery"
    sentence = "wait until {link} has delivered everything"


class ReadSessions(ReadOnly, OnNode):
    """Read once which sessions remain on a node, to name those that a decision concerns."""

    kind: Literal["read_sessions"] = "read_sessions"
    sentence = "read the sessions on {node}"


class VerifyStopped(ReadOnly, OnNode):
    """Verify that every protocol server and the Monitor of a node are down."""

    intent = Intent.VERIFY
    kind: Literal["verify_stopped"] = "verify_stopped"
    sentence = "verify that every protocol server and the Monitor are down on {node}"


class VerifyServing(ReadOnly, OnNode):
    """Verify twice that the Transaction Manager and the listed protocol servers run."""

    intent = Intent.VERIFY
    kind: Literal["verify_serving"] = "verify_serving"
    sentence = "verify that clients are served on {node}"


class VerifyIdle(ReadOnly, OnNode):
    """Verify that no client is connected to a node of the passive cluster."""

    intent = Intent.VERIFY
    kind: Literal["verify_idle"] = "verify_idle"
    sentence = "verify that no client is connected to {node}"


class VerifyUnreachable(ReadOnly, OnNode):
    """Verify that neither a node's SSH, nor its admin API, nor any port answers."""

    intent = Intent.VERIFY
    kind: Literal["verify_unreachable"] = "verify_unreachable"
    sentence = "verify that {node} is unreachable"


class AwaitQueue(ReadOnly, OnNode):
    """Wait until the event queue, read through this Server, is empty and nothing is active."""

    intent = Intent.WAIT
    kind: Literal["await_queue"] = "await_queue"
    sentence = "wait until the event queue is empty, read through {node}"


class ReadQueue(ReadOnly, OnNode):
    """Read once what remains in the event queue, to name what a decision concerns."""

    kind: Literal["read_queue"] = "read_queue"
    sentence = "read the event queue through {node}"


class FindOrphanedFiles(ReadOnly, OnNode):
    """List files of unfinished transfers on the shared storage that this Server has mounted."""

    intent = Intent.VERIFY
    kind: Literal["find_orphaned_files"] = "find_orphaned_files"
    sentence = "find orphaned files on the shared storage through {node}"


class FindUnfinishedWork(ReadOnly, OnNode):
    """List queued events and transfers in progress of a cluster, read through this Server."""

    intent = Intent.VERIFY
    kind: Literal["find_unfinished_work"] = "find_unfinished_work"
    sentence = "find queued events and open transfers through {node}"


class CountRecords(ReadOnly, OnNode):
    """Count what a cluster has recorded since the redirect, read through this Server."""

    intent = Intent.VERIFY
    kind: Literal["count_records"] = "count_records"
    cluster: Name
    sentence = "count what {cluster} has recorded since the redirect, read through {node}"


Verification = (
    VerifyTraffic
    | VerifySchedulingStopped
    | AwaitInFlightEvents
    | AwaitSessions
    | AwaitDelivery
    | ReadSessions
    | VerifyStopped
    | VerifyServing
    | VerifyIdle
    | VerifyUnreachable
    | VerifyNoConflicts
    | AwaitQueue
    | ReadQueue
    | FindOrphanedFiles
    | FindUnfinishedWork
    | CountRecords
)
"""Actions that read and report, and change nothing."""

WAITS = (AwaitInFlightEvents, AwaitSessions, AwaitQueue)
"""Actions that wait for clients and partners; a drain timeout applies to them."""
