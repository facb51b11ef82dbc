"""How long each intent may take and how often it is tried again.

Timeouts and retries stand here and nowhere else; permanent errors are declared in ``errors``.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from workflows.errors import PERMANENT
from workflows.model.actions import Action
from workflows.model.actions.base import Intent
from workflows.model.actions.change import GracefulStop
from workflows.model.estate import Timing

TASK_QUEUE = "switchover"

HEARTBEAT = timedelta(seconds=5)
"""A dead worker is noticed in time, and what the Web UI shows stays fresh."""

LONG_WAIT = timedelta(minutes=5)
"""After waiting longer than this for an operator, the blocking checks run again."""

_BACK_OFF = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=15),
    non_retryable_error_types=PERMANENT,
)

_EVERY_SECOND = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=1,
    non_retryable_error_types=PERMANENT,
)

_CALL_TIMEOUT = timedelta(seconds=15)

READ = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=20),
    schedule_to_close_timeout=timedelta(seconds=60),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=_BACK_OFF,
)
"""One reading of a place, which reports a place that is silent for 10 s as unreachable."""

PLAN = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=_BACK_OFF,
)
"""Reading the estate file: without a limit, so that a run waits for its first worker."""

SAVE = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    schedule_to_close_timeout=timedelta(minutes=2),
    retry_policy=_BACK_OFF,
)
"""Writing the outcome to a file: limited, so that a worker's full disk does not hang the run."""

SAVE_PLAN = SAVE.copy()
SAVE_PLAN["schedule_to_close_timeout"] = timedelta(seconds=10)
"""Writing a reviewed plan to a file, while an operator waits to see it."""

WAIT = ActivityConfig(
    start_to_close_timeout=timedelta(days=30),  # the workflow times it; this only bounds the absurd
    heartbeat_timeout=HEARTBEAT,
    # Without backoff: after a day of drain, a tenth lost worker is replaced as fast as the first.
    retry_policy=_EVERY_SECOND,
)
"""A wait for clients and partners."""

NOTIFY = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    schedule_to_close_timeout=timedelta(minutes=15),
    retry_policy=_BACK_OFF,
)
"""A notice; the run does not wait for it."""

NOTIFY_END = NOTIFY.copy()
NOTIFY_END["schedule_to_close_timeout"] = timedelta(seconds=30)
"""The last notice: the run waits for it this long at most before it ends."""


def for_action(action: Action, timing: Timing) -> ActivityConfig:  # noqa: PLR0911 - one per intent
    """Return the options of the action's intent."""
    if isinstance(action, GracefulStop):
        return command(action.grace + 2 * timing.stop_margin, timing)
    match action.intent:
        case Intent.COMPARE_STORAGE:
            return compare_storage(timing)
        case Intent.COMPARE_DATABASES:
            return compare_databases(timing)
        case Intent.VERIFY:
            return verify(timing)
        case Intent.WAIT:
            return WAIT.copy()
        case Intent.CALL:
            return call(timing)
        case Intent.STATEMENT:
            return statement(timing)
        case Intent.COMMAND:
            return command(2 * timing.stop_margin + timedelta(minutes=2), timing)
        case Intent.START:
            pending = max(timing.grace, timing.transaction_manager_grace) + timing.stop_margin
            return command(timing.start_timeout + 2 * pending, timing)
        case _:
            return READ.copy()


def compare_storage(timing: Timing) -> ActivityConfig:
    """Two readings of both storages one delay apart, and a marker that may take three delays."""
    limit = timedelta(seconds=30) + 3 * timing.storage_delay
    return ActivityConfig(
        start_to_close_timeout=limit,
        schedule_to_close_timeout=3 * limit,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=_BACK_OFF,
    )


def compare_databases(timing: Timing) -> ActivityConfig:
    """Compare what both databases wrote; a killed worker's comparison begins anew."""
    # Each side's changes are read, and the other link's comparison may be reading them first.
    limit = 3 * timing.replication_timeout
    return ActivityConfig(
        start_to_close_timeout=limit,
        schedule_to_close_timeout=limit + timing.unreachable_timeout,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=_BACK_OFF,
    )


def with_summary(options: ActivityConfig, summary: str) -> ActivityConfig:
    """Return the same options with the sentence that the Web UI shows."""
    options = options.copy()
    options["summary"] = summary
    return options


def verify(timing: Timing) -> ActivityConfig:
    """A check that may take a while, such as the Folder Monitor's takeover time."""
    limit = timedelta(minutes=10)
    return ActivityConfig(
        start_to_close_timeout=limit,
        schedule_to_close_timeout=limit + timing.unreachable_timeout,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=_BACK_OFF,
    )


def call(timing: Timing) -> ActivityConfig:
    """An effect over REST: sent within the first third of the attempt, limited to another.

    Without a heartbeat, so that Temporal's own timeout keeps attempts from overlapping. That
    timeout is short, since a dead worker is not noticed before it.
    """
    return ActivityConfig(
        start_to_close_timeout=_CALL_TIMEOUT,
        # The attempt in progress when the time is up may finish and report why.
        schedule_to_close_timeout=timing.unreachable_timeout + 2 * _CALL_TIMEOUT,
        # A rollback or a pause cancels; an effect in progress is finished all the same.
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        retry_policy=_BACK_OFF,
    )


def command(limit: timedelta, timing: Timing) -> ActivityConfig:
    """An effect through a node's ledger that takes *limit* at most once it has started.

    Every attempt attaches to the same claim, so a dead worker costs one heartbeat timeout.
    """
    return ActivityConfig(
        start_to_close_timeout=limit + timing.unreachable_timeout,
        schedule_to_close_timeout=limit + 2 * timing.unreachable_timeout,
        heartbeat_timeout=HEARTBEAT,
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        retry_policy=_BACK_OFF,
    )


def statement(timing: Timing) -> ActivityConfig:
    """An effect over SQL; tried again for as long as the lag may take to reach zero."""
    options = call(timing)
    options["schedule_to_close_timeout"] = timing.replication_timeout + timing.unreachable_timeout
    options["retry_policy"] = _EVERY_SECOND
    return options
