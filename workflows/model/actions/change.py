"""What can be asked of one place, and what it answers.

An order names its place; the plan's snapshot of the estate says where that is. Every order that
changes something knows the order that undoes it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from workflows.model.actions.base import Asked, AskedOfLink, AskedOfNode
from workflows.model.actions.observe import Observation
from workflows.model.estate import Name, Protocol

SchedulingService = Literal["scheduler", "folder_monitor"]


class StopMonitor(AskedOfNode):
    """Stop the Monitor Server, which would restart what is being stopped."""

    kind: Literal["stop_monitor"] = "stop_monitor"

    @property
    def undo(self) -> Order:
        return StartMonitor(node=self.node)

    def __str__(self) -> str:
        return f"stop the Monitor on {self.node}"


class StartMonitor(AskedOfNode):
    """Start the Monitor Server; nothing happens where it did not run at the baseline."""

    kind: Literal["start_monitor"] = "start_monitor"

    @property
    def undo(self) -> Order:
        return StopMonitor(node=self.node)

    def __str__(self) -> str:
        return f"start the Monitor on {self.node}"


class SuspendReplication(AskedOfLink):
    """Let the lag reach zero, then disable the subscription and read it back."""

    kind: Literal["suspend_replication"] = "suspend_replication"

    @property
    def undo(self) -> Order:
        return ResumeReplication(link=self.link)

    def __str__(self) -> str:
        return f"suspend replication {self.link}"


class ResumeReplication(AskedOfLink):
    """Enable the subscription again and see it apply."""

    kind: Literal["resume_replication"] = "resume_replication"

    @property
    def undo(self) -> Order:
        return SuspendReplication(link=self.link)

    def __str__(self) -> str:
        return f"resume replication {self.link}"


class Redirect(Asked):
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
    def undo(self) -> Order:
        return Redirect(host=self.host, to=self.back_to, back_to=self.to)

    def __str__(self) -> str:
        return f"point {self.host} at {self.to}"


class ProveTraffic(Asked):
    """Log in through the load balancer and find that very session on a node of the cluster."""

    kind: Literal["prove_traffic"] = "prove_traffic"
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


class StopScheduling(AskedOfNode):
    """Stop Scheduler and Folder Monitor on a Server."""

    kind: Literal["stop_scheduling"] = "stop_scheduling"

    @property
    def undo(self) -> Order:
        return StartScheduling(node=self.node)

    def __str__(self) -> str:
        return f"stop Scheduler and Folder Monitor on {self.node}"


class ProveSchedulingStopped(AskedOfNode):
    """See Scheduler and Folder Monitor stopped, still so after the takeover time."""

    kind: Literal["prove_scheduling_stopped"] = "prove_scheduling_stopped"

    def __str__(self) -> str:
        return f"see that no Scheduler or Folder Monitor took over on {self.node}"


class AwaitWorkInHand(AskedOfNode):
    """Wait until every event that is queued now has ended, then one storage delay more."""

    kind: Literal["await_work_in_hand"] = "await_work_in_hand"

    def __str__(self) -> str:
        return f"wait for the Folder Monitor's work in hand, as {self.node} sees it"


class StartScheduling(AskedOfNode):
    """Start Scheduler and Folder Monitor on a Server, or only the one that ran before."""

    kind: Literal["start_scheduling"] = "start_scheduling"
    services: tuple[SchedulingService, ...] = ("scheduler", "folder_monitor")

    @property
    def undo(self) -> Order:
        return StopScheduling(node=self.node)

    def __str__(self) -> str:
        names = {"scheduler": "Scheduler", "folder_monitor": "Folder Monitor"}
        return f"start {' and '.join(names[service] for service in self.services)} on {self.node}"


class AwaitSessions(AskedOfNode):
    """Wait until the client sessions have left, stable over several readings."""

    kind: Literal["await_sessions"] = "await_sessions"

    def __str__(self) -> str:
        return f"wait until the sessions have left {self.node}"


class LookAtSessions(AskedOfNode):
    """Read once who is still on a node, to say whom a decision concerns."""

    kind: Literal["look_at_sessions"] = "look_at_sessions"

    def __str__(self) -> str:
        return f"see who is still on {self.node}"


class StopGracefully(AskedOfNode):
    """Ask a protocol server whose sessions have left to stop; what is left gets *grace*."""

    kind: Literal["stop_gracefully"] = "stop_gracefully"
    protocol: Protocol
    grace: timedelta

    @property
    def subject(self) -> str:
        return self.protocol

    @property
    def undo(self) -> Order:
        return StartProtocolServer(node=self.node, protocol=self.protocol)

    def __str__(self) -> str:
        return f"stop {self.protocol} gracefully on {self.node}"


class StartProtocolServer(AskedOfNode):
    """Start a protocol server, after every pending stop of it has landed."""

    kind: Literal["start_protocol_server"] = "start_protocol_server"
    protocol: Protocol

    @property
    def subject(self) -> str:
        return self.protocol

    def __str__(self) -> str:
        return f"start {self.protocol} on {self.node}"


class ProveStopped(AskedOfNode):
    """See every protocol server and the Monitor of a node down."""

    kind: Literal["prove_stopped"] = "prove_stopped"

    def __str__(self) -> str:
        return f"see every protocol server and the Monitor of {self.node} down"


class ProveServing(AskedOfNode):
    """See every protocol server that the estate lists, and the Transaction Manager, run; twice."""

    kind: Literal["prove_serving"] = "prove_serving"

    def __str__(self) -> str:
        return f"see that {self.node} serves"


class ProveDead(AskedOfNode):
    """See that a node answers nowhere: neither over SSH, nor its admin API, nor any port."""

    kind: Literal["prove_dead"] = "prove_dead"

    def __str__(self) -> str:
        return f"see that {self.node} answers nowhere"


class AwaitQueue(AskedOfNode):
    """Wait until the event queue is empty and nothing is active, as this Server sees it."""

    kind: Literal["await_queue"] = "await_queue"

    def __str__(self) -> str:
        return f"wait until the event queue is empty, as {self.node} sees it"


class LookAtQueue(AskedOfNode):
    """Read once what is still in the event queue, to say what a decision concerns."""

    kind: Literal["look_at_queue"] = "look_at_queue"

    def __str__(self) -> str:
        return f"see what is still in the event queue, as {self.node} sees it"


class StopTransactionManager(AskedOfNode):
    """Stop the Transaction Manager gracefully."""

    kind: Literal["stop_transaction_manager"] = "stop_transaction_manager"
    grace: timedelta = Field(ge=timedelta(seconds=30))

    @property
    def undo(self) -> Order:
        return StartTransactionManager(node=self.node)

    def __str__(self) -> str:
        return f"stop the Transaction Manager gracefully on {self.node}"


class LookForOrphans(AskedOfNode):
    """List what unfinished transfers left on the shared storage, as this Server sees it."""

    kind: Literal["look_for_orphans"] = "look_for_orphans"

    def __str__(self) -> str:
        return f"look for orphaned files on the shared storage of {self.node}"


class StartTransactionManager(AskedOfNode):
    """Start the Transaction Manager, after a pending stop of it has landed."""

    kind: Literal["start_transaction_manager"] = "start_transaction_manager"

    def __str__(self) -> str:
        return f"start the Transaction Manager on {self.node}"


class StopRemaining(AskedOfNode):
    """Stop what is left on a node with the vendor's ``stop_all``."""

    kind: Literal["stop_remaining"] = "stop_remaining"

    @property
    def undo(self) -> Order:
        return StartAll(node=self.node)

    def __str__(self) -> str:
        return f"stop all that is left on {self.node}"


class StartAll(AskedOfNode):
    """Start everything on a node with the vendor's ``start_all``."""

    kind: Literal["start_all"] = "start_all"

    def __str__(self) -> str:
        return f"start all on {self.node}"


Order = Annotated[
    Observation
    | StopMonitor
    | StartMonitor
    | SuspendReplication
    | ResumeReplication
    | Redirect
    | ProveTraffic
    | StopScheduling
    | ProveSchedulingStopped
    | AwaitWorkInHand
    | StartScheduling
    | AwaitSessions
    | LookAtSessions
    | StopGracefully
    | StartProtocolServer
    | ProveStopped
    | ProveServing
    | ProveDead
    | AwaitQueue
    | LookAtQueue
    | StopTransactionManager
    | LookForOrphans
    | StartTransactionManager
    | StopRemaining
    | StartAll,
    Field(discriminator="kind"),
]


WAITS = (AwaitWorkInHand, AwaitSessions, AwaitQueue)
"""Orders that only wait for clients and partners: patience applies to them."""


def activity_id(order: Order, round_: int) -> str:
    """Under which an order's live heartbeats are found while it runs."""
    return f"{order.key}.{round_}"
