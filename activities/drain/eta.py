"""Estimate when something that is falling reaches zero, from its last readings. Pure."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

MIN_READINGS = 6
MIN_FALLS = 3
"""Readings lower than the one before: one crowd that disconnects at once is no trend."""
MIN_SPAN = timedelta(seconds=20)
"""Between the first reading and the last."""
MAX_SPANS_AHEAD = 10
"""How far ahead an estimate is believed, as a multiple of the span of its readings."""
MAX_READINGS = 240
"""20 minutes of readings that are 5 s apart."""


@dataclass(frozen=True)
class Count:
    """How many remained, and when."""

    at: datetime
    remaining: int


@dataclass
class Trend:
    """The last counts of one wait; a wait that resumes on another worker starts without any."""

    _counts: deque[Count] = field(default_factory=lambda: deque(maxlen=MAX_READINGS))

    def add(self, at: datetime, remaining: int) -> timedelta | None:
        """Add a count; return the estimated time until none remains, or None."""
        self._counts.append(Count(at, remaining))
        return eta(self._counts)


def eta(counts: Sequence[Count]) -> timedelta | None:
    """Return the time until none remains, if the counts go on as they do; never negative.

    None where they do not fall, are too few, lie too close together, or reach zero too far ahead.
    """
    if len(counts) < MIN_READINGS:
        return None
    first, last = counts[0], counts[-1]
    span = last.at - first.at
    falls = sum(later.remaining < earlier.remaining for earlier, later in pairwise(counts))
    if span < MIN_SPAN or falls < MIN_FALLS or last.remaining <= 0:
        return None
    middle = next(count for count in counts if count.at - first.at >= span / 2)
    # What slows down or stands still goes on as in its later half.
    rate = min(_rate(first, last), _rate(middle, last))
    if rate <= 0 or last.remaining > rate * MAX_SPANS_AHEAD * span.total_seconds():
        return None
    return timedelta(seconds=round(last.remaining / rate))


def _rate(earlier: Count, later: Count) -> float:
    """Return how many end per second."""
    seconds = (later.at - earlier.at).total_seconds()
    return (earlier.remaining - later.remaining) / seconds if seconds > 0 else 0.0
