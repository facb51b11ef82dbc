"""The stages of a switchover: their names, which never change, and their titles."""

from enum import StrEnum


class StageName(StrEnum):
    """The names of the stages, in their sequence."""

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

    @property
    def number(self) -> int:
        """The number of the stage, 0 for the prerequisites."""
        return list(StageName).index(self)


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
}

DECIDED_TOGETHER = {
    StageName.SUSPEND_REPLICATION: (StageName.SUSPEND_REPLICATION, StageName.REDIRECT_TRAFFIC),
    StageName.STOP_SCHEDULING: (StageName.STOP_SCHEDULING, StageName.START_SCHEDULING),
}
"""Gates that are answered before the first of their stages begins: no run waits for an approval
with replication off, or without scheduling on either cluster."""

POINT_OF_NO_RETURN = StageName.DRAIN_PROTOCOL_SERVERS
"""Its first graceful stop: after it a run rolls back only if an operator decides so."""
