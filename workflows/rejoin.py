"""The Rejoin workflow: its input."""

from typing import Any

from temporalio import workflow

from workflows.base_run import BaseRun
from workflows.errors import SwitchoverError
from workflows.model.outcome import Outcome
from workflows.model.request import parse_rejoin


@workflow.defn(name="Rejoin", failure_exception_types=[SwitchoverError])
class Rejoin(BaseRun):
    """Brings a drained cluster back as the passive one, while the other cluster serves."""

    @workflow.init
    def __init__(self, *given: Any) -> None:  # noqa: ANN401, ARG002 - Temporal gives run's input
        super().__init__()

    @workflow.run
    async def run(self, *given: Any) -> Outcome:  # noqa: ANN401 - whatever was sent
        """Run the rejoin that one JSON object requests (see ``workflows.model.request``)."""
        return await self.carry_out(parse_rejoin(given))
