"""Actions that run side by side, as every procedure plans them."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import zip_longest

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


def in_turn(wave: Iterable[actions.Action]) -> tuple[Wave, ...]:
    """Return the actions in waves in which each place has one of them, in their sequence.

    Every start on a node revives its Monitor, and stops it again where it was down: two of them at
    once, by two workers, would each see what the other one does.
    """
    by_place: defaultdict[str, list[actions.Action]] = defaultdict(list)
    for action in wave:
        by_place[action.place].append(action)
    turns = zip_longest(*by_place.values())
    return tuple(tuple(action for action in turn if action is not None) for turn in turns)
