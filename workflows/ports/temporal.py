"""Read what Temporal knows about an estate."""

from abc import ABC, abstractmethod

from temporalio import activity

from workflows.model.actions import ObserveTemporal
from workflows.model.observations import TemporalReading
from workflows.ports.inputs import ActionInput
from workflows.preflight.report import Direction, ReadinessReport


class TemporalPort(ABC):
    """Read what Temporal knows about an estate."""

    @activity.defn
    @abstractmethod
    async def observe_temporal(self, given: ActionInput[ObserveTemporal]) -> TemporalReading:
        """Read everything; what cannot be read is reported in the reading, never raised."""

    @activity.defn
    @abstractmethod
    async def last_readiness(self, direction: Direction) -> ReadinessReport | None:
        """Return the newest readiness report about this switchover; None where there is none."""
