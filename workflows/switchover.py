"""The Switchover workflow: its input."""

from typing import Any

from temporalio import workflow

from workflows.base_run import BaseRun
from workflows.errors import SwitchoverError
from workflows.model.outcome import Outcome
from workflows.model.request import parse_request


@workflow.defn(name="Switchover", failure_exception_types=[SwitchoverError])
class Switchover(BaseRun):
    """Moves traffic from the source cluster to the target, then drains and stops the source."""

    @workflow.init
    def __init__(self, *given: Any) -> None:  # noqa: ANN401, ARG002 - Temporal gives run's input
        super().__init__()

    @workflow.run
    async def run(self, *given: Any) -> Outcome:  # noqa: ANN401 - whatever was sent
        """Run the switchover that one JSON object requests (see ``workflows.model.request``)."""
        return await self.carry_out(parse_request(given))
