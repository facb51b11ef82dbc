"""Read what the nodes of a cluster share, compare both clusters, and watch for changes."""

from abc import ABC, abstractmethod
from typing import Generic, Self

from temporalio import activity

from workflows.model.actions import CompareConfiguration, ObserveCluster
from workflows.model.base import Value
from workflows.model.configuration import ConfigurationRecord, ConfigurationReport
from workflows.model.estate import Cluster, Limits, Timing
from workflows.model.observations import ClusterReading, ParityReading
from workflows.model.replications.registry import AnyReplication
from workflows.model.seals import Seals
from workflows.planning.plan import Plan
from workflows.ports.inputs import A, ClusterPairInput, StorageInput


class ClusterInput(StorageInput[A], Generic[A]):
    """An observation of what a cluster's nodes share, read through this node."""

    limits: Limits


class WatchInput(Value):
    """Whose configuration is read, and what is known of it."""

    clusters: tuple[Cluster, Cluster]
    replication: AnyReplication
    timing: Timing
    ignored_changes: tuple[str, ...] = ()
    dark: tuple[str, ...] = ()
    """Clusters that are shut down, or about to be: nothing is read there."""
    record: ConfigurationRecord = ConfigurationRecord()
    seals: Seals = Seals()
    """Of everything in it that is of the estate."""

    @classmethod
    def of(cls, plan: Plan, record: ConfigurationRecord, dark: tuple[str, ...] = ()) -> Self:
        """Take everything from the plan's snapshot of the estate."""
        estate = plan.estate
        whole = cls(
            clusters=estate.clusters,
            replication=estate.replication,
            timing=estate.timing,
            ignored_changes=estate.ignored_changes,
            dark=dark,
            record=record,
        )
        return whole.model_copy(update={"seals": plan.seals.of(whole.parts)})

    @property
    def parts(self) -> dict[str, object]:
        """What it holds of the estate, each part by the name under which it must be sealed."""
        sealed = ("clusters", "replication", "timing", "ignored_changes")
        return {name: getattr(self, name) for name in sealed}


class ConfigurationPort(ABC):
    """Read what the nodes of a cluster share, compare both clusters, and watch for changes."""

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

    @activity.defn
    @abstractmethod
    async def watch_configuration(self, given: WatchInput) -> ConfigurationReport:
        """Return once something is not as the record says, is read for the first time, or cannot
        be read for several readings in a row; heartbeats when it has read last.
        """

    @activity.defn
    @abstractmethod
    async def read_configuration_changes(self, given: WatchInput) -> ConfigurationReport:
        """Read once, and return what is not as the record says and what cannot be read."""
