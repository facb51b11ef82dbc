"""Limit how long an activity retries a place that does not answer.

The budget is per worker and in memory: a worker that is started again counts from zero, and each
worker counts only its own attempts. So the estate's ``unreachable_timeout`` is approximate: after a
restart, the run asks the operator later.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from temporalio.exceptions import ApplicationError

from workflows.errors import Unreachable

MAX_FRUITLESS_ATTEMPT = 120.0
"""Seconds: a longer attempt had reached its place before it lost it. Between two attempts that are
further apart, another worker may have reached it."""

Key = tuple[str, str]
"""The run and the activity's id, which an action keeps from attempt to attempt."""


class UnreachableTimeout(ApplicationError):
    """A place did not answer for as long as its estate allows: Temporal must not retry."""

    def __init__(self, unreachable: Unreachable) -> None:
        super().__init__(str(unreachable), type=Unreachable.__name__, non_retryable=True)


@dataclass(frozen=True)
class _Period:
    since: float
    until: float


class UnreachableBudget:
    """For how long each activity has reached no place, as this worker counts it.

    Temporal's own limits cover an action's whole length, that of a graceful stop for example: with
    them alone, the operator would be asked much too late about a node that never answered.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._periods: dict[Key, _Period] = {}

    def now(self) -> float:
        """Return the time by this budget's clock, in seconds."""
        return self._clock()

    def spend(self, key: Key, started: float, limit: timedelta, unreachable: Unreachable) -> None:
        """Count an attempt that reached nothing; UnreachableTimeout if the budget is spent."""
        now, before = self._clock(), self._periods.get(key)
        since = started if now - started <= MAX_FRUITLESS_ATTEMPT else now
        if before is not None and now - before.until <= MAX_FRUITLESS_ATTEMPT:
            since = before.since
        if now - since >= limit.total_seconds():
            self.renew(key)
            raise UnreachableTimeout(unreachable) from unreachable
        # An entry without an attempt for so long belongs to an activity that ended elsewhere.
        self._periods = {
            k: p for k, p in self._periods.items() if now - p.until <= MAX_FRUITLESS_ATTEMPT
        }
        self._periods[key] = _Period(since, now)

    def renew(self, key: Key) -> None:
        """Restore the whole budget: the place answered, or the attempt ended in another way."""
        self._periods.pop(key, None)
