"""Actions of stage 0: each reads one place and changes nothing."""

from typing import Literal

from pydantic import Field

from workflows.model.actions.base import Intent, OnHost, OnLink, OnNode, OverProtocol, ReadOnly
from workflows.model.estate import Name


class OnBothClusters(ReadOnly):
    """An action that compares two clusters."""

    source: Name
    target: Name

    @property
    def place(self) -> str:
        return self.target


class ObserveNode(ReadOnly, OnNode):
    """Read everything about a node that a prerequisite asks for."""

    kind: Literal["observe_node"] = "observe_node"
    sentence = "read the state of {node}"


class ObserveReplication(ReadOnly, OnLink):
    """Read a replication link: enabled, running, lag, published tables."""

    kind: Literal["observe_replication"] = "observe_replication"
    sentence = "read the state of replication on {link}"


class ObserveTraffic(ReadOnly, OnHost):
    """Read where a load balancer host sends traffic, and which node a login reaches."""

    kind: Literal["observe_traffic"] = "observe_traffic"
    sentence = "read the traffic destinations of {host}"


class ObserveCluster(ReadOnly, OnNode):
    """Read what a cluster's nodes share, through one of its Servers."""

    kind: Literal["observe_cluster"] = "observe_cluster"
    sentence = "read the state of the cluster through {node}"


class CompareConfiguration(OnBothClusters):
    """Compare the configuration of both clusters."""

    kind: Literal["compare_configuration"] = "compare_configuration"
    sentence = "compare the configuration of {source} and {target}"


class CompareStorage(OnBothClusters):
    """Compare a sample of both clusters' files."""

    intent = Intent.COMPARE_STORAGE
    kind: Literal["compare_storage"] = "compare_storage"
    sentence = "compare the file storage of {source} and {target}"


class TryLogin(OverProtocol, ReadOnly, OnNode):
    """Log in directly to a node that clients will reach, list a directory, and log out."""

    kind: Literal["try_login"] = "try_login"
    sentence = "try to log in over {protocol} directly to {node}"


class ObserveTemporal(ReadOnly):
    """Read what Temporal knows of this estate: other runs, workers, search attributes."""

    kind: Literal["observe_temporal"] = "observe_temporal"
    estate: Name
    task_queues: tuple[str, ...] = Field(default=(), exclude_if=lambda queues: not queues)
    """The clusters' own, whose workers are read."""
    sentence = "read what Temporal knows about {estate}"

    @property
    def place(self) -> str:
        return self.estate


Observation = (
    ObserveNode
    | ObserveReplication
    | ObserveTraffic
    | ObserveCluster
    | CompareConfiguration
    | CompareStorage
    | TryLogin
    | ObserveTemporal
)
"""Actions that return a reading instead of a report."""
