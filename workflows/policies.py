"""How long each intent may take and how often it is tried again, in one place.

Retries stand here and nowhere else. What is permanent is declared beside the errors.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

from workflows.errors import PERMANENT
from workflows.estate import Timing

TASK_QUEUE = "switchover"

HEARTBEAT = timedelta(seconds=5)
"""A dead worker is noticed in time, and what the Web UI shows stays fresh."""

UNREACHABLE_FOR = timedelta(minutes=5)
"""How long a place that does not answer is tried before someone is asked."""

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

PROVE = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=10),
    schedule_to_close_timeout=timedelta(minutes=10) + UNREACHABLE_FOR,
    heartbeat_timeout=HEARTBEAT,
    retry_policy=_AGAIN,
)
"""A read-back that may take a while, such as the Folder Monitor's takeover time."""

CALL = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=15),
    schedule_to_close_timeout=UNREACHABLE_FOR,
    retry_policy=_AGAIN,
)
"""An effect over REST or SQL: sent within the first third of the attempt, limited to another, and
without a heartbeat, so that the engine's own timeout keeps attempts from overlapping. It is short,
since that is how long a dead worker goes unnoticed."""

WATCH = ActivityConfig(
    start_to_close_timeout=timedelta(days=30),  # patience is the workflow's; this bounds the absurd
    heartbeat_timeout=HEARTBEAT,
    # Attempts add up over a day of drain; the tenth worker's death must be as short as the first.
    retry_policy=_SOON,
)
"""A wait for what clients and partners do."""


def saying(config: ActivityConfig, summary: str) -> ActivityConfig:
    """The same policy, with the sentence that the Web UI shows."""
    return ActivityConfig(**{**config, "summary": summary})


def command(longest: timedelta) -> ActivityConfig:
    """An effect through a node's ledger that takes *longest* at most, once it has begun.

    Every attempt attaches to the same claim, so that a dead worker costs a heartbeat timeout.
    """
    return ActivityConfig(
        start_to_close_timeout=longest + UNREACHABLE_FOR,
        schedule_to_close_timeout=longest + 2 * UNREACHABLE_FOR,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=_AGAIN,
    )


def statement(timing: Timing) -> ActivityConfig:
    """An effect over SQL; tried again for as long as the lag may take to reach zero."""
    return ActivityConfig(
        **{
            **CALL,
            "schedule_to_close_timeout": timing.replication_patience + UNREACHABLE_FOR,
            "retry_policy": _SOON,
        }
    )
