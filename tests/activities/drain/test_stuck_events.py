"""When events that stay active are no longer waited for silently."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.drain.stuck_events import StuckEvents
from tests.support import estates
from workflows.errors import Stuck

BEGIN = datetime(2026, 3, 14, 3, tzinfo=UTC)
ESTATE = estates.estate()
LATER = ESTATE.timing.unreachable_timeout
NODE = ESTATE.clusters[0].nodes[0]


def event(name: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    """An event that its partner does not answer."""
    return {"id": name, "status": "Active", "lastHeartbeat": "3:00", "retryCount": 1} | changes


TWO = [event("0x1"), event("0x2", retryCount=None)]


def judged_later(*later: dict[str, Any]) -> None:
    """Judge two events, and these when the limit has passed."""
    stuck = StuckEvents(NODE, ESTATE.timing)
    stuck.judge(TWO, BEGIN)
    stuck.judge(TWO, BEGIN + LATER - timedelta(seconds=1))
    stuck.judge(later, BEGIN + LATER)


@pytest.mark.parametrize("again", [TWO, TWO[::-1]], ids=["as before", "in another sequence"])
def test_the_same_events_for_the_whole_limit_are_stuck(again: list[dict[str, Any]]) -> None:
    """A list of the API has no sequence that can be relied on."""
    with pytest.raises(Stuck, match="nothing remains but active events, unchanged since 03:00:00"):
        judged_later(*again)


@pytest.mark.parametrize(
    "later",
    [
        [],
        TWO[:1],
        [*TWO, event("0x3")],
        [event("0x1", lastHeartbeat="3:09"), TWO[1]],
        [event("0x1", retryCount=2), TWO[1]],
        [event("0x1", status="Queued"), TWO[1]],
    ],
    ids=["none", "one fewer", "one more", "heartbeat", "retry", "not active"],
)
def test_what_has_changed_is_not_stuck(later: list[dict[str, Any]]) -> None:
    """Something still works on them: the time counts anew."""
    judged_later(*later)


def test_other_work_between_two_readings_counts_anew() -> None:
    """No events are handed over while something else remains."""
    stuck = StuckEvents(NODE, ESTATE.timing)
    for events, after in ((TWO, timedelta()), ([], LATER / 2), (TWO, LATER)):
        stuck.judge(events, BEGIN + after)
