"""Actions that change something, and the action that undoes each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from pydantic import Field

from workflows.model.actions.base import BaseAction, Intent, OnHost, OnLink, OnNode, OverProtocol
from workflows.model.estate import Name

SchedulingService = Literal["scheduler", "folder_monitor"]


class BaseChange(BaseAction):
    """An action that changes something."""

    @property
    def undo(self) -> Change | None:
        """The action that undoes it; None for what only a rollback does."""
        opposite = _OPPOSITES[type(self)]
        if opposite is None:
            return None
        shared = opposite.model_fields.keys() - {"kind", "services"}
        return opposite.model_validate(self.model_dump(include=shared))


class GracefulStop(BaseChange, OnNode):
    """A stop that gives work in progress *grace* to finish."""

    intent = Intent.GRACEFUL_STOP
    grace: timedelta


class StopMonitor(BaseChange, OnNode):
    """Stop the Monitor Server, which would restart what is being stopped."""

    intent = Intent.COMMAND
    kind: Literal["stop_monitor"] = "stop_monitor"
    sentence = "stop the Monitor on {node}"


class StartMonitor(BaseChange, OnNode):
    """Start the Monitor Server; nothing happens where it did not run at the baseline."""

    intent = Intent.START
    kind: Literal["start_monitor"] = "start_monitor"
    sentence = "start the Monitor on {node}"


class SuspendReplication(BaseChange, OnLink):
    """Let the lag reach zero, then disable the subscription and read it back."""

    intent = Intent.STATEMENT
    kind: Literal["suspend_replication"] = "suspend_replication"
    sentence = "suspend replication on {link}"


class ResumeReplication(BaseChange, OnLink):
    """Enable the subscription again and verify that it applies changes."""

    intent = Intent.STATEMENT
    kind: Literal["resume_replication"] = "resume_replication"
    sentence = "resume replication on {link}"


class BeginSlot(BaseChange, OnLink):
    """Keep from now on what the source of a resting link writes, so that nothing of it is lost.

    A link rests where only one direction can run at a time. Any other link has its slot already.
    """

    intent = Intent.STATEMENT
    kind: Literal["begin_slot"] = "begin_slot"
    sentence = "keep from now on what {link} has to deliver later"


class DropSlot(BaseChange, OnLink):
    """Drop the slot of a link that rests, so that it keeps no WAL; refuse where it is owed."""

    intent = Intent.STATEMENT
    kind: Literal["drop_slot"] = "drop_slot"
    sentence = "keep nothing any more for {link} if it rests"


class CopyTables(BaseChange, OnLink):
    """Copy every published table to the subscriber, if changes since the suspension were lost."""

    intent = Intent.COPY_DATABASES
    kind: Literal["copy_tables"] = "copy_tables"
    sentence = "copy the tables of {link} if changes were lost"


class RenewSlot(BaseChange, OnLink):
    """Make a lost slot anew, once its publisher has nothing that the subscriber lacks."""

    intent = Intent.COPY_DATABASES
    kind: Literal["renew_slot"] = "renew_slot"
    sentence = "make the slot of {link} anew if it was lost"


class Redirect(BaseChange, OnHost):
    """Make a load balancer host send new connections to a cluster."""

    intent = Intent.COMMAND
    kind: Literal["redirect"] = "redirect"
    to: Name
    back_to: Name
    sentence = "point {host} at {to}"

    @property
    def subject(self) -> str:
        return self.to

    @property
    def undo(self) -> Redirect:
        return Redirect(host=self.host, to=self.back_to, back_to=self.to)


class StopScheduling(BaseChange, OnNode):
    """Stop Scheduler and Folder Monitor on a Server."""

    intent = Intent.CALL
    kind: Literal["stop_scheduling"] = "stop_scheduling"
    sentence = "stop Scheduler and Folder Monitor on {node}"


class StartScheduling(BaseChange, OnNode):
    """Start Scheduler and Folder Monitor on a Server, or only the one that ran before."""

    intent = Intent.CALL
    kind: Literal["start_scheduling"] = "start_scheduling"
    services: tuple[SchedulingService, ...] = ("scheduler", "folder_monitor")

    def __str__(self) -> str:
        names = {"scheduler": "Scheduler", "folder_monitor": "Folder Monitor"}
        return f"start {' and '.join(names[service] for service in self.services)} on {self.node}"


class StopGracefully(OverProtocol, GracefulStop):
    """Stop a protocol server without sessions; what it still does gets *grace* to finish."""

    kind: Literal["stop_gracefully"] = "stop_gracefully"
    sentence = "stop {protocol} gracefully on {node}"


class StartProtocolServer(OverProtocol, BaseChange, OnNode):
    """Start a protocol server, after every pending stop of it has completed."""

    intent = Intent.START
    kind: Literal["start_protocol_server"] = "start_protocol_server"
    sentence = "start {protocol} on {node}"


class StopTransactionManager(GracefulStop):
    """Stop the Transaction Manager gracefully."""

    kind: Literal["stop_transaction_manager"] = "stop_transaction_manager"
    grace: timedelta = Field(ge=timedelta(seconds=30))
    sentence = "stop the Transaction Manager gracefully on {node}"


class StartTransactionManager(BaseChange, OnNode):
    """Start the Transaction Manager, after a pending stop of it has completed."""

    intent = Intent.START
    kind: Literal["start_transaction_manager"] = "start_transaction_manager"
    sentence = "start the Transaction Manager on {node}"


class StopRemaining(BaseChange, OnNode):
    """Stop what still runs on a node with the vendor's ``stop_all``."""

    intent = Intent.COMMAND
    kind: Literal["stop_remaining"] = "stop_remaining"
    sentence = "stop all remaining services on {node}"


class StartAdmin(BaseChange, OnNode):
    """Start the admin service of a node on which nothing runs, and wait for its API."""

    intent = Intent.START
    kind: Literal["start_admin"] = "start_admin"
    sentence = "start the admin service on {node}"


class StartAll(BaseChange, OnNode):
    """Start everything on a node with the vendor's ``start_all``."""

    intent = Intent.START
    kind: Literal["start_all"] = "start_all"
    sentence = "start all services on {node}"


Change = (
    StopMonitor
    | StartMonitor
    | SuspendReplication
    | ResumeReplication
    | BeginSlot
    | DropSlot
    | CopyTables
    | RenewSlot
    | Redirect
    | StopScheduling
    | StartScheduling
    | StopGracefully
    | StartProtocolServer
    | StopTransactionManager
    | StartTransactionManager
    | StopRemaining
    | StartAdmin
    | StartAll
)
"""Actions that may change something."""

_OPPOSITES: Mapping[type[BaseChange], type[Change] | None] = {
    StopMonitor: StartMonitor,
    StartMonitor: StopMonitor,
    SuspendReplication: ResumeReplication,
    ResumeReplication: SuspendReplication,
    BeginSlot: DropSlot,
    DropSlot: BeginSlot,
    # What was lost stays lost, and the passive side is no worse off with it.
    CopyTables: None,
    RenewSlot: None,
    StopScheduling: StartScheduling,
    StartScheduling: StopScheduling,
    StopGracefully: StartProtocolServer,
    StopTransactionManager: StartTransactionManager,
    StopRemaining: StartAll,
    # A rollback starts these, and is not rolled back; a rejoin's rollback stops the whole node.
    StartProtocolServer: None,
    StartTransactionManager: None,
    StartAdmin: None,
    StartAll: None,
}
