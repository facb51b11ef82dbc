"""Stop and start Scheduler and Folder Monitor through the admin REST API."""

from abc import ABC, abstractmethod

from temporalio import activity

from workflows.model.actions import StartScheduling, StopScheduling, VerifySchedulingStopped
from workflows.model.results import Report
from workflows.ports.inputs import NodeInput


class SchedulingPort(ABC):
    """Stop and start Scheduler and Folder Monitor through the admin REST API."""

    @activity.defn
    @abstractmethod
    async def stop_scheduling(self, given: NodeInput[StopScheduling]) -> Report:
        """Leave both stopped; a service that its option disables counts as stopped (section 7)."""

    @activity.defn
    @abstractmethod
    async def verify_scheduling_stopped(self, given: NodeInput[VerifySchedulingStopped]) -> Report:
        """Verify twice that both are stopped, the second time after the takeover time."""

    @activity.defn
    @abstractmethod
    async def start_scheduling(self, given: NodeInput[StartScheduling]) -> Report:
        """Leave the action's services running; NotReady where an option disables one of them.

        A service that the action does not name is not even read: it did not run before.
        """
