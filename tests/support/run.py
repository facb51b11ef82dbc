"""One switchover on a real Temporal server, carried out on a model estate."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from tests.support import estates
from tests.support.fake_activities import FakeActivities
from worker.clock_guard import REFUSAL
from worker.interceptor import AttemptInterceptor
from worker.worker import FIREWALL, WORKFLOWS
from workflows.model.estate import Estate
from workflows.model.outcome import Outcome
from workflows.model.progress import PendingQuestion, Progress


class Run:
    """One estate of its own, with its fake activities and its worker, on the shared server."""

    def __init__(self, client: Client, estate: Estate) -> None:
        self.client = client
        self.fakes = FakeActivities(estate)
        self.queue = f"queue-{estate.name}"
        self.handle: WorkflowHandle[Any, Outcome]

    async def start(self, *given: Any, **changes: Any) -> WorkflowHandle[Any, Outcome]:  # noqa: ANN401
        """Start with the usual request and *changes*, or with just what is given."""
        usual = {
            "estate": self.fakes.estate.name,
            "source": "cluster1",
            "target": "cluster2",
            **changes,
        }
        return await self._start("Switchover", list(given) or [usual])

    async def rejoin(self, *given: Any, **changes: Any) -> WorkflowHandle[Any, Outcome]:  # noqa: ANN401
        """Start the rejoin of cluster1 with *changes*, or with just what is given."""
        usual = {"estate": self.fakes.estate.name, "cluster": "cluster1", **changes}
        return await self._start("Rejoin", list(given) or [usual])

    async def _start(self, workflow: str, given: list[Any]) -> WorkflowHandle[Any, Outcome]:
        self.handle = await self.client.start_workflow(
            workflow,
            args=given,
            id=f"switchover-{self.fakes.estate.name}",
            task_queue=self.queue,
            result_type=Outcome,
        )
        return self.handle

    async def outcome(self) -> Outcome:
        """Wait for the end."""
        return await asyncio.wait_for(self.handle.result(), 60)

    async def ends(self, outcome: str) -> Outcome:
        """Wait for the end, which must have this outcome, and return it."""
        found = await self.outcome()
        assert found.outcome == outcome, found
        return found

    async def failure(self) -> str:
        """Wait for a failed end and return its reason."""
        with pytest.raises(WorkflowFailureError) as failed:
            await asyncio.wait_for(self.handle.result(), 60)
        cause = failed.value.cause
        assert isinstance(cause, ApplicationError)
        return cause.message

    async def status(self) -> Progress | None:
        """Ask the run where it is, again where its worker refuses (``worker.clock_guard``)."""
        while True:
            try:
                progress: Progress | None = await self.handle.query("status", result_type=Progress)
            except WorkflowQueryFailedError as refusal:
                if refusal.message != REFUSAL:
                    raise
            else:
                return progress

    async def reaches(self, condition: Callable[[Progress], bool], *, polls: int = 300) -> Progress:
        """Wait until the run's progress is so; AssertionError where it never is."""
        progress = None
        for _ in range(polls):
            progress = await self.status()
            if progress is not None and condition(progress):
                return progress
            await asyncio.sleep(0.1)  # between two polls
        raise AssertionError(progress)

    async def says(self, verb: str, **decision: object) -> str:
        """Send an update and return its answer."""
        return str(await self.handle.execute_update(verb, decision, result_type=str))

    async def is_terminated_at(self, key: str) -> None:
        """Terminate it once a held action is under way, and wait until that has ended, too."""
        await self.reaches(lambda _: any(key in operation for operation in self.fakes.asked))
        await self.handle.terminate("the operator pressed the wrong button")
        self.fakes.held[key].set()
        await self.acts_no_more(key)

    async def acts_no_more(self, key: str) -> None:
        """Wait until what a terminated run had under way has ended, with or without effect."""
        await asyncio.wait_for(self.fakes.ended[key].wait(), 30)

    async def engine_is_idle(self) -> None:
        """Wait until Temporal has nothing more to do for the run, but to watch beside it."""
        await self.engine_has_only("watch_configuration")

    async def engine_has_only(self, *kinds: str) -> None:
        """Wait until Temporal has nothing more to do for the run than activities of these kinds."""
        for _ in range(300):
            pending = (await self.handle.describe()).raw_description.pending_activities
            if all(one.activity_type.name in kinds for one in pending):
                return
            await asyncio.sleep(0.1)  # between two polls
        raise AssertionError(f"more than {kinds} is still pending")

    async def waits(self, kind: str) -> PendingQuestion:
        """Wait until the run asks a question of this kind, and return it."""
        progress = await self.reaches(lambda p: p.waiting is not None and p.waiting.kind == kind)
        assert progress.waiting is not None
        return progress.waiting


def new_run(client: Client, *size: int, **changes: Any) -> Run:  # noqa: ANN401 - keys of an estate
    """Return a run on an estate of its own: a Server and two Edges a cluster, unless said."""
    sizes = dict(zip(("servers", "edges"), size or (1, 2), strict=True))
    keys: dict[str, Any] = {"name": f"lab-{uuid4().hex[:8]}", **sizes, **changes}
    return Run(client, estates.estate(**keys))


def at_work(run: Run) -> Worker:
    """Return a worker with the run's own activities."""
    return Worker(
        run.client,
        task_queue=run.queue,
        workflows=WORKFLOWS,
        activities=run.fakes.activities,
        workflow_runner=FIREWALL,
        interceptors=[AttemptInterceptor()],
        max_heartbeat_throttle_interval=timedelta(seconds=1),
        disable_eager_activity_execution=True,
    )
