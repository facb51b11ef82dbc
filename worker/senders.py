"""Hand the messages of a workflow task to the run, with the identity of each sender."""

import json

from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.workflow_activation import (
    SignalWorkflow,
    WorkflowActivation,
    WorkflowActivationJob,
)

from workflows.run.signal_batch import MAX_INPUT, MAX_NAME, Signal, written

_JSON = b"json/plain"


def hand_over(act: WorkflowActivation) -> None:
    """Replace all signals by one that holds them, and add its sender to each update."""
    signals = [job for job in act.jobs if job.HasField("signal_workflow")]
    if signals:
        others = [job for job in act.jobs if not job.HasField("signal_workflow")]
        batch = written(_signal(job.signal_workflow) for job in signals)
        # The run has one handler for all names.
        first = signals[0].signal_workflow
        one = SignalWorkflow(
            signal_name=first.signal_name, originating_event_id=first.originating_event_id
        )
        one.input.append(_payload(batch))
        del act.jobs[:]
        act.jobs.extend([WorkflowActivationJob(signal_workflow=one), *others])
    for job in act.jobs:
        if job.HasField("do_update"):
            sender = job.do_update.meta.identity[:MAX_NAME]
            job.do_update.input.append(_payload(json.dumps(sender).encode()))


def _signal(sent: SignalWorkflow) -> Signal:
    return Signal(
        sent.signal_name[:MAX_NAME], sent.identity[:MAX_NAME], len(sent.input), _text(sent)
    )


def _text(sent: SignalWorkflow) -> str | None:
    if not sent.input or len(sent.input[0].data) > MAX_INPUT:
        return None
    if sent.input[0].metadata.get("encoding") != _JSON:
        return None
    try:
        return sent.input[0].data.decode()
    except UnicodeDecodeError:
        return None


def _payload(data: bytes) -> Payload:
    return Payload(metadata={"encoding": _JSON}, data=data)
