"""Read what the nodes of a cluster share and compare both clusters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Self

from temporalio import activity

from workflows.model.actions import CompareConfiguration, ObserveCluster
from workflows.model.estate import Estate, Limits
from workflows.model.observations import ClusterReading, ParityReading
from workflows.model.results import Operation
from workflows.ports.inputs import A, ClusterPairInput, StorageInput


class ClusterInput(StorageInput[A], Generic[A]):
    """An observation of what a cluster's nodes share, as this node sees it."""

    limits: Limits

    @classmethod
    def of(cls, operation: Operation, action: A, estate: Estate) -> Self:
        return cls(
            operation=operation,
            action=action,
            timing=estate.timing,
            node=estate.node(action.place),
            storage=estate.cluster_of(action.place).storage,
            limits=estate.limits,
        )


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
