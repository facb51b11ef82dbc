"""Refuse to carry on a workflow while its clock stands still."""

from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import Info

from worker.result_seals import ResultGuard, unknown_key
from worker.seal_keys import SealKeys, UnknownKey
from worker.senders import hand_over

REFUSAL = "the run is about to learn something new; ask again"
"""What the query gets to hear that would have carried on the run."""

_CHANGES_NOTHING = {"query_workflow", "remove_from_cache"}


@dataclass(frozen=True)
class ClockGuardRunner(SandboxedWorkflowRunner):
    """Runs workflows in the sandbox, and only by the time of a workflow task.

    A worker that does not have a run in its cache replays it to answer a query. If a timer has
    fired meanwhile, or an activity has ended, and no workflow task has begun with it, the SDK
    (1.35) hands that event to the workflow as part of the query: `workflow.now()` is still that
    of the last workflow task, perhaps of hours ago. What the workflow decides by it differs from
    what every later replay decides, and a run whose replay differs never continues. The query is
    refused instead: the run leaves the cache, and the workflow task begins with the whole history.
    """

    keys: SealKeys | None = None
    """By which a run knows the results of its activities; without them it takes any."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Return an instance that refuses such activations."""
        results = None if self.keys is None else ResultGuard(self.keys)
        return _Guarded(super().create_instance(det), results)


class _Guarded(WorkflowInstance):
    """Passes on what has a time of its own.

    It knows no context of a payload: our data converter needs none, and to ask the sandbox for it
    costs a quarter of a worker's time. So both methods ignore their argument.
    """

    def __init__(self, instance: WorkflowInstance, results: ResultGuard | None) -> None:
        self._instance, self._results = instance, results
        self._time, self._length = Timestamp(), 0

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Carry on the workflow, unless what happened later has the time of what was before."""
        hand_over(act)
        if all(job.WhichOneof("variant") in _CHANGES_NOTHING for job in act.jobs):
            return self._instance.activate(act)
        time, length = self._time, self._length
        self._time, self._length = act.timestamp, act.history_length
        if self._time == time and self._length > length:
            return _refused(REFUSAL)
        if self._results is None:
            return self._instance.activate(act)
        try:
            self._results.judge(act)
        except UnknownKey as unknown:
            return _refused(unknown_key(unknown))
        completion = self._instance.activate(act)
        self._results.remember(completion)
        return completion

    def get_serialization_context(self, command_info: object) -> SerializationContext | None:  # noqa: ARG002 - see above
        return None

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:  # noqa: ARG002 - see above
        return StorageDriverStoreContext(target=None)

    def get_info(self) -> Info:
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        return self._instance.get_thread_id()


def _refused(message: str) -> WorkflowActivationCompletion:
    refused = WorkflowActivationCompletion()
    refused.failed.failure.message = message
    return refused
