"""The workflow with an executor that runs the stages in another sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio import workflow

from workflows.errors import SwitchoverError
from workflows.execution.context import Run
from workflows.execution.dispatch import Dispatcher
from workflows.execution.execution import Execution
from workflows.execution.fetch_plan import make_plan
from workflows.model.outcome import Outcome
from workflows.model.progress import PendingQuestion
from workflows.model.request import Request
from workflows.model.stages import StageName
from workflows.run.progress_tracker import ProgressTracker
from workflows.run.state import RunState
from workflows.switchover import Switchover, _at_first, _identity


class Hasty(Execution):
    """Starts the target's scheduling before the source's has stopped."""

    def __init__(self, run: Run, tell: Callable[[PendingQuestion], None]) -> None:
        """Swap stages 4 and 5."""
        super().__init__(run, tell)
        steps = list(run.plan.sequence)
        stop, start = StageName.STOP_SCHEDULING.number, StageName.START_SCHEDULING.number
        steps[stop], steps[start] = steps[start], steps[stop]
        self._plan = run.plan.model_copy(update={"sequence": tuple(steps)})


@workflow.defn(name="Switchover", failure_exception_types=[SwitchoverError])
class Unchanged(Switchover):
    """The product's workflow with an executor of ours: the control."""

    execution: type[Execution] = Execution

    @workflow.init
    def __init__(self, *given: Any) -> None:  # noqa: ANN401 - whatever was sent
        super().__init__(*given)

    @workflow.run
    async def run(self, *given: Any) -> Outcome:  # noqa: ANN401 - whatever was sent
        """Run it."""
        return await super().run(*given)

    async def _switch_over(self, request: Request) -> Outcome:
        plan = self._plan = await make_plan(request)
        tracker = self._tracker = ProgressTracker(
            plan, _at_first(request, plan), workflow.now, self._show
        )
        self._inbox.open(plan, tracker)
        run = Run(plan, request, tracker, self._inbox, RunState(), Dispatcher(plan, _identity()))
        return await self._close(await self.execution(run, self._tell).run())


@workflow.defn(name="Switchover", failure_exception_types=[SwitchoverError])
class Reordered(Unchanged):
    """The same, with two stages swapped."""

    execution = Hasty

    @workflow.init
    def __init__(self, *given: Any) -> None:  # noqa: ANN401 - whatever was sent
        super().__init__(*given)

    @workflow.run
    async def run(self, *given: Any) -> Outcome:  # noqa: ANN401 - whatever was sent
        """Run it."""
        return await super().run(*given)
