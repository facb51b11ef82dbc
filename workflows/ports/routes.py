"""Which activity executes which action, as the ports' annotations say."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from workflows.model.actions import Action
from workflows.ports.configuration import ConfigurationPort
from workflows.ports.drain import DrainPort
from workflows.ports.inputs import ActionInput
from workflows.ports.load_balancer import LoadBalancerPort
from workflows.ports.logs import LogsPort
from workflows.ports.nodes import NodesPort
from workflows.ports.notifications import NotificationPort
from workflows.ports.planning import PlanningPort
from workflows.ports.preview import PreviewPort
from workflows.ports.replication import ReplicationPort
from workflows.ports.scheduling import SchedulingPort
from workflows.ports.storage import StoragePort
from workflows.ports.temporal import TemporalPort

PORTS = (
    PlanningPort,
    PreviewPort,
    NodesPort,
    SchedulingPort,
    DrainPort,
    LoadBalancerPort,
    ReplicationPort,
    ConfigurationPort,
    StoragePort,
    LogsPort,
    TemporalPort,
    NotificationPort,
)


@dataclass(frozen=True)
class Route:
    """An activity, its port, and the type of its input."""

    port: type
    activity: Callable[[Any, Any], Awaitable[Any]]
    input: type[ActionInput[Any]]


def activities_of(port: object) -> list[Callable[..., Any]]:
    """Return every activity of the ports that an object implements, bound to it."""
    return [
        getattr(port, name)
        for contract in PORTS
        if isinstance(port, contract)
        for name in sorted(contract.__abstractmethods__)
    ]


def _routes() -> Iterator[tuple[type[Action], Route]]:
    for port in PORTS:
        for name in sorted(port.__abstractmethods__):
            activity = getattr(port, name)
            given = get_type_hints(activity).get("given")
            if given is not None and issubclass(given, ActionInput):
                yield given.model_fields["action"].annotation, Route(port, activity, given)


ROUTES: Mapping[type[Action], Route] = dict(_routes())
