"""Notice that only events remain on which nothing works any more.

An event can stay active after its transfer has failed, until an administrator deletes it
(docs/securetransport.md, section 5). An event in work shows a new heartbeat or another try from
time to time. A partner that accepts and never answers may look the same, so nothing is ended here.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from activities.securetransport.admin_responses import described, identifier
from workflows.errors import Stuck
from workflows.model.estate import Node, Timing

FIELDS = ("id", "status", "lastHeartbeat", "retryCount")
"""What changes while an event is in work."""
MAX_DESCRIBED = 5


class StuckEvents:
    """The events that remain of one wait.

    It counts in this worker's memory: after a restart, the operator is asked later.
    """

    def __init__(self, node: Node, timing: Timing) -> None:
        self._node = node.name
        self._limit = timing.unreachable_timeout
        self._since: datetime | None = None
        self._last: list[tuple[Any, ...]] = []

    def judge(self, events: Sequence[dict[str, Any]], at: datetime) -> None:
        """Compare all that remains with the reading before; none if other work remains, too.

        Raises:
            Stuck: these events have been active, and have not changed, for `unreachable_timeout`.
        """
        # The list has no sequence of its own.
        now = sorted((tuple(event.get(name) for name in FIELDS) for event in events), key=str)
        active = all(str(event.get("status")).lower() == "active" for event in events)
        if not now or not active or now != self._last or self._since is None:
            self._last, self._since = now, at
            return
        if at - self._since >= self._limit:
            raise Stuck(self._message(events, self._since))

    def _message(self, events: Sequence[dict[str, Any]], since: datetime) -> str:
        named = "; ".join(
            f"{identifier(event)} ({described(event)})" for event in events[:MAX_DESCRIBED]
        )
        rest = len(events) - MAX_DESCRIBED
        more = f"; and {rest} more" if rest > 0 else ""
        return (
            f"{self._node}: nothing remains but active events, unchanged since "
            f"{since:%H:%M:%S} UTC: {named}{more}; their transfers have failed, or a partner does "
            "not answer; delete those that have failed in the Administration Tool, and the wait "
            "ends by itself, or end it without them"
        )
