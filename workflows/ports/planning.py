"""Read the estate file once, and save plans and outcomes beyond Temporal's retention."""

from abc import ABC, abstractmethod

from temporalio import activity

from workflows.model.outcome import Outcome
from workflows.model.request import AnyRequest
from workflows.planning.plan import Plan


class PlanningPort(ABC):
    """Read the estate file once, and save plans and outcomes beyond Temporal's retention."""

    @activity.defn
    @abstractmethod
    async def make_plan(self, request: AnyRequest) -> Plan:
        """Read the estate file and plan; BadInput where either is wrong."""

    @activity.defn
    @abstractmethod
    async def save_plan(self, plan: Plan) -> str:
        """Write a reviewed plan to a file of its hash's name and return where it is."""

    @activity.defn
    @abstractmethod
    async def save_outcome(self, outcome: Outcome) -> str:
        """Write the outcome to a file and return where it is."""
