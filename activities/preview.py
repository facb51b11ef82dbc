"""Collect the exact commands of a plan from the code that would send them; contact no system."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from temporalio import activity

from workflows.model.actions import Action, Observation
from workflows.model.estate import Estate
from workflows.model.results import Operation
from workflows.planning.plan import Plan
from workflows.planning.preview import CommandPreview
from workflows.ports.preview import PreviewPort
from workflows.ports.routes import ROUTES


@runtime_checkable
class Previews(Protocol):
    """An implementation of a port that can show what its activities send."""

    def preview(self, given: Any) -> Iterable[str]:  # noqa: ANN401 - the input of any of its activities
        """Return the commands, requests and statements of an activity with this input.

        Of an action that waits or verifies, also until when and how often it reads.
        """


class CommandPreviews(PreviewPort):
    """Shows what the ports of this worker would send."""

    def __init__(self, ports: Sequence[object]) -> None:
        self._ports = [port for port in ports if isinstance(port, Previews)]

    @activity.defn
    async def preview_commands(self, plan: Plan) -> tuple[CommandPreview, ...]:
        return tuple(
            CommandPreview(
                stage=stage.name, action=action.key, commands=self.commands(plan.estate, action)
            )
            for stage in plan.stages
            for action in stage.actions
        )

    def commands(self, estate: Estate, action: Action) -> tuple[str, ...]:
        """Return what one action sends; nothing for an observation, which only reads."""
        if isinstance(action, Observation):
            return ()
        route = ROUTES[type(action)]
        operation = Operation(identity="preview", stage="preview", action=action.key)
        given = route.input.of(operation, action, estate)
        [port] = [port for port in self._ports if isinstance(port, route.port)]
        return tuple(port.preview(given))
