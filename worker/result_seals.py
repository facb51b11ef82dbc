"""Seal what activities return, and let no run believe a result that no worker has made.

`temporal activity complete` gives any result to a run, such as that no session remains. So a result
carries a code over the run, the activity and itself. A run that meets another one learns that the
activity has failed, and asks.
"""

from contextvars import ContextVar

from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.workflow_activation import ResolveActivity, WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion

from worker.seal_keys import SealKeys, UnknownKey
from workflows.errors import Refused

KEY, CODE = "switchover-seal-key", "switchover-seal"
"""Metadata of a payload."""

SEAL_RESULT: ContextVar[tuple[SealKeys, str, str] | None] = ContextVar("seal", default=None)
"""With which keys, for which run and activity the current activity's result is sealed."""


def seal(payload: Payload) -> None:
    """Seal what the current activity returns."""
    if (sealing := SEAL_RESULT.get()) is not None:
        keys, identity, activity_id = sealing
        payload.metadata[KEY] = keys.current.encode()
        code = keys.code(identity, activity_id, *_text(payload))
        payload.metadata[CODE] = code.encode()


def _text(payload: Payload) -> tuple[str, str]:
    """Return what is sealed: also how the data is to be read."""
    return payload.metadata.get("encoding", b"").hex(), payload.data.hex()


class ResultGuard:
    """Judges the results that one run gets; the same at each replay."""

    def __init__(self, keys: SealKeys) -> None:
        self._keys = keys
        self._identity = ""
        self._asked: dict[int, tuple[str, str]] = {}
        """By the number of a command: the id and the type of the activity that it asked for."""

    def judge(self, act: WorkflowActivation) -> None:
        """Turn every result that no worker has made into a failure of its activity.

        Raises:
            UnknownKey: it was perhaps made by a worker with another key.
        """
        for job in act.jobs:
            if job.HasField("initialize_workflow"):
                self._identity = job.initialize_workflow.first_execution_run_id
            elif job.HasField("resolve_activity"):
                self._judge(job.resolve_activity)

    def remember(self, completion: WorkflowActivationCompletion) -> None:
        """Learn which activities the run has asked for."""
        for command in completion.successful.commands:
            if command.HasField("schedule_activity"):
                asked = command.schedule_activity
                self._asked[asked.seq] = asked.activity_id, asked.activity_type

    def _judge(self, resolved: ResolveActivity) -> None:
        if not resolved.result.HasField("completed"):
            return
        activity_id, kind = self._asked.pop(resolved.seq)
        result = resolved.result.completed.result
        key, code = (
            result.metadata.get(name, b"").decode("ascii", "replace") for name in (KEY, CODE)
        )
        if key and self._keys.made(code, self._identity, activity_id, *_text(result), key=key):
            return
        failure = resolved.result.failed.failure
        failure.message = "its result was not made by a worker"
        failure.activity_failure_info.activity_id = activity_id
        failure.activity_failure_info.activity_type.name = kind
        failure.cause.message = (
            f"the result of {kind} was made by no worker of this queue; find out who sends results "
            "to Temporal; the state of the place is not known"
        )
        failure.cause.application_failure_info.type = Refused.__name__
        failure.cause.application_failure_info.non_retryable = True


def unknown_key(unknown: UnknownKey) -> str:
    """Return why a run cannot be continued by this worker."""
    return (
        f"this worker has no seal key {unknown}; give all workers of the queue the same file of "
        "seal keys"
    )
