"""What activities are given: an action with the part of the plan's estate that it needs."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Generic, NamedTuple, Self, TypeVar

from workflows.model.actions.base import BaseAction
from workflows.model.actions.observe import OnBothClusters
from workflows.model.base import Value
from workflows.model.estate import Cluster, Estate, Limits, Node, NodePath, Protocol, Timing
from workflows.model.results import Operation
from workflows.model.seals import Seals

A = TypeVar("A", bound=BaseAction)
B = TypeVar("B", bound=OnBothClusters)


class _Part(NamedTuple):
    """A part of an estate, which an input holds in the field of its kind."""

    of: Callable[[Estate, str], object]
    """The part of that name; of nothing, where an estate has only one."""
    names: Callable[[Estate], Iterable[str]] = lambda _: ("",)
    """The names of all such parts of an estate."""
    named_by: Callable[[Any], str] = lambda _: ""
    """Which of them an action needs."""


def _place(action: BaseAction) -> str:
    return action.place


def _nodes(estate: Estate) -> Iterable[str]:
    return (node.name for node in estate.nodes)


def _clusters(estate: Estate) -> Iterable[str]:
    return (cluster.name for cluster in estate.clusters)


def _links(estate: Estate) -> Iterable[str]:
    return (link.name for link in estate.replication.links)


def _probes(estate: Estate) -> Iterable[str]:
    return (probe.protocol for probe in estate.load_balancer.probes)


_PARTS: Mapping[str, _Part] = {
    "timing": _Part(lambda estate, _: estate.timing),
    "limits": _Part(lambda estate, _: estate.limits),
    "ignored_peers": _Part(lambda estate, _: estate.ignored_peers),
    "ignored_changes": _Part(lambda estate, _: estate.ignored_changes),
    "clusters": _Part(lambda estate, _: estate.clusters),
    "load_balancer": _Part(lambda estate, _: estate.load_balancer),
    "replication": _Part(lambda estate, _: estate.replication),
    "webhook": _Part(lambda estate, _: estate.webhook),
    "node": _Part(lambda estate, name: estate.node(name), _nodes, _place),
    "storage": _Part(lambda estate, name: estate.cluster_of(name).storage, _nodes, _place),
    "probe": _Part(
        lambda estate, name: estate.probe(Protocol(name)), _probes, lambda action: action.protocol
    ),
    "source": _Part(
        lambda estate, name: estate.cluster(name), _clusters, lambda action: action.source
    ),
    "target": _Part(
        lambda estate, name: estate.cluster(name), _clusters, lambda action: action.target
    ),
    "publisher": _Part(lambda estate, name: estate.publisher(name), _links, _place),
    "subscriber": _Part(lambda estate, name: estate.subscriber(name), _links, _place),
}
"""By field of an input: the part of the estate that an action needs."""


def parts_of(estate: Estate) -> dict[str, object]:
    """Return every part of an estate that an input may hold, by its name."""
    return {
        _name(field, name): part.of(estate, name)
        for field, part in _PARTS.items()
        for name in part.names(estate)
    }


def _name(field: str, name: str) -> str:
    return f"{field}:{name}" if name else field


UNSEALED = Seals()


class ActionInput(Value, Generic[A]):
    """An action, its operation id, and the timing of its estate."""

    operation: Operation
    action: A
    timing: Timing
    seals: Seals = UNSEALED
    """Of everything in it that is of the estate."""

    @classmethod
    def of(
        cls,
        operation: Operation,
        action: A,
        estate: Estate,
        seals: Seals = UNSEALED,
        **known: datetime | tuple[str, ...] | None,
    ) -> Self:
        """Take each field from the plan's snapshot of the estate, or from what the run knows."""
        fields = cls.model_fields.keys()
        taken = {
            field: part.of(estate, part.named_by(action))
            for field, part in _PARTS.items()
            if field in fields
        }
        remembered = {name: value for name, value in known.items() if name in fields}
        whole = cls(operation=operation, action=action, **taken, **remembered)
        return whole.model_copy(update={"seals": seals.of(whole.parts)})

    @property
    def parts(self) -> dict[str, object]:
        """What it holds of the estate, each part by the name under which it must be sealed."""
        return {
            _name(field, part.named_by(self.action)): getattr(self, field)
            for field, part in _PARTS.items()
            if field in type(self).model_fields
        }


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

    storage: NodePath


class ClusterPairInput(ActionInput[B], Generic[B]):
    """An action that compares both clusters."""

    source: Cluster
    target: Cluster
    limits: Limits
