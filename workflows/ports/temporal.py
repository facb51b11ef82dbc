"""Read what Temporal knows about an estate, and end its Freeze."""

from abc import ABC, abstractmethod

from temporalio import activity

from workflows.model.actions import ObserveTemporal
from workflows.model.configuration import ConfigurationRecord
from workflows.model.observations import TemporalReading
from workflows.ports.inputs import ActionInput
from workflows.preflight.report import Direction, ReadinessReport


class TemporalPort(ABC):
    """Read what Temporal knows about an estate, and end its Freeze."""

    @activity.defn
    @abstractmethod
    async def observe_temporal(self, given: ActionInput[ObserveTemporal]) -> TemporalReading:
        """Read everything; what cannot be read is reported in the reading, never raised."""

    @activity.defn
    @abstractmethod
    async def last_readiness(self, direction: Direction) -> ReadinessReport | None:
        """Return the newest readiness report about this switchover; None where there is none."""

    @activity.defn
    @abstractmethod
    async def take_over_watch(self, direction: Direction) -> ConfigurationRecord | None:
        """End the estate's Freeze and return what it has recorded; None where nobody watched.

        Where a Freeze or a run that watched was terminated, its record is read from its history,
        and says since when nobody watches.

        Raises:
            Unreachable: Temporal does not answer, or the Freeze has not ended yet.
        """
