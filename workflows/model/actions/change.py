"""Actions that change something, each with the action that undoes it."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from workflows.model.actions.base import BaseAction, Intent, OnLink, OnNode
from workflows.model.estate import Name, Protocol

SchedulingService = Literal["scheduler", "folder_monitor"]


class GracefulStop(OnNode):
    """A stop that gives work in progress *grace* to finish."""

    intent = Intent.GRACEFUL_STOP
    grace: timedelta


class StopMonitor(OnNode):
    """Stop the Monitor Server, which would restart what is being stopped."""

    intent = Intent.COMMAND
    kind: Literal["stop_monitor"] = "stop_monitor"

    @property
    def undo(self) -> StartMonitor:
        return StartMonitor(node=self.node)

    def __str__(self) -> str:
        return f"stop the Monitor on {self.node}"


class StartMonitor(OnNode):
    """Start the Monitor Server; nothing happens where it did not run at the baseline."""

    intent = Intent.START
    kind: Literal["start_monitor"] = "start_monitor"

    @property
    def undo(self) -> StopMonitor:
        return StopMonitor(node=self.node)

    def __str__(self) -> str:
        return f"start the Monitor on {self.node}"


class SuspendReplication(OnLink):
    """Let the lag reach zero, then disable the subscription and read it back."""

    intent = Intent.STATEMENT
    kind: Literal["suspend_replication"] = "suspend_replication"

    @property
    def undo(self) -> ResumeReplication:
        return ResumeReplication(link=self.link)

    def __str__(self) -> str:
        return f"suspend replication {self.link}"


class ResumeReplication(OnLink):
    """Enable the subscription again and see it apply."""

    intent = Intent.STATEMENT
    kind: Literal["resume_replication"] = "resume_replication"

    @property
    def undo(self) -> SuspendReplication:
        return SuspendReplication(link=self.link)

    def __str__(self) -> str:
        return f"resume replication {self.link}"


class Redirect(BaseAction):
    """Make a load balancer host send new connections to a cluster."""

    intent = Intent.COMMAND
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
    def undo(self) -> Redirect:
        return Redirect(host=self.host, to=self.back_to, back_to=self.to)

    def __str__(self) -> str:
        return f"point {self.host} at {self.to}"


class StopScheduling(OnNode):
    """Stop Scheduler and Folder Monitor on a Server."""

    intent = Intent.CALL
    kind: Literal["stop_scheduling"] = "stop_scheduling"

    @property
    def undo(self) -> StartScheduling:
        return StartScheduling(node=self.node)

    def __str__(self) -> str:
        return f"stop Scheduler and Folder Monitor on {self.node}"


class StartScheduling(OnNode):
    """Start Scheduler and Folder Monitor on a Server, or only the one that ran before."""

    intent = Intent.CALL
    kind: Literal["start_scheduling"] = "start_scheduling"
    services: tuple[SchedulingService, ...] = ("scheduler", "folder_monitor")

    @property
    def undo(self) -> StopScheduling:
        return StopScheduling(node=self.node)

    def __str__(self) -> str:
        names = {"scheduler": "Scheduler", "folder_monitor": "Folder Monitor"}
        return f"start {' and '.join(names[service] for service in self.services)} on {self.node}"


class StopGracefully(GracefulStop):
    """Stop a protocol server without sessions; what it still does gets *grace* to finish."""

    kind: Literal["stop_gracefully"] = "stop_gracefully"
    protocol: Protocol
    grace: timedelta

    @property
    def subject(self) -> str:
        return self.protocol

    @property
    def undo(self) -> StartProtocolServer:
        return StartProtocolServer(node=self.node, protocol=self.protocol)

    def __str__(self) -> str:
        return f"stop {self.protocol} gracefully on {self.node}"


class StartProtocolServer(OnNode):
    """Start a protocol server, after every pending stop of it has landed."""

    intent = Intent.START
    kind: Literal["start_protocol_server"] = "start_protocol_server"
    protocol: Protocol

    @property
    def subject(self) -> str:
        return self.protocol

    @property
    def undo(self) -> None:
        return None  # only a rollback starts it, and a rollback is not rolled back

    def __str__(self) -> str:
        return f"start {self.protocol} on {self.node}"


class StopTransactionManager(GracefulStop):
    """Stop the Transaction Manager gracefully."""

    kind: Literal["stop_transaction_manager"] = "stop_transaction_manager"
    grace: timedelta = Field(ge=timedelta(seconds=30))

    @property
    def undo(self) -> StartTransactionManager:
        return StartTransactionManager(node=self.node)

    def __str__(self) -> str:
        return f"stop the Transaction Manager gracefully on {self.node}"


class StartTransactionManager(OnNode):
    """Start the Transaction Manager, after a pending stop of it has landed."""

    intent = Intent.START
    kind: Literal["start_transaction_manager"] = "start_transaction_manager"

    @property
    def undo(self) -> None:
        return None  # only a rollback starts it, and a rollback is not rolled back

    def __str__(self) -> str:
        return f"start the Transaction Manager on {self.node}"


class StopRemaining(OnNode):
    """Stop what still runs on a node with the vendor's ``stop_all``."""

    intent = Intent.COMMAND
    kind: Literal["stop_remaining"] = "stop_remaining"

    @property
    def undo(self) -> StartAll:
        return StartAll(node=self.node)

    def __str__(self) -> str:
        return f"stop all remaining services on {self.node}"


class StartAll(OnNode):
    """Start everything on a node with the vendor's ``start_all``."""

    intent = Intent.START
    kind: Literal["start_all"] = "start_all"

    @property
    def undo(self) -> None:
        return None  # only a rollback starts it, and a rollback is not rolled back

    def __str__(self) -> str:
        return f"start all services on {self.node}"


Change = (
    StopMonitor
    | StartMonitor
    | SuspendReplication
    | ResumeReplication
    | Redirect
    | StopScheduling
    | StartScheduling
    | StopGracefully
    | StartProtocolServer
    | StopTransactionManager
    | StartTransactionManager
    | StopRemaining
    | StartAll
)
"""Actions that may change something."""
