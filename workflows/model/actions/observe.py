"""Actions of stage 0: each reads one place and changes nothing."""

from __future__ import annotations

from typing import Literal

from workflows.model.actions.base import Intent, OnLink, OnNode, ReadOnly
from workflows.model.estate import Name, Protocol


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

    def __str__(self) -> str:
        return f"read the state of {self.node}"


class ObserveReplication(ReadOnly, OnLink):
    """Read a replication link: enabled, running, lag, published tables."""

    kind: Literal["observe_replication"] = "observe_replication"

    def __str__(self) -> str:
        return f"read the state of replication {self.link}"


class ObserveTraffic(ReadOnly):
    """Read where a load balancer host sends traffic, and where a login really lands."""

    kind: Literal["observe_traffic"] = "observe_traffic"
    host: Name

    @property
    def place(self) -> str:
        return self.host

    def __str__(self) -> str:
        return f"read where {self.host} sends traffic"


class ObserveCluster(ReadOnly, OnNode):
    """Read what a cluster's nodes share, as one of its Servers sees it."""

    kind: Literal["observe_cluster"] = "observe_cluster"

    def __str__(self) -> str:
        return f"read the state of the cluster, as {self.node} sees it"


class CompareConfiguration(OnBothClusters):
    """Hold the configuration of both clusters side by side."""

    kind: Literal["compare_configuration"] = "compare_configuration"

    def __str__(self) -> str:
        return f"compare the configuration of {self.source} and {self.target}"


class CompareStorage(OnBothClusters):
    """Hold a sample of both clusters' files side by side."""

    intent = Intent.COMPARE_STORAGE
    kind: Literal["compare_storage"] = "compare_storage"

    def __str__(self) -> str:
        return f"compare the file storage of {self.source} and {self.target}"


class TryLogin(ReadOnly, OnNode):
    """Log in straight to a node that clients are to reach, list a directory, and leave."""

    kind: Literal["try_login"] = "try_login"
    protocol: Protocol

    @property
    def subject(self) -> str:
        return self.protocol

    def __str__(self) -> str:
        return f"try a {self.protocol} login on {self.node} itself"


class ObserveTemporal(ReadOnly):
    """Read what Temporal knows of this estate: other runs, workers, search attributes."""

    kind: Literal["observe_temporal"] = "observe_temporal"
    estate: Name

    @property
    def place(self) -> str:
        return self.estate

    def __str__(self) -> str:
        return f"read what Temporal knows about {self.estate}"


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
