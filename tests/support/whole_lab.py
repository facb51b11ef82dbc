"""Start workers and runs as an operator would, and read what the lab recorded."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from lab import records
from lab.environment.lab import Lab
from lab.simulation_options import SimulationOptions
from tests.support.temporal_cli import Cli
from tests.support.worker_process import WorkerProcess, worker_process
from workflows.model.outcome import Outcome
from workflows.model.progress import Progress

REQUEST = {"estate": "lab", "source": "cluster1", "target": "cluster2"}
ID = "switchover-lab"


class House:
    """A lab, a Temporal server, and the estates directory of workers."""

    def __init__(self, lab: Lab, client: Client, place: Path) -> None:
        self.lab = lab
        self.client = client
        self.address = client.service_client.config.target_host
        self.estates = place / "estates"
        self.estates.mkdir()
        self.place = place
        self.describe()

    def describe(self, **changes: Any) -> None:  # noqa: ANN401 - estate keys
        """Write the lab's estate file, with some of its top-level keys changed."""
        written = yaml.safe_load(self.lab.layout.estate_file.read_text(encoding="utf-8"))
        (self.estates / "lab.yaml").write_text(yaml.safe_dump(written | changes), encoding="utf-8")

    @property
    def estate(self) -> dict[str, Any]:
        """The estate file as it is written."""
        written: dict[str, Any] = yaml.safe_load(
            (self.estates / "lab.yaml").read_text(encoding="utf-8")
        )
        return written

    def switch(self, **simulation: Any) -> None:  # noqa: ANN401 - any switch
        """Turn simulation of the lab."""
        file = self.lab.layout.simulation
        replace(SimulationOptions.read(file), **simulation).write(file)

    def worker(self) -> AbstractAsyncContextManager[WorkerProcess]:
        """Start the unmodified worker as a process."""
        return worker_process(
            *("--estates", str(self.estates), "--records", str(self.place / "records")),
            *("--secrets", f"{self.lab.layout.keys}:{self.place}"),
            TEMPORAL_ADDRESS=self.address,
        )

    async def cli(self, *words: str) -> str:
        """Run the temporal CLI and return what it printed; it has to succeed."""
        answer = await Cli(self.client).types(*words)
        assert answer.code == 0, answer.text
        return answer.text

    async def start(self, **changes: Any) -> None:  # noqa: ANN401 - keys of the request
        """Start a switchover with the command of the README."""
        await self._start("Switchover", REQUEST | changes)

    async def rejoin(self, cluster: str, **changes: Any) -> None:  # noqa: ANN401 - keys of the request
        """Start a rejoin likewise."""
        await self._start("Rejoin", {"estate": "lab", "cluster": cluster, **changes})

    async def _start(self, workflow: str, request: dict[str, Any]) -> None:
        await self.cli(
            *("workflow", "start", "--fail-existing", "--type", workflow),
            *("--task-queue", "switchover", "--workflow-id", ID),
            *("--input", json.dumps(request)),
        )

    async def signal(self, verb: str, **decision: str) -> None:
        """Send a decision with the temporal CLI."""
        await self.cli(
            *("workflow", "signal", "--workflow-id", ID),
            *("--name", verb, "--input", json.dumps(decision)),
        )

    @property
    def run(self) -> WorkflowHandle[Any, Outcome]:
        """The newest run."""
        return self.client.get_workflow_handle(ID, result_type=Outcome)

    async def outcome(self, within: float = 120) -> Outcome:
        """Wait for the end."""
        return await asyncio.wait_for(self.run.result(), within)

    async def failure(self, within: float = 60) -> str:
        """Wait for a failed end and return its reason."""
        with pytest.raises(WorkflowFailureError) as failed:
            await self.outcome(within)
        cause = failed.value.cause
        assert isinstance(cause, ApplicationError), cause
        return cause.message

    async def reaches(self, condition: Callable[[Progress], bool], within: float = 60) -> Progress:
        """Wait until the run's progress is so."""
        progress: Progress | None = None
        try:
            async with asyncio.timeout(within):
                while progress is None or not condition(progress):
                    await asyncio.sleep(0.1)  # between two queries
                    with suppress(WorkflowQueryFailedError):  # a worker that has just begun may
                        progress = await self.run.query("status", result_type=Progress)
        except TimeoutError:
            pytest.fail(f"after {within:g} s the run is still so: {progress!r}")
        return progress

    def effects(self) -> list[dict[str, Any]]:
        """Everything the estate really did so far, by its own record."""
        return list(records.read(self.lab.layout.effects))

    def counted(self, effect: str) -> Counter[tuple[str, str]]:
        """How often each service of each place did this."""
        return Counter(
            (entry["place"], entry["service"])
            for entry in self.effects()
            if entry["effect"] == effect
        )

    async def sees(self, condition: Callable[[], bool], within: float = 60) -> None:
        """Wait until the estate's own record is so."""
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110 - other processes write it
                await asyncio.sleep(0.05)

    async def clear(self) -> None:
        """Leave no run behind for the next test."""
        for run in (self.run, self.client.get_workflow_handle("freeze-lab")):
            with suppress(RPCError):
                await run.terminate("the test is over")
