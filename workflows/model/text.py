"""Make text of people and machines safe, and short enough, to show."""

from collections.abc import Iterable
from datetime import timedelta

MAX_LISTED = 5


def printable(text: str, instead: str = " ") -> str:
    """Replace every character that a terminal would obey instead of showing it."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else instead for character in text)


def printable_lines(text: str) -> str:
    """Replace as :func:`printable` does; the ends of lines remain."""
    return text if text.isprintable() else "\n".join(map(printable, text.split("\n")))


def listed(items: Iterable[str], most: int = MAX_LISTED, between: str = ", ") -> str:
    """Name the first few items, and state how many more there are."""
    everything = list(items)
    more = len(everything) - most
    return between.join(everything[:most]) + (f" and {more} more" if more > 0 else "")


def first(items: Iterable[str], most: int) -> tuple[str, ...]:
    """Return the first items as they are, and as the last one how many more there are."""
    everything = tuple(items)
    more = len(everything) - most
    return (*everything[:most], f"and {more} more") if more > 0 else everything


def left_out(findings: int) -> tuple[str, ...]:
    """Say how many findings a list lacks; nothing where it lacks none."""
    return (f"{findings} more findings were left out: all would be too long to keep",) * bool(
        findings
    )


def duration(span: timedelta) -> str:
    """Return a time span in words."""
    seconds = span.total_seconds()
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s".replace(".0 s", " s")
