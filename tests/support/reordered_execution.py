"""The workflow with an executor that runs the stages in another sequence."""

from typing import Any

from temporalio import workflow

from workflows.errors import SwitchoverError
from workflows.execution.context import Run
from workflows.execution.execution import Execution
from workflows.model.outcome import Outcome
from workflows.model.stages import StageName
from workflows.switchover import Switchover


class Hasty(Execution):
    """Starts the target's scheduling before the source's has stopped."""

    def __init__(self, run: Run) -> None:
        """Swap stages 4 and 5."""
        super().__init__(run)
        steps = list(run.plan.sequence)
        stop, start = StageName.STOP_SCHEDULING.number, StageName.START_SCHEDULING.number
        steps[stop], steps[start] = steps[start], steps[stop]
        self._plan = run.plan.model_copy(update={"sequence": tuple(steps)})


@workflow.defn(name="Switchover", failure_exception_types=[SwitchoverError])
class Unchanged(Switchover):
    """The product's workflow, defined in a test: the control."""

    @workflow.init
    def __init__(self, *given: Any) -> None:  # noqa: ANN401 - whatever was sent
        super().__init__(*given)

    @workflow.run
    async def run(self, *given: Any) -> Outcome:  # noqa: ANN401 - whatever was sent
        """Run it."""
        return await super().run(*given)


@workflow.defn(name="Switchover", failure_exception_types=[SwitchoverError])
class Reordered(Unchanged):
    """The same, with two stages swapped."""

    @workflow.init
    def __init__(self, *given: Any) -> None:  # noqa: ANN401 - whatever was sent
        super().__init__(*given)

    @workflow.run
    async def run(self, *given: Any) -> Outcome:  # noqa: ANN401 - whatever was sent
        """Run it."""
        return await super().run(*given)

    def _execution(self, run: Run) -> Execution:
        return Hasty(run)
