"""Actions that run side by side, as every procedure plans them."""

from collections.abc import Callable, Iterable

from workflows.model import actions
from workflows.model.estate import Estate, Node

Wave = tuple[actions.Action, ...]
"""Actions that run side by side; all of them finish before they are judged together."""


def on(nodes: Iterable[Node], kind: Callable[..., actions.Action]) -> Wave:
    """Return an action of that kind on each of the nodes."""
    return tuple(kind(node=node.name) for node in nodes)


def observations_of_links_and_traffic(estate: Estate) -> Wave:
    """Return the observations of what leads from one cluster to the other."""
    return (
        *(actions.ObserveReplication(link=link.name) for link in estate.replication.links),
        *(actions.ObserveTraffic(host=place) for place in estate.load_balancer.places),
    )
