"""The stages of a switchover and of a rejoin: their names, which never change, and their titles."""

from enum import StrEnum
from typing import Literal

Procedure = Literal["switchover", "rejoin"]
"""What a run does: it moves traffic to the other cluster, or brings a drained cluster back."""


class StageName(StrEnum):
    """The names of the stages: those of a switchover in their sequence, then those of a rejoin."""

    CHECK_PREREQUISITES = "check_prerequisites"
    STOP_MONITORS = "stop_monitors"
    SUSPEND_REPLICATION = "suspend_replication"
    REDIRECT_TRAFFIC = "redirect_traffic"
    STOP_SCHEDULING = "stop_scheduling"
    START_SCHEDULING = "start_scheduling"
    DRAIN_PROTOCOL_SERVERS = "drain_protocol_servers"
    DRAIN_TRANSACTION_MANAGER = "drain_transaction_manager"
    STOP_REMAINING_SERVICES = "stop_remaining_services"
    RESTORE_MONITORS = "restore_monitors"

    START_ADMIN = "start_admin"
    CHECK_RETURNED = "check_returned"
    PAUSE_SCHEDULING = "pause_scheduling"
    START_TRANSACTION_MANAGERS = "start_transaction_managers"
    RESUME_SCHEDULING = "resume_scheduling"
    START_SERVICES = "start_services"
    RESUME_REPLICATION = "resume_replication"
    START_MONITORS = "start_monitors"

    @property
    def number(self) -> int:
        """The number of the stage in its procedure, 0 for the prerequisites."""
        return _NUMBERS[self]


_ALL = tuple(StageName)
_FIRST_OF_REJOIN = _ALL.index(StageName.START_ADMIN)
STAGES: dict[Procedure, tuple[StageName, ...]] = {
    "switchover": _ALL[:_FIRST_OF_REJOIN],
    "rejoin": (StageName.CHECK_PREREQUISITES, *_ALL[_FIRST_OF_REJOIN:]),
}
"""By procedure: its stages, in their sequence."""
_NUMBERS = {name: number for names in STAGES.values() for number, name in enumerate(names)}

TITLES = {
    StageName.CHECK_PREREQUISITES: "Check every prerequisite and record the baseline",
    StageName.STOP_MONITORS: "Stop the Monitors of the source",
    StageName.SUSPEND_REPLICATION: "Suspend database replication, both directions",
    StageName.REDIRECT_TRAFFIC: "Redirect traffic to the target",
    StageName.STOP_SCHEDULING: "Stop Scheduler and Folder Monitor on the source",
    StageName.START_SCHEDULING: "Start Scheduler and Folder Monitor on the target",
    StageName.DRAIN_PROTOCOL_SERVERS: (
        "Wait for the source's sessions, then stop its protocol servers"
    ),
    StageName.DRAIN_TRANSACTION_MANAGER: "Wait for the source's event queue, then stop its TMs",
    StageName.STOP_REMAINING_SERVICES: "Stop the remaining services of the source",
    StageName.RESTORE_MONITORS: "Start the target's Monitors again",
    StageName.START_ADMIN: "Start the Edges and the Servers' admin services",
    StageName.CHECK_RETURNED: "Check every prerequisite again, on all nodes",
    StageName.PAUSE_SCHEDULING: "Stop Scheduler and Folder Monitor on the active cluster",
    StageName.START_TRANSACTION_MANAGERS: "Start the TMs, and stop scheduling beside them",
    StageName.RESUME_SCHEDULING: "Start Scheduler and Folder Monitor on the active cluster again",
    StageName.START_SERVICES: "Start the protocol servers",
    StageName.RESUME_REPLICATION: "Resume database replication, from the active cluster first",
    StageName.START_MONITORS: "Start the Monitors of both clusters",
}

DECIDED_TOGETHER = {
    StageName.SUSPEND_REPLICATION: (StageName.SUSPEND_REPLICATION, StageName.REDIRECT_TRAFFIC),
    StageName.STOP_SCHEDULING: (StageName.STOP_SCHEDULING, StageName.START_SCHEDULING),
    StageName.PAUSE_SCHEDULING: (
        StageName.PAUSE_SCHEDULING,
        StageName.START_TRANSACTION_MANAGERS,
        StageName.RESUME_SCHEDULING,
    ),
}
"""Gates that are answered before the first of their stages begins: no run waits for an approval
with replication off, or without scheduling on either cluster."""

WITHOUT_SCHEDULING = (
    DECIDED_TOGETHER[StageName.STOP_SCHEDULING],
    DECIDED_TOGETHER[StageName.PAUSE_SCHEDULING],
)
"""By procedure: from the first effect of the first of these stages to the end of the last,
scheduling may run on neither cluster."""

POINT_OF_NO_RETURN = StageName.DRAIN_PROTOCOL_SERVERS
"""Its first graceful stop: after it a run rolls back only if an operator decides so. A rejoin has
none: the cluster that it starts serves no client."""
