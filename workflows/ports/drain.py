"""Wait for clients and partners; read only, and heartbeat what remains."""

from abc import ABC, abstractmethod

from temporalio import activity

from workflows.model import actions
from workflows.model.results import RemainingQueue, RemainingSessions, Report
from workflows.ports.inputs import NodeInput, SessionInput


class DrainPort(ABC):
    """Wait for clients and partners; read only, and heartbeat what remains."""

    @activity.defn
    @abstractmethod
    async def await_in_flight_events(self, given: NodeInput[actions.AwaitInFlightEvents]) -> Report:
        """Return once every event of the first reading has ended; heartbeats RemainingQueue."""

    @activity.defn
    @abstractmethod
    async def await_sessions(self, given: SessionInput[actions.AwaitSessions]) -> Report:
        """Return once no session remains; heartbeats RemainingSessions."""

    @activity.defn
    @abstractmethod
    async def await_queue(self, given: NodeInput[actions.AwaitQueue]) -> Report:
        """Return once the queue is empty and nothing is active; heartbeats RemainingQueue."""

    @activity.defn
    @abstractmethod
    async def read_sessions(self, given: SessionInput[actions.ReadSessions]) -> RemainingSessions:
        """Return the sessions there are now; what cannot be read is in ``error``, never raised."""

    @activity.defn
    @abstractmethod
    async def read_queue(self, given: NodeInput[actions.ReadQueue]) -> RemainingQueue:
        """Return what is queued now; what cannot be read is in ``error``, never raised."""
