"""Decide whether the estate's change window lets a stage begin."""

from datetime import datetime, timedelta

from workflows.model.stages import StageName
from workflows.planning.plan import Plan

WINDOWED = (
    StageName.STOP_MONITORS,
    StageName.SUSPEND_REPLICATION,
    StageName.REDIRECT_TRAFFIC,
    StageName.START_ADMIN,
)
"""Until traffic has moved, or a rejoin has started anything, waiting costs nothing."""

DECIDED_BY = {StageName.REDIRECT_TRAFFIC: StageName.SUSPEND_REPLICATION}
"""No run waits with replication off: the approval that starts stage 2 early starts stage 3, too."""


def closed_for(plan: Plan, stage: StageName, now: datetime) -> timedelta | None:
    """Return how long the window stays closed for a stage; None if the stage may begin."""
    window = plan.estate.change_window
    if window is None or stage not in WINDOWED or stage in DECIDED_BY or window.is_open(now):
        return None
    return window.opens(now) - now
