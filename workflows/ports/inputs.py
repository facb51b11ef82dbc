"""What activities are given: an action with the part of the plan's estate that it needs."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Generic, Self, TypeVar

from workflows.model.actions.base import BaseAction
from workflows.model.actions.observe import OnBothClusters
from workflows.model.base import Value
from workflows.model.estate import AbsolutePath, Cluster, Estate, Limits, Node, Timing
from workflows.model.results import Operation

A = TypeVar("A", bound=BaseAction)
B = TypeVar("B", bound=OnBothClusters)

_FROM_ESTATE: Mapping[str, Callable[[Estate, Any], object]] = {
    "timing": lambda estate, _: estate.timing,
    "limits": lambda estate, _: estate.limits,
    "ignored_peers": lambda estate, _: estate.ignored_peers,
    "clusters": lambda estate, _: estate.clusters,
    "load_balancer": lambda estate, _: estate.load_balancer,
    "replication": lambda estate, _: estate.replication,
    "node": lambda estate, action: estate.node(action.place),
    "storage": lambda estate, action: estate.cluster_of(action.place).storage,
    "probe": lambda estate, action: estate.probe(action.protocol),
    "source": lambda estate, action: estate.cluster(action.source),
    "target": lambda estate, action: estate.cluster(action.target),
    "publisher": lambda estate, action: estate.publisher(action.place),
    "subscriber": lambda estate, action: estate.subscriber(action.place),
}
"""By field of an input: the part of the estate that an action needs."""


class ActionInput(Value, Generic[A]):
    """An action, its operation id, and the timing of its estate."""

    operation: Operation
    action: A
    timing: Timing

    @classmethod
    def of(cls, operation: Operation, action: A, estate: Estate, **known: datetime | None) -> Self:
        """Take each field from the plan's snapshot of the estate, or from what the run knows."""
        fields = cls.model_fields.keys()
        taken = {name: of(estate, action) for name, of in _FROM_ESTATE.items() if name in fields}
        remembered = {name: value for name, value in known.items() if name in fields}
        return cls(operation=operation, action=action, **taken, **remembered)


class NodeInput(ActionInput[A], Generic[A]):
    """An action on one node."""

    node: Node


class SessionInput(NodeInput[A], Generic[A]):
    """An action that counts the client sessions of one node."""

    ignored_peers: tuple[str, ...] = ()
    redirected_at: datetime | None = None
    """Sessions that begin later than this on the source are a finding; None before it."""


class StorageInput(NodeInput[A], Generic[A]):
    """An action on the shared storage, where this node has it mounted."""

    storage: AbsolutePath


class ClusterPairInput(ActionInput[B], Generic[B]):
    """An action that compares both clusters."""

    source: Cluster
    target: Cluster
    limits: Limits
