"""An index of what was read of an estate, beside the plan that it is compared with."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TypeVar

from workflows.model.estate import Cluster, Estate, Node
from workflows.model.observations import (
    MachineFacts,
    NodeReading,
    Reading,
    ReplicationReading,
    TrafficReading,
)
from workflows.model.results import Service, State
from workflows.planning.plan import Plan

R = TypeVar("R", bound=Reading)


@dataclass(frozen=True)
class Observations:
    """The readings of an estate; what was not read is None or ``State.UNKNOWN``, never a guess."""

    plan: Plan
    readings: tuple[Reading, ...]

    @property
    def estate(self) -> Estate:
        """The plan's snapshot."""
        return self.plan.estate

    @property
    def source(self) -> Cluster:
        """The cluster that traffic leaves."""
        return self.estate.cluster(self.plan.source)

    @property
    def target(self) -> Cluster:
        """The cluster that traffic reaches."""
        return self.estate.cluster(self.plan.target)

    def each(self, kind: type[R]) -> Iterator[R]:
        """Yield every reading of that kind."""
        return (reading for reading in self.readings if isinstance(reading, kind))

    def of(self, kind: type[R], place: str) -> R | None:
        """Return the reading of that kind at a place; None where there is none."""
        reading = self._by_place.get((kind, place))
        return reading if isinstance(reading, kind) else None

    def state(self, node: str, service: Service) -> State:
        """Return the state of a service as it was read."""
        reading = self.of(NodeReading, node)
        return State.UNKNOWN if reading is None else reading.services.get(service, State.UNKNOWN)

    def nodes_of(self, *clusters: Cluster) -> Iterator[tuple[Node, NodeReading]]:
        """Yield each node of the clusters whose services could be read, with its reading."""
        for node in chain.from_iterable(cluster.nodes for cluster in clusters):
            reading = self.of(NodeReading, node.name)
            if reading is not None and reading.services:
                yield node, reading

    @property
    def nodes(self) -> Iterator[tuple[Node, NodeReading]]:
        """Each node of both clusters, the source's first."""
        return self.nodes_of(self.source, self.target)

    @property
    def machines(self) -> Iterator[tuple[Node, MachineFacts]]:
        """Each node of both clusters whose operating system could be read, the source's first."""
        for node in (*self.source.nodes, *self.target.nodes):
            reading = self.of(NodeReading, node.name)
            if reading is not None and reading.machine is not None:
                yield node, reading.machine

    @property
    def links(self) -> Iterator[ReplicationReading]:
        """The reading of each link that should run: not of one that rests."""
        return (one for one in self.each(ReplicationReading) if not rests(self.plan, one))

    def destinations_on(self, cluster: str) -> Iterator[bool]:
        """Yield whether a destination is the cluster, for each that is known at each place."""
        for reading in self.each(TrafficReading):
            yield from (one.cluster == cluster for one in reading.destinations if one.seen)

    @cached_property
    def _by_place(self) -> dict[tuple[type[object], str], Reading]:
        return {(type(reading), reading.place): reading for reading in self.readings}


def rests(plan: Plan, reading: ReplicationReading) -> bool:
    """Whether a link is off because only one direction can run at a time, the one to the target.

    Two links that send back what they received would send every change in a circle.
    """
    links = plan.estate.replication.links
    return (
        reading.sends_back is True
        and reading.enabled is False
        and plan.estate.link(reading.place).target == plan.source
        and any(link.target == plan.target for link in links)
    )
