"""The temporal CLI as a real process, and what a run's history says about what it was sent."""

import asyncio
import json
import os
from dataclasses import dataclass
from typing import Any

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import Client

from tests.conftest import temporal_program
from tests.support.run import Run

TASK_FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
BY_SERVER = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
)


@dataclass(frozen=True)
class Answer:
    """How a command ended, and what it printed."""

    code: int
    text: str


class Cli:
    """An operator who types `temporal` commands."""

    def __init__(self, client: Client) -> None:
        self._address = client.service_client.config.target_host

    async def types(self, *words: str) -> Answer:
        """Run one command to its end."""
        process = await asyncio.create_subprocess_exec(
            *(temporal_program(), *words),
            env={**os.environ, "TEMPORAL_ADDRESS": self._address},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 30)
        return Answer(process.returncode or 0, " ".join(output.decode().split()))

    async def signals(self, run: Run, verb: str, *inputs: Any) -> Answer:  # noqa: ANN401 - JSON
        """Send a signal with these inputs."""
        return await self.types("workflow", "signal", *_arguments(run, verb, inputs))

    async def updates(self, run: Run, verb: str, *inputs: Any) -> Answer:  # noqa: ANN401 - JSON
        """Send an update with these inputs, and wait for its answer."""
        return await self.types("workflow", "update", "execute", *_arguments(run, verb, inputs))

    async def details(self, run: Run) -> str:
        """Return the current details, as the Web UI gets them."""
        command = ("workflow", "metadata", "--workflow-id", run.handle.id, "--output", "json")
        process = await self.types(*command)
        assert process.code == 0, process
        [metadata] = json.loads(process.text)["queryResult"]
        return str(metadata["currentDetails"])


async def no_task_failed(run: Run) -> bool:
    """Whether nothing that was sent has ever hurt the workflow's code.

    The server itself ends a task during which more signals come than it buffers, and one that ends
    the run while something else comes, such as the end of an activity that was cancelled.
    """
    history = await run.handle.fetch_history()
    failed = [
        e.workflow_task_failed_event_attributes
        for e in history.events
        if e.event_type == TASK_FAILED
    ]
    return all(one.cause in BY_SERVER for one in failed)


def _arguments(run: Run, verb: str, inputs: tuple[Any, ...]) -> list[str]:
    given = [word for one in inputs for word in ("--input", json.dumps(one))]
    return ["--workflow-id", run.handle.id, "--name", verb, *given]
