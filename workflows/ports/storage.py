"""Compare the file storage of both clusters."""

from abc import ABC, abstractmethod

from temporalio import activity

from workflows.model.actions import CompareStorage
from workflows.model.observations import StorageReading
from workflows.ports.inputs import ClusterPairInput


class StoragePort(ABC):
    """Compare the file storage of both clusters."""

    @activity.defn
    @abstractmethod
    async def compare_storage(self, given: ClusterPairInput[CompareStorage]) -> StorageReading:
        """Name what differs in a sample; writes a marker file where the estate has a place for it.

        What cannot be read is reported in the reading, never raised.
        """
