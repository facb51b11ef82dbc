"""Make values short enough for history, and say how much is missing."""

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from pydantic import BaseModel

from workflows.model.findings import Finding, Severity

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

MAX_PAYLOAD = 256 * 1024
"""Bytes of JSON."""
STEPS = ((2000, 200), (400, 50), (200, 20))
"""Characters of a text, and items of a list, until a value is short enough."""


def fitted(value: M, most: int = MAX_PAYLOAD) -> M:
    """Shorten texts, lists of texts and ``findings``, if *value* is longer than *most* bytes.

    ``more_findings`` says how many findings are missing; those that block stay longest. What comes
    from the estate's own file is not cut, so a very large estate may remain longer.
    """
    for characters, items in STEPS:
        if len(value.model_dump_json().encode()) <= most:
            break
        value = _with_fewer_findings(shortened(value, characters, items), items)
    return value


def shortened(value: T, characters: int, items: int) -> T:
    """Return a value whose texts and lists of texts are short, and say how much is missing."""

    def text(one: str) -> str:
        more = len(one) - characters
        return f"{one[:characters]}... and {more} more characters" if more > 0 else one

    def first(all_items: tuple[Any, ...]) -> tuple[Any, ...]:
        more = len(all_items) - items
        if more <= 0 or not all(isinstance(item, str) for item in all_items):
            return all_items
        return (*all_items[:items], f"and {more} more")

    return changed(value, text, first)


def changed(
    value: T,
    text: Callable[[str], str],
    items: Callable[[tuple[Any, ...]], tuple[Any, ...]] = lambda items: items,
) -> T:
    """Return the value with its texts and tuples changed; itself where nothing changes."""

    def change(part: Any) -> Any:  # noqa: ANN401 - any part of a value
        match part:
            case str() if not isinstance(part, Enum):
                new: Any = text(part)
            case BaseModel():
                new = part.model_copy(update={name: change(old) for name, old in part})
            case tuple():
                new = items(tuple(map(change, part)))
            case list():
                new = [change(one) for one in part]
            case dict():
                new = {change(key): change(one) for key, one in part.items()}
            case _:
                new = part
        return new

    result: T = change(value)
    return value if result == value else result


def _with_fewer_findings(value: M, items: int) -> M:
    findings: tuple[Finding, ...] = getattr(value, "findings", ())
    more = len(findings) - items
    if more <= 0:
        return value
    first = sorted(findings, key=lambda finding: finding.severity is not Severity.BLOCKS)[:items]
    missing = more + getattr(value, "more_findings", 0)
    return value.model_copy(update={"findings": tuple(first), "more_findings": missing})
