"""Tell from Temporal's history why a run cannot continue: its workflow task fails each time."""

from collections.abc import Iterable

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionDescription

_ENDS = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
)
_BY_SERVER = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND
"""So many messages came during the task that the server ended it; the next one has them."""


def attempts(description: WorkflowExecutionDescription) -> int:
    """Return how often the run's workflow task was begun; 0 where none is due."""
    return int(description.raw_description.pending_workflow_task.attempt)


def task_failure(events: Iterable[HistoryEvent]) -> str | None:
    """Return the message of the failure in which the newest workflow task has ended.

    None where it ended otherwise: its worker died, or never answered. Only the first of several
    failures in a row is in the history.
    """
    ended = [event for event in events if event.event_type in _ENDS]
    if not ended or ended[-1].event_type != EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
        return None
    failed = ended[-1].workflow_task_failed_event_attributes
    return None if failed.cause == _BY_SERVER else failed.failure.message
