"""Bound and clean what activities put into history and heartbeats, whatever others made them say.

This is the one border: every text that a machine, a server or a file gave passes here on its way to
terminals, pages, logs and history.
"""

from typing import Any, TypeVar

from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from activities.concealment import concealed
from workflows.errors import OutcomeUnknown, SwitchoverError
from workflows.model.bounds import MAX_PAYLOAD, changed, shortened
from workflows.model.text import printable_lines

T = TypeVar("T")

MAX_HEARTBEAT_BYTES = 64 * 1024
MAX_SHOWN_TEXT, MAX_SHOWN_ITEMS = 400, 20
"""Characters of a text, and items of a list, of a heartbeat that would be too large."""


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
        try:
            result = cleaned(await self.next.execute_activity(input))
        except SwitchoverError as error:
            if (clean := cleaned(str(error))) == str(error):
                raise
            raise type(error)(clean) from None
        if (size := _size(result)) > MAX_PAYLOAD:
            raise OutcomeUnknown(
                f"what {activity.info().activity_type} read is {size // 1024} KiB, more than the "
                f"{MAX_PAYLOAD // 1024} KiB that are kept; find out which place sends so much"
            )
        return result


class _Heartbeats(ActivityOutboundInterceptor):
    def heartbeat(self, *details: Any) -> None:  # noqa: ANN401 - any details
        """Send a heartbeat, clean and cut where it is too large."""
        shown = tuple(map(cleaned, details))
        if sum(map(_size, shown)) > MAX_HEARTBEAT_BYTES:
            shown = tuple(shortened(one, MAX_SHOWN_TEXT, MAX_SHOWN_ITEMS) for one in shown)
        self.next.heartbeat(*(one for one in shown if _size(one) <= MAX_HEARTBEAT_BYTES))


def cleaned(value: T) -> T:
    """Return a value without any character that a terminal would obey, and without passwords.

    It is the same value if it has none.
    """
    return changed(value, lambda text: printable_lines(concealed(text)))


def _size(value: object) -> int:
    return sum(len(one.data) for one in activity.payload_converter().to_payloads([value]))
