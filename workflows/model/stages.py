"""The stages of a switchover: their names, once and for ever, and what each is for."""

from __future__ import annotations

from enum import StrEnum


class Slug(StrEnum):
    """A stage's name, in the order the stages run."""

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
        return list(Slug).index(self)


TITLES = {
    Slug.CHECK_PREREQUISITES: "Check every prerequisite and record the baseline",
    Slug.STOP_MONITORS: "Stop the Monitors of the source",
    Slug.SUSPEND_REPLICATION: "Suspend database replication, both directions",
    Slug.REDIRECT_TRAFFIC: "Redirect traffic to the target",
    Slug.STOP_SCHEDULING: "Stop Scheduler and Folder Monitor on the source",
    Slug.START_SCHEDULING: "Start Scheduler and Folder Monitor on the target",
    Slug.DRAIN_PROTOCOL_SERVERS: "Wait for the source's sessions, then stop its protocol servers",
    Slug.DRAIN_TRANSACTION_MANAGER: "Wait for the source's event queue, then stop its TMs",
    Slug.STOP_REMAINING_SERVICES: "Stop what is left on the source",
    Slug.RESTORE_MONITORS: "Start the target's Monitors again",
}

DECIDED_TOGETHER = {
    Slug.SUSPEND_REPLICATION: (Slug.SUSPEND_REPLICATION, Slug.REDIRECT_TRAFFIC),
    Slug.STOP_SCHEDULING: (Slug.STOP_SCHEDULING, Slug.START_SCHEDULING),
}
"""Gates that are answered before the first of their stages begins: nobody waits for an approval
with replication off, or without scheduling anywhere."""

POINT_OF_NO_RETURN = Slug.DRAIN_PROTOCOL_SERVERS
"""Its first graceful stop: from there on nothing is undone unless an operator says so."""
