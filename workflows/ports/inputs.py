"""What activities are given: an action with the part of the plan's estate that it needs."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

from workflows.model.base import Value
from workflows.model.estate import AbsolutePath, Cluster, Limits, Node, Timing
from workflows.model.results import Operation

A = TypeVar("A")


class ActionInput(Value, Generic[A]):
    """An action, its operation id, and the timing of its estate."""

    operation: Operation
    action: A
    timing: Timing


class NodeInput(ActionInput[A], Generic[A]):
    """An action on one node."""

    node: Node


class SessionInput(NodeInput[A], Generic[A]):
    """An action that counts the client sessions of one node."""

    ignored_peers: tuple[str, ...] = ()
    redirected_at: datetime | None = None
    """Sessions that begin later than this on the source are a finding; None before it."""


class ClusterPairInput(ActionInput[A], Generic[A]):
    """An action that compares both clusters."""

    source: Cluster
    target: Cluster
    limits: Limits


class StorageInput(NodeInput[A], Generic[A]):
    """An action on the shared storage, where this node has it mounted."""

    storage: AbsolutePath
