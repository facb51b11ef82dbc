"""What actions return: reports, and what remains of sessions and events."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from workflows.model.actions import Action
from workflows.model.base import Value
from workflows.model.estate import Protocol
from workflows.model.findings import Finding


class Service(StrEnum):
    """A service of a node; protocol servers have the same values as ``Protocol``."""

    MONITOR = "monitor"
    FTP = "ftp"
    HTTP = "http"
    AS2 = "as2"
    SSH = "ssh"
    PESIT = "pesit"
    TRANSACTION_MANAGER = "tm"
    SCHEDULER = "scheduler"
    FOLDER_MONITOR = "folder_monitor"
    ADMIN = "admin"
    PROXY = "socks"
    DATABASE = "db"


PROTOCOL_SERVERS = tuple(Service(protocol.value) for protocol in Protocol)
SCHEDULING = (Service.SCHEDULER, Service.FOLDER_MONITOR)


class State(StrEnum):
    """The state of a service as it was read; never guessed."""

    RUNNING = "running"
    STOPPED = "stopped"
    STOPPING = "stopping"
    """A graceful stop may be pending."""
    DISABLED = "disabled"
    ABSENT = "absent"
    """Not a service of this kind of node."""
    UNKNOWN = "unknown"


DOWN = (State.STOPPED, State.DISABLED, State.ABSENT)


class Report(Value):
    """What an action changed or verified, the same for every attempt."""

    action: str
    """The action's key."""
    outcome: Literal["changed", "unchanged", "seen"]
    """``unchanged``: the desired state held already; ``seen``: the action only reads."""
    message: str
    """One sentence for the operator."""
    at: datetime
    findings: tuple[Finding, ...] = ()


class RemainingSessions(Value):
    """What remains on a node that is being drained; the heartbeat of that wait."""

    node: str
    at: datetime
    connections: dict[Protocol, int] = {}
    """Established connections on the protocol ports, less those of ignored peers."""
    accounts: tuple[str, ...] = ()
    """Who is logged in over what ("partner001 over ssh"), as far as the admin API's list says."""
    eta: timedelta | None = None
    """Estimated time until none remains, from the last readings; None where they do not fall."""
    readings_at_zero: int = 0
    error: str | None = None
    """Why the last reading could not be made; the wait goes on."""


class RemainingQueue(Value):
    """What remains in a cluster's event queue; the heartbeat of that wait."""

    node: str
    at: datetime
    events: int | None = None
    active: int | None = None
    """Transfers in progress, as far as the admin API says."""
    queued: tuple[str, ...] = ()
    """Descriptions of the first events; filled by `read_queue`, not by every heartbeat."""
    eta: timedelta | None = None
    """Estimated time until it is empty, from the last readings; None where they do not fall."""
    readings_at_zero: int = 0
    error: str | None = None


Remaining = RemainingSessions | RemainingQueue


UNDO = ".undo"
"""How the key of a stage ends that rolls another one back."""


class Operation(Value):
    """The identity of one effect, shared by every attempt at it."""

    identity: str
    """The switchover's ``first_execution_run_id``."""
    stage: str
    action: str
    round: int = 1
    """Rises only when an operator decides ``retry`` after the last outcome is known."""

    @property
    def undoes(self) -> bool:
        """Whether it belongs to a rollback."""
        return self.stage.endswith(UNDO)

    @property
    def id(self) -> str:
        """The name of this operation in a ledger: letters, digits, dots, dashes, underscores."""
        return f"{self.identity}.{self.stage}.{self.action}.{self.round}"


def unchanged(action: Action, message: str, at: datetime) -> Report:
    """Report that the desired state held already."""
    return Report(action=action.key, outcome="unchanged", message=message, at=at)


def changed(action: Action, message: str, at: datetime) -> Report:
    """Report that the action brought the desired state about."""
    return Report(action=action.key, outcome="changed", message=message, at=at)


def seen(action: Action, message: str, at: datetime, findings: tuple[Finding, ...] = ()) -> Report:
    """Report what an action that only reads has found."""
    return Report(action=action.key, outcome="seen", message=message, at=at, findings=findings)
