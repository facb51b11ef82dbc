"""What can be asked of one place, and what it answers.

An order names its place; the plan's snapshot of the estate says where that is. Every order that
changes something knows the order that undoes it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from workflows.model.actions.base import Base, OnLink, OnNode
from workflows.model.actions.observe import Observation
from workflows.model.estate import Name, Protocol

SchedulingService = Literal["scheduler", "folder_monitor"]


class StopMonitor(OnNode):
    """Stop the Monitor Server, which would restart what is being stopped."""

    kind: Literal["stop_monitor"] = "stop_monitor"

    @property
    def undo(self) -> Action:
        return StartMonitor(node=self.node)

    def __str__(self) -> str:
        return f"stop the Monitor on {self.node}"


class StartMonitor(OnNode):
    """Start the Monitor Server; nothing happens where it did not run at the baseline."""

    kind: Literal["start_monitor"] = "start_monitor"

    @property
    def undo(self) -> Action:
        return StopMonitor(node=self.node)

    def __str__(self) -> str:
        return f"start the Monitor on {self.node}"


class SuspendReplication(OnLink):
    """Let the lag reach zero, then disable the subscription and read it back."""

    kind: Literal["suspend_replication"] = "suspend_replication"

    @property
    def undo(self) -> Action:
        return ResumeReplication(link=self.link)

    def __str__(self) -> str:
        return f"suspend replication {self.link}"


class ResumeReplication(OnLink):
    """Enable the subscription again and see it apply."""

    kind: Literal["resume_replication"] = "resume_replication"

    @property
    def undo(self) -> Action:
        return SuspendReplication(link=self.link)

    def __str__(self) -> str:
        return f"resume replication {self.link}"


class VerifyNoConflicts(OnLink):
    """Compare what both sides wrote while replication was suspended, and refuse common rows."""

    kind: Literal["verify_no_conflicts"] = "verify_no_conflicts"

    def __str__(self) -> str:
        return f"verify that no row was written on both sides of {self.link}"


class Redirect(Base):
    """Make a load balancer host send new connections to a cluster."""

    kind: Literal["redirect"] = "redirect"
    host: Name
    to: Name
    back_to: Name

    @property
    def place(self) -> str:
        return self.host

    @property
    def subject(self) -> str:
        return self.to

    @property
    def undo(self) -> Action:
        return Redirect(host=self.host, to=self.back_to, back_to=self.to)

    def __str__(self) -> str:
        return f"point {self.host} at {self.to}"


class VerifyTraffic(Base):
    """Log in through the load balancer and find that very session on a node of the cluster."""

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
        return f"prove that a new {self.protocol} session lands on {self.to}"


class StopScheduling(OnNode):
    """Stop Scheduler and Folder Monitor on a Server."""

    kind: Literal["stop_scheduling"] = "stop_scheduling"

    @property
    def undo(self) -> Action:
        return StartScheduling(node=self.node)

    def __str__(self) -> str:
        return f"stop Scheduler and Folder Monitor on {self.node}"


class VerifySchedulingStopped(OnNode):
    """See Scheduler and Folder Monitor stopped, still so after the takeover time."""

    kind: Literal["verify_scheduling_stopped"] = "verify_scheduling_stopped"

    def __str__(self) -> str:
        return f"see that no Scheduler or Folder Monitor took over on {self.node}"


class AwaitInFlightEvents(OnNode):
    """Wait until every event that is queued now has ended, then one storage delay more."""

    kind: Literal["await_in_flight_events"] = "await_in_flight_events"

    def __str__(self) -> str:
        return f"wait for the Folder Monitor's work in hand, as {self.node} sees it"


class StartScheduling(OnNode):
    """Start Scheduler and Folder Monitor on a Server, or only the one that ran before."""

    kind: Literal["start_scheduling"] = "start_scheduling"
    services: tuple[SchedulingService, ...] = ("scheduler", "folder_monitor")

    @property
    def undo(self) -> Action:
        return StopScheduling(node=self.node)

    def __str__(self) -> str:
        names = {"scheduler": "Scheduler", "folder_monitor": "Folder Monitor"}
        return f"start {' and '.join(names[service] for service in self.services)} on {self.node}"


class AwaitSessions(OnNode):
    """Wait until the client sessions have left, stable over several readings."""

    kind: Literal["await_sessions"] = "await_sessions"

    def __str__(self) -> str:
        return f"wait until the sessions have left {self.node}"


class ReadSessions(OnNode):
    """Read once who is still on a node, to say whom a decision concerns."""

    kind: Literal["read_sessions"] = "read_sessions"

    def __str__(self) -> str:
        return f"see who is still on {self.node}"


class StopGracefully(OnNode):
    """Ask a protocol server whose sessions have left to stop; what is left gets *grace*."""

    kind: Literal["stop_gracefully"] = "stop_gracefully"
    protocol: Protocol
    grace: timedelta

    @property
    def subject(self) -> str:
        return self.protocol

    @property
    def undo(self) -> Action:
        return StartProtocolServer(node=self.node, protocol=self.protocol)

    def __str__(self) -> str:
        return f"stop {self.protocol} gracefully on {self.node}"


class StartProtocolServer(OnNode):
    """Start a protocol server, after every pending stop of it has landed."""

    kind: Literal["start_protocol_server"] = "start_protocol_server"
    protocol: Protocol

    @property
    def subject(self) -> str:
        return self.protocol

    def __str__(self) -> str:
        return f"start {self.protocol} on {self.node}"


class VerifyStopped(OnNode):
    """See every protocol server and the Monitor of a node down."""

    kind: Literal["verify_stopped"] = "verify_stopped"

    def __str__(self) -> str:
        return f"see every protocol server and the Monitor of {self.node} down"


class VerifyServing(OnNode):
    """See every protocol server that the estate lists, and the Transaction Manager, run; twice."""

    kind: Literal["verify_serving"] = "verify_serving"

    def __str__(self) -> str:
        return f"see that {self.node} serves"


class VerifyUnreachable(OnNode):
    """See that a node answers nowhere: neither over SSH, nor its admin API, nor any port."""

    kind: Literal["verify_unreachable"] = "verify_unreachable"

    def __str__(self) -> str:
        return f"see that {self.node} answers nowhere"


class AwaitQueue(OnNode):
    """Wait until the event queue is empty and nothing is active, as this Server sees it."""

    kind: Literal["await_queue"] = "await_queue"

    def __str__(self) -> str:
        return f"wait until the event queue is empty, as {self.node} sees it"


class ReadQueue(OnNode):
    """Read once what is still in the event queue, to say what a decision concerns."""

    kind: Literal["read_queue"] = "read_queue"

    def __str__(self) -> str:
        return f"see what is still in the event queue, as {self.node} sees it"


class StopTransactionManager(OnNode):
    """Stop the Transaction Manager gracefully."""

    kind: Literal["stop_transaction_manager"] = "stop_transaction_manager"
    grace: timedelta = Field(ge=timedelta(seconds=30))

    @property
    def undo(self) -> Action:
        return StartTransactionManager(node=self.node)

    def __str__(self) -> str:
        return f"stop the Transaction Manager gracefully on {self.node}"


class FindOrphanedFiles(OnNode):
    """List what unfinished transfers left on the shared storage, as this Server sees it."""

    kind: Literal["find_orphaned_files"] = "find_orphaned_files"

    def __str__(self) -> str:
        return f"look for orphaned files on the shared storage of {self.node}"


class StartTransactionManager(OnNode):
    """Start the Transaction Manager, after a pending stop of it has landed."""

    kind: Literal["start_transaction_manager"] = "start_transaction_manager"

    def __str__(self) -> str:
        return f"start the Transaction Manager on {self.node}"


class StopRemaining(OnNode):
    """Stop what is left on a node with the vendor's ``stop_all``."""

    kind: Literal["stop_remaining"] = "stop_remaining"

    @property
    def undo(self) -> Action:
        return StartAll(node=self.node)

    def __str__(self) -> str:
        return f"stop all that is left on {self.node}"


class StartAll(OnNode):
    """Start everything on a node with the vendor's ``start_all``."""

    kind: Literal["start_all"] = "start_all"

    def __str__(self) -> str:
        return f"start all on {self.node}"


Action = Annotated[
    Observation
    | StopMonitor
    | StartMonitor
    | SuspendReplication
    | ResumeReplication
    | VerifyNoConflicts
    | Redirect
    | VerifyTraffic
    | StopScheduling
    | VerifySchedulingStopped
    | AwaitInFlightEvents
    | StartScheduling
    | AwaitSessions
    | ReadSessions
    | StopGracefully
    | StartProtocolServer
    | VerifyStopped
    | VerifyServing
    | VerifyUnreachable
    | AwaitQueue
    | ReadQueue
    | StopTransactionManager
    | FindOrphanedFiles
    | StartTransactionManager
    | StopRemaining
    | StartAll,
    Field(discriminator="kind"),
]


WAITS = (AwaitInFlightEvents, AwaitSessions, AwaitQueue)
"""Orders that only wait for clients and partners: patience applies to them."""


def activity_id(action: Action, round_: int) -> str:
    """Under which an order's live heartbeats are found while it runs."""
    return f"{action.key}.{round_}"
