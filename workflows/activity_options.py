"""How long each intent may take and how often it is tried again.

Timeouts and retries stand here and nowhere else; permanent errors are declared in ``errors``.
"""

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from workflows.errors import PERMANENT
from workflows.model.actions import Action
from workflows.model.actions.base import Intent
from workflows.model.actions.change import GracefulStop
from workflows.model.estate import Timing

HEARTBEAT = timedelta(seconds=5)
"""A dead worker is noticed in time, and what the Web UI shows stays fresh."""

WORKER_RESTART = timedelta(minutes=1)
"""A worker that is started again polls by then; a reading waits no longer for one."""

LONG_WAIT = timedelta(minutes=5)
"""After waiting longer than this for an operator, the blocking checks run again."""

READ_AGAIN = timedelta(seconds=2)
"""Until an estate of which a place was silent is read for the second time."""

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


def _limited(attempt: timedelta, altogether: timedelta) -> ActivityConfig:
    """Limit one attempt, and all attempts together."""
    return ActivityConfig(
        start_to_close_timeout=attempt, schedule_to_close_timeout=altogether, retry_policy=_BACK_OFF
    )


def _heartbeating(attempt: timedelta, altogether: timedelta) -> ActivityConfig:
    options = _limited(attempt, altogether)
    options["heartbeat_timeout"] = HEARTBEAT
    return options


READ = _heartbeating(timedelta(seconds=20), timedelta(seconds=60))
"""One reading of Temporal itself."""

ANSWERS_PER_READING = 4
"""So many times the estate's ``answer_timeout`` may a reading of a place take."""

RECORDS = _heartbeating(timedelta(minutes=3), timedelta(minutes=10))
"""One page of a cluster's records, from the first of its Servers that answers."""

PLAN = ActivityConfig(start_to_close_timeout=timedelta(seconds=10), retry_policy=_BACK_OFF)
"""Reading the estate file: without a limit, so that a run waits for its first worker."""

SAVE = _limited(timedelta(seconds=10), timedelta(minutes=2))
"""Writing the outcome to a file: limited, so that a worker's full disk does not hang the run."""

SAVE_PLAN = _limited(timedelta(seconds=10), timedelta(seconds=10))
"""Writing a reviewed plan to a file, while an operator waits to see it."""

WAIT = ActivityConfig(
    start_to_close_timeout=timedelta(days=30),  # the workflow times it; this only bounds the absurd
    heartbeat_timeout=HEARTBEAT,
    # Without backoff: after a day of drain, a tenth lost worker is replaced as fast as the first.
    retry_policy=_EVERY_SECOND,
)
"""A wait for clients and partners."""

WATCH_AGAIN = timedelta(minutes=1)
"""Until a watch over the configuration that failed is tried again; twice as long after each."""
WATCH_AGAIN_AT_MOST = timedelta(hours=1)
"""So that a watch that never works fills no history, however long a run waits for people."""

COMPARE_ONCE = _heartbeating(timedelta(minutes=2), timedelta(minutes=5))
"""One reading of the whole configuration: each part has a limit of its own."""

TAKE_OVER = _heartbeating(timedelta(seconds=40), timedelta(minutes=2))
"""Ending a Freeze, and reading what it has recorded."""

COPY_LIMIT = timedelta(days=1)
"""One copy of all replicated tables; a dead worker is noticed within seconds all the same."""

NOTIFY = _limited(timedelta(seconds=10), timedelta(minutes=15))
"""A notice; the run does not wait for it."""

NOTIFY_END = _limited(timedelta(seconds=10), timedelta(seconds=30))
"""The last notice: the run waits for it this long at most before it ends."""


def for_action(  # noqa: C901, PLR0911 - one per intent
    action: Action, timing: Timing, statement: timedelta = _CALL_TIMEOUT
) -> ActivityConfig:
    """Return the options of the action's intent; *statement* limits an attempt at replication."""
    if isinstance(action, GracefulStop):
        return command(action.grace + 2 * timing.stop_margin, timing)
    match action.intent:
        case Intent.COMPARE_STORAGE:
            # Two readings of both storages one delay apart, and a marker that may take three.
            limit = _reading(timing) + 3 * timing.storage_delay
            return _heartbeating(limit, 3 * limit)
        case Intent.COMPARE_DATABASES:
            # Each side's changes are read, and the other link's comparison may read them first.
            limit = 3 * timing.replication_timeout
            return _heartbeating(limit, limit + timing.unreachable_timeout)
        case Intent.COPY_DATABASES:
            options = _heartbeating(COPY_LIMIT, COPY_LIMIT + timing.unreachable_timeout)
            options["cancellation_type"] = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
            return options
        case Intent.VERIFY:
            limit = timedelta(minutes=10)  # such as for the Folder Monitor's takeover time
            return _heartbeating(limit, limit + timing.unreachable_timeout)
        case Intent.WAIT:
            return WAIT.copy()
        case Intent.CALL:
            return _call(timing)
        case Intent.STATEMENT:
            # Tried again for as long as the lag may take to reach zero; the attempts of two
            # workers that died are no part of that.
            options = _call(timing)
            options["start_to_close_timeout"] = statement
            limit = timing.replication_timeout + timing.unreachable_timeout + 2 * statement
            options["schedule_to_close_timeout"] = limit
            options["retry_policy"] = _EVERY_SECOND
            return options
        case Intent.COMMAND:
            return command(2 * timing.stop_margin + timedelta(minutes=2), timing)
        case Intent.START:
            pending = max(timing.grace, timing.transaction_manager_grace) + timing.stop_margin
            return command(timing.start_timeout + 2 * pending, timing)
        case _:
            return _heartbeating(_reading(timing), 2 * _reading(timing))


def on_own_queue(queue: str, action: Action, timing: Timing) -> ActivityConfig:
    """Return what else an action needs that a cluster's own workers execute.

    The main worker goes on without them, so the run learns that none is there, and asks: nothing
    waits for them as long as an action may take.
    """
    limit = timing.unreachable_timeout
    if action.intent is Intent.READ:
        limit = min(limit, WORKER_RESTART)
    return ActivityConfig(task_queue=queue, schedule_to_start_timeout=limit)


def with_summary(options: ActivityConfig, summary: str) -> ActivityConfig:
    """Return the same options with the sentence that the Web UI shows."""
    options = options.copy()
    options["summary"] = summary
    return options


def _reading(timing: Timing) -> timedelta:
    """One reading of a place, which ends by itself: its activity reports what was too slow."""
    return (ANSWERS_PER_READING + 1) * timing.answer_timeout


def _call(timing: Timing) -> ActivityConfig:
    """An effect over REST: sent within the first third of the attempt, limited to another.

    Without a heartbeat, so that Temporal's own timeout keeps attempts from overlapping. That
    timeout is short, since a dead worker is not noticed before it.
    """
    # The attempt in progress when the time is up may finish and report why.
    options = _limited(_CALL_TIMEOUT, timing.unreachable_timeout + 2 * _CALL_TIMEOUT)
    # A rollback or a pause cancels; an effect in progress is finished all the same.
    options["cancellation_type"] = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    return options


def command(limit: timedelta, timing: Timing) -> ActivityConfig:
    """An effect through a node's ledger that takes *limit* at most once it has started.

    Every attempt attaches to the same claim, so a dead worker costs one heartbeat timeout.
    """
    unreachable = timing.unreachable_timeout
    options = _heartbeating(limit + unreachable, limit + 2 * unreachable)
    options["cancellation_type"] = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    return options
