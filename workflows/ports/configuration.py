"""Read what the nodes of a cluster share and compare both clusters."""

from abc import ABC, abstractmethod
from typing import Generic

from temporalio import activity

from workflows.model.actions import CompareConfiguration, ObserveCluster
from workflows.model.estate import Limits
from workflows.model.observations import ClusterReading, ParityReading
from workflows.ports.inputs import A, ClusterPairInput, StorageInput


class ClusterInput(StorageInput[A], Generic[A]):
    """An observation of what a cluster's nodes share, read through this node."""

    limits: Limits


class ConfigurationPort(ABC):
    """Read what the nodes of a cluster share and compare both clusters."""

    @activity.defn
    @abstractmethod
    async def observe_cluster(self, given: ClusterInput[ObserveCluster]) -> ClusterReading:
        """Read everything; what cannot be read is reported in the reading, never raised."""

    @activity.defn
    @abstractmethod
    async def compare_configuration(
        self, given: ClusterPairInput[CompareConfiguration]
    ) -> ParityReading:
        """Name what differs; what cannot be read is reported in the reading, never raised."""
