"""An estimate is only given where the last readings bear it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.drain.eta import MIN_READINGS, Count, Trend, eta

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def readings(counts: list[int], apart: float = 5) -> list[Count]:
    """Return readings of these counts, so many seconds apart."""
    return [Count(BEGAN + timedelta(seconds=n * apart), count) for n, count in enumerate(counts)]


def test_a_steady_fall_is_carried_on() -> None:
    """One session ends every five seconds, and four remain."""
    assert eta(readings([10, 9, 8, 7, 6, 5, 4])) == timedelta(seconds=20)


def test_a_fall_that_slows_down_is_carried_on_slowly() -> None:
    """Thirty ended at once; the last ones end one by one."""
    assert eta(readings([40, 20, 10, 9, 8, 7, 6])) == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("counts", "apart"),
    [
        ([], 5),
        ([9, 8, 7, 6, 5], 5),  # a handful is too few
        ([9, 8, 7, 6, 5, 4, 3], 0.1),  # too close together
        ([5] * 20, 5),  # none ends
        ([3, 4, 5, 6, 7, 8], 5),  # they come
        ([9, 3, 3, 3, 3, 3], 5),  # many ended at once, and none since
        ([12, 9, 6, 3, 3, 3, 3, 3, 3], 5),  # a fall that has come to a stand
        ([9, 7, 9, 7, 9, 7, 9], 5),  # a list that is not stable
        ([9, 8, 7, 6, 5, 9], 5),  # new ones came
        ([3, 2, 2, 1, 1, 0, 0], 5),  # nothing remains to be estimated
        ([1000, 999, 998, 997, 997, 996], 5),  # hours, estimated from half a minute
    ],
)
def test_no_estimate_is_better_than_a_guess(counts: list[int], apart: float) -> None:
    """None where the readings allow no estimate."""
    assert eta(readings(counts, apart)) is None


@given(st.lists(st.integers(0, 2000), max_size=40), st.floats(0, 600))
def test_whatever_was_read_an_estimate_is_sane(counts: list[int], apart: float) -> None:
    """Never negative, never from a handful, and only below where the readings began."""
    estimate = eta(readings(counts, apart))
    if estimate is not None:
        assert estimate >= timedelta()
        assert len(counts) >= MIN_READINGS
        assert 0 < counts[-1] < counts[0]


def test_a_wait_that_resumed_has_no_history() -> None:
    """The next attempt's first readings estimate nothing, however the last one's went."""
    before, after = Trend(), Trend()
    for reading in readings([10, 9, 8, 7, 6, 5, 4]):
        estimate = before.add(reading.at, reading.remaining)
    assert estimate == timedelta(seconds=20)
    assert after.add(BEGAN + timedelta(seconds=35), 3) is None
