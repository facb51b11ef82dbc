"""Print the files of the product that an `approve` runs through until its gate is open.

It begins with the signal's handler; what only shows the state is left out.

``python -m bench.decision_path``
"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import (
    UnsandboxedWorkflowRunner,
    Worker,
    WorkflowInstance,
    WorkflowInstanceDetails,
)

from tests.conftest import register_search_attributes, temporal_program
from tests.support import estates
from tests.support.run import Run
from worker.payload_converter import DATA_CONVERTER
from worker.worker import WORKFLOWS

ROOT = f"{Path.cwd()}/"
PRODUCT = ("workflows/", "activities/", "worker/")
HANDLER = ("workflows/switchover.py", "signal")
GATE = ("workflows/execution/gates.py", "wait_counted")
"""Where a run waits for an approval; the gate is open once this returns True."""

DISPLAY = "_keep_shown"


class TracedRunner(UnsandboxedWorkflowRunner):
    """Runs workflows outside the sandbox, and notes which files a signal's activation enters."""

    def __init__(self) -> None:
        self.entered: dict[str, set[str]] = {}
        self._handled = False

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Create an instance that is profiled while a signal activates it."""
        instance = super().create_instance(det)
        activate = instance.activate

        def profiled(act: WorkflowActivation) -> WorkflowActivationCompletion:
            if any(job.HasField("signal_workflow") for job in act.jobs):
                sys.setprofile(self._note)
            try:
                return activate(act)
            finally:
                sys.setprofile(None)

        instance.activate = profiled  # type: ignore[method-assign] # this one instance only
        return instance

    def _note(self, frame: FrameType, event: str, given: object) -> None:
        code = frame.f_code
        file = code.co_filename.removeprefix(ROOT)
        self._handled |= (file, code.co_name) == HANDLER
        if (
            event == "call"
            and self._handled
            and file.startswith(PRODUCT)
            and not _is_display(frame)
        ):
            self.entered.setdefault(file, set()).add(code.co_name)
        if event == "return" and (file, code.co_name) == GATE and given is True:
            sys.setprofile(None)


def _is_display(frame: FrameType | None) -> bool:
    """Whether this is called by the task that shows the state, on which no decision depends."""
    while frame is not None and frame.f_code.co_name != DISPLAY:
        frame = frame.f_back
    return frame is not None


async def main() -> None:
    """Approve one gate of a switchover of fakes, and print the files in between."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_program(), data_converter=DATA_CONVERTER
    ) as environment:
        await register_search_attributes(environment.client)
        run, runner = Run(environment.client, estates.estate()), TracedRunner()
        activities: list[Callable[..., Any]] = run.fakes.activities
        async with Worker(
            run.client,
            task_queue=run.queue,
            workflows=WORKFLOWS,
            activities=activities,
            workflow_runner=runner,
        ):
            await run.start(approve_before=["redirect_traffic"])
            await run.waits("approval")
            await run.handle.signal("approve", {"stage": "redirect_traffic", "by": "ann"})
            await run.outcome()
    for file, functions in sorted(runner.entered.items()):
        print(f"{file}: {', '.join(sorted(functions))}")  # noqa: T201 - what the command is for
    print(f"{len(runner.entered)} files")  # noqa: T201 - as above


if __name__ == "__main__":
    asyncio.run(main())
