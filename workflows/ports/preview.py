"""Show the exact commands of a plan without sending any."""

from abc import ABC, abstractmethod

from temporalio import activity

from workflows.planning.plan import Plan
from workflows.planning.preview import CommandPreview


class PreviewPort(ABC):
    """Show the exact commands of a plan without sending any."""

    @activity.defn
    @abstractmethod
    async def preview_commands(self, plan: Plan) -> tuple[CommandPreview, ...]:
        """Return the exact commands of every action of the plan."""
