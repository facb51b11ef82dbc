"""For how long is a place tried that does not answer?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from temporalio.exceptions import ApplicationError

from workflows.errors import Unreachable

REACHED = 120.0
"""Seconds: an attempt that went on for longer had reached its place before it lost it. Between two
attempts, another worker's may have."""

Key = tuple[str, str]
"""The run and the activity's id, which an order keeps from attempt to attempt."""


class UnreachableTimeout(ApplicationError):
    """A place did not answer for as long as its estate allows: the engine shall not go on."""

    def __init__(self, silence: Unreachable) -> None:
        super().__init__(str(silence), type=Unreachable.__name__, non_retryable=True)


@dataclass(frozen=True)
class _Silence:
    since: float
    until: float


class UnreachableBudget:
    """How long each activity has reached nobody, as this worker saw it.

    The engine's own limits cover an order's whole length, that of a graceful stop for example: left
    to them, people would be asked much too late about a node that was silent from the start.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._silences: dict[Key, _Silence] = {}

    def now(self) -> float:
        """Return the time by the clock of this patience, in seconds."""
        return self._clock()

    def spend(self, key: Key, began: float, limit: timedelta, silence: Unreachable) -> None:
        """Count an attempt that reached nothing; UnreachableTimeout after too many of them."""
        now, before = self._clock(), self._silences.get(key)
        since = began if now - began <= REACHED else now
        if before is not None and now - before.until <= REACHED:
            since = before.since
        if now - since >= limit.total_seconds():
            self.renew(key)
            raise UnreachableTimeout(silence) from silence
        # What no attempt of this worker has added to for so long has ended, or gone elsewhere.
        self._silences = {k: s for k, s in self._silences.items() if now - s.until <= REACHED}
        self._silences[key] = _Silence(since, now)

    def renew(self, key: Key) -> None:
        """Forget a silence: the place answered, or the attempt ended in another way."""
        self._silences.pop(key, None)
