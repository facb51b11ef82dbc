"""Bound and clean what activities put into history and heartbeats, whatever others made them say.

This is the one border: every text that a machine, a server or a file gave passes here on its way to
terminals, pages, logs and history.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from workflows.errors import OutcomeUnknown
from workflows.model.text import printable_lines

T = TypeVar("T")

MAX_RESULT_BYTES = 256 * 1024
MAX_HEARTBEAT_BYTES = 64 * 1024
MAX_SHOWN_ITEMS = 20
MAX_SHOWN_TEXT = 400
"""Items of a list, and characters of a text, of a heartbeat that would be too large."""


class HistoryBounds(Interceptor):
    """Cleans the result and the heartbeats of every activity.

    A result that is too large is refused: a list that was cut would look like one that is whole. A
    heartbeat is only shown, so it is cut, and says how much is missing.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Wrap every activity."""
        return _Results(next)


class _Results(ActivityInboundInterceptor):
    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        """Wrap what activities send, too."""
        super().init(_Heartbeats(outbound))

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401 - the SDK's
        """Return the result of an activity, clean; OutcomeUnknown where it is too large."""
        result = cleaned(await self.next.execute_activity(input))
        if (size := _size(result)) > MAX_RESULT_BYTES:
            raise OutcomeUnknown(
                f"what {activity.info().activity_type} read is {size // 1024} KiB, more than the "
                f"{MAX_RESULT_BYTES // 1024} KiB that are kept; find out which place sends so much"
            )
        return result


class _Heartbeats(ActivityOutboundInterceptor):
    def heartbeat(self, *details: Any) -> None:  # noqa: ANN401 - any details
        """Send a heartbeat, clean and cut where it is too large."""
        shown = tuple(map(cleaned, details))
        if sum(map(_size, shown)) > MAX_HEARTBEAT_BYTES:
            shown = tuple(map(shortened, shown))
        self.next.heartbeat(*(one for one in shown if _size(one) <= MAX_HEARTBEAT_BYTES))


def cleaned(value: T) -> T:
    """Return a value without any character that a terminal would obey; the same if it has none."""
    return _changed(value, printable_lines, lambda items: items)


def shortened(value: T) -> T:
    """Return a value whose texts and lists of texts are short, and say how much is missing."""
    return _changed(value, _short, _first)


def _changed(value: T, text: Callable[[str], str], items: Callable[[tuple[Any, ...]], Any]) -> T:
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

    changed: T = change(value)
    return value if changed == value else changed


def _short(text: str) -> str:
    more = len(text) - MAX_SHOWN_TEXT
    return f"{text[:MAX_SHOWN_TEXT]}... and {more} more characters" if more > 0 else text


def _first(items: tuple[Any, ...]) -> tuple[Any, ...]:
    more = len(items) - MAX_SHOWN_ITEMS
    if more <= 0 or not all(isinstance(item, str) for item in items):
        return items
    return (*items[:MAX_SHOWN_ITEMS], f"and {more} more")


def _size(value: object) -> int:
    return sum(len(one.data) for one in activity.payload_converter().to_payloads([value]))
