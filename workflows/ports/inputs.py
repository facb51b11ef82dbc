"""What activities are given: an action with the part of the plan's estate that it needs."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, Self, TypeVar

from workflows.model.actions.base import BaseAction
from workflows.model.actions.observe import OnBothClusters
from workflows.model.base import Value
from workflows.model.estate import AbsolutePath, Cluster, Estate, Limits, Node, Timing
from workflows.model.results import Operation

A = TypeVar("A", bound=BaseAction)
B = TypeVar("B", bound=OnBothClusters)


class ActionInput(Value, Generic[A]):
    """An action, its operation id, and the timing of its estate."""

    operation: Operation
    action: A
    timing: Timing

    @classmethod
    def of(cls, operation: Operation, action: A, estate: Estate) -> Self:
        """Take what the action needs from the plan's snapshot of the estate."""
        return cls(operation=operation, action=action, timing=estate.timing)


class NodeInput(ActionInput[A], Generic[A]):
    """An action on one node."""

    node: Node

    @classmethod
    def of(cls, operation: Operation, action: A, estate: Estate) -> Self:
        node = estate.node(action.place)
        return cls(operation=operation, action=action, timing=estate.timing, node=node)


class SessionInput(NodeInput[A], Generic[A]):
    """An action that counts the client sessions of one node."""

    ignored_peers: tuple[str, ...] = ()
    redirected_at: datetime | None = None
    """Sessions that begin later than this on the source are a finding; None before it."""

    @classmethod
    def of(cls, operation: Operation, action: A, estate: Estate) -> Self:
        return cls(
            operation=operation,
            action=action,
            timing=estate.timing,
            node=estate.node(action.place),
            ignored_peers=estate.ignored_peers,
        )


class StorageInput(NodeInput[A], Generic[A]):
    """An action on the shared storage, where this node has it mounted."""

    storage: AbsolutePath

    @classmethod
    def of(cls, operation: Operation, action: A, estate: Estate) -> Self:
        return cls(
            operation=operation,
            action=action,
            timing=estate.timing,
            node=estate.node(action.place),
            storage=estate.cluster_of(action.place).storage,
        )


class ClusterPairInput(ActionInput[B], Generic[B]):
    """An action that compares both clusters."""

    source: Cluster
    target: Cluster
    limits: Limits

    @classmethod
    def of(cls, operation: Operation, action: B, estate: Estate) -> Self:
        return cls(
            operation=operation,
            action=action,
            timing=estate.timing,
            source=estate.cluster(action.source),
            target=estate.cluster(action.target),
            limits=estate.limits,
        )
