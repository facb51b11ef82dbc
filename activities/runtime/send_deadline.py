"""Limit how late an attempt may send an effect: the next attempt must not overlap with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio import activity

from workflows.errors import Unreachable


@dataclass(frozen=True)
class SendDeadline:
    """The time an attempt has before Temporal may begin another.

    Of an attempt's start-to-close timeout the first third is for sending, the second for an answer,
    the last is spare: a worker that was frozen finds the first third gone, and sends nothing.
    """

    begins: datetime
    third: timedelta

    @classmethod
    def of_this_attempt(cls) -> SendDeadline:
        """Return the deadline of the activity that runs now."""
        info = activity.info()
        limit = info.start_to_close_timeout
        if limit is None:
            raise AssertionError(info.activity_type)  # activity_options gives every effect one
        return cls(info.started_time, limit / 3)

    @property
    def remaining(self) -> timedelta:
        """How long an effect may still be sent."""
        return self.begins + self.third - datetime.now(UTC)

    def require(self) -> float:
        """Return how many seconds a request may take; Unreachable if it is too late to send it."""
        if self.remaining <= timedelta():
            raise Unreachable(
                "nothing was sent: this attempt is too old to act safely; "
                "its worker was stopped for a time, or its clock is ahead of the Temporal server's"
            )
        return self.third.total_seconds()
