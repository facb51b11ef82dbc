"""When will something that has been falling be gone, as far as its last readings tell? Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

FEWEST = 6
"""Readings: fewer say nothing of how it goes on."""
FALLS = 3
"""Readings that are lower than the one before: one crowd that leaves is no trend."""
SHORTEST = timedelta(seconds=20)
"""Between the first reading and the last."""
FARTHEST = 10
"""Times the span of the readings: nobody sees farther ahead from them."""
REMEMBERED = 240
"""Readings: 20 minutes of them where they are 5 s apart."""


@dataclass(frozen=True)
class Reading:
    """How many there were, and when."""

    at: datetime
    left: int


@dataclass
class Trend:
    """The last readings of one wait; a wait that resumed elsewhere begins without any."""

    _readings: deque[Reading] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def add(self, at: datetime, left: int) -> timedelta | None:
        """Remember one more reading; return in how long nothing is left, or None."""
        self._readings.append(Reading(at, left))
        return eta(self._readings)


def eta(readings: Sequence[Reading]) -> timedelta | None:
    """Return in how long nothing is left, if it goes on as in these readings.

    None where they do not fall, are too few, lie too close together, or would have to be believed
    too far ahead. Never negative.
    """
    if len(readings) < FEWEST:
        return None
    first, last = readings[0], readings[-1]
    span = last.at - first.at
    falls = sum(later.left < earlier.left for earlier, later in pairwise(readings))
    if span < SHORTEST or falls < FALLS or last.left <= 0:
        return None
    middle = next(reading for reading in readings if reading.at - first.at >= span / 2)
    # What slows down, or has come to a stand, goes on as in its later half.
    rate = min(_rate(first, last), _rate(middle, last))
    if rate <= 0 or last.left > rate * FARTHEST * span.total_seconds():
        return None
    return timedelta(seconds=round(last.left / rate))


def _rate(earlier: Reading, later: Reading) -> float:
    """How many left per second."""
    seconds = (later.at - earlier.at).total_seconds()
    return (earlier.left - later.left) / seconds if seconds > 0 else 0.0
