"""How long each intent may take and how often it is tried again, in one place.

Retries stand here and nowhere else. What is permanent is declared beside the errors.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from workflows.errors import PERMANENT
from workflows.model.estate import Timing

TASK_QUEUE = "switchover"

HEARTBEAT = timedelta(seconds=5)
"""A dead worker is noticed in time, and what the Web UI shows stays fresh."""

LONG_WAIT = timedelta(minutes=5)
"""After waiting longer than this for a person, the blocking checks run again."""

_AGAIN = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=15),
    non_retryable_error_types=PERMANENT,
)

_SOON = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=1,
    non_retryable_error_types=PERMANENT,
)

_FENCED = timedelta(seconds=15)

LOOK = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=20),
    schedule_to_close_timeout=timedelta(seconds=60),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=_AGAIN,
)
"""One reading of a place: it gives up on the place after 10 s and says so."""

PLAN = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=_AGAIN,
)
"""Reading the estate file: waits as long as no worker is there."""

KEEP = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    schedule_to_close_timeout=timedelta(minutes=2),
    retry_policy=_AGAIN,
)
"""Writing the outcome to a file: the run does not hang on a full disk of a worker."""

KEEP_REVIEWED = ActivityConfig(**{**KEEP, "schedule_to_close_timeout": timedelta(seconds=10)})
"""Writing a reviewed plan to a file, while someone waits to see it."""

WATCH = ActivityConfig(
    start_to_close_timeout=timedelta(days=30),  # patience is the workflow's; this bounds the absurd
    heartbeat_timeout=HEARTBEAT,
    # Attempts add up over a day of drain; the tenth worker's death must be as short as the first.
    retry_policy=_SOON,
)
"""A wait for what clients and partners do."""

TELL = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    schedule_to_close_timeout=timedelta(minutes=15),
    retry_policy=_AGAIN,
)
"""A notice for people; nothing waits for it."""

TELL_THE_END = ActivityConfig(**{**TELL, "schedule_to_close_timeout": timedelta(seconds=30)})
"""The last notice, which the end of the run waits for so long at most."""


def compare(timing: Timing) -> ActivityConfig:
    """Two looks at storages one delay apart, and a marker that may take three of them."""
    limit = timedelta(seconds=30) + 3 * timing.storage_delay
    return ActivityConfig(
        start_to_close_timeout=limit,
        schedule_to_close_timeout=3 * limit,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=_AGAIN,
    )


def compare_databases(timing: Timing) -> ActivityConfig:
    """Compare what both databases wrote; a killed worker's comparison begins anew."""
    # Each side's changes are read once, and the other link's comparison may use them first.
    limit = 3 * timing.replication_timeout
    return ActivityConfig(
        start_to_close_timeout=limit,
        schedule_to_close_timeout=2 * limit + timing.unreachable_timeout,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=_AGAIN,
    )


def saying(config: ActivityConfig, summary: str) -> ActivityConfig:
    """The same policy, with the sentence that the Web UI shows."""
    return ActivityConfig(**{**config, "summary": summary})


def prove(timing: Timing) -> ActivityConfig:
    """A read-back that may take a while, such as the Folder Monitor's takeover time."""
    longest = timedelta(minutes=10)
    return ActivityConfig(
        start_to_close_timeout=longest,
        schedule_to_close_timeout=longest + timing.unreachable_timeout,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=_AGAIN,
    )


def call(timing: Timing) -> ActivityConfig:
    """An effect over REST: sent within the first third of the attempt, limited to another.

    Without a heartbeat, so that the engine's own timeout keeps attempts from overlapping. It is
    short, since that is how long a dead worker goes unnoticed.
    """
    return ActivityConfig(
        start_to_close_timeout=_FENCED,
        # Room for the attempt under way when the patience ends, and says what is the matter.
        schedule_to_close_timeout=timing.unreachable_timeout + 2 * _FENCED,
        # Only what undo or a pause interrupts is cancelled, and an effect in flight is finished.
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        retry_policy=_AGAIN,
    )


def command(longest: timedelta, timing: Timing) -> ActivityConfig:
    """An effect through a node's ledger that takes *longest* at most, once it has begun.

    Every attempt attaches to the same claim, so that a dead worker costs a heartbeat timeout.
    """
    return ActivityConfig(
        start_to_close_timeout=longest + timing.unreachable_timeout,
        schedule_to_close_timeout=longest + 2 * timing.unreachable_timeout,
        heartbeat_timeout=HEARTBEAT,
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        retry_policy=_AGAIN,
    )


def statement(timing: Timing) -> ActivityConfig:
    """An effect over SQL; tried again for as long as the lag may take to reach zero."""
    return ActivityConfig(
        **{
            **call(timing),
            "schedule_to_close_timeout": timing.replication_timeout + timing.unreachable_timeout,
            "retry_policy": _SOON,
        }
    )
