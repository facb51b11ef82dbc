"""Phrases that previews of commands share."""

from collections.abc import Iterable, Iterator
from datetime import timedelta


def twice(readings: Iterable[str], interval: timedelta) -> Iterator[str]:
    """Yield readings that are made two times."""
    yield from readings
    yield f"and once more, {seconds(interval)} later"


def seconds(time: timedelta) -> str:
    """Return a time as a number of seconds."""
    return f"{time.total_seconds():g} s"
