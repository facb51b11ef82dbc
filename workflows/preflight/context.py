"""What was read, beside what it is held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from workflows.model.checks import BY_NAME
from workflows.model.estate import Cluster, Estate, Node
from workflows.model.findings import Finding
from workflows.model.observations import MachineFacts, NodeReading, Reading
from workflows.model.stages import StageName
from workflows.planning.plan import Plan

R = TypeVar("R", bound=Reading)
H = TypeVar("H", bound=Hashable)


@dataclass(frozen=True)
class Seen:
    """Everything that was read, and how far the run has come."""

    plan: Plan
    readings: tuple[Reading, ...]
    begun: frozenset[StageName] = frozenset()

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

    def of(self, *clusters: Cluster) -> Iterator[tuple[Node, NodeReading]]:
        """Yield each node of the clusters that could be read at all, with its reading."""
        readings = {reading.place: reading for reading in self.each(NodeReading)}
        for node in chain.from_iterable(cluster.nodes for cluster in clusters):
            if node.name in readings and readings[node.name].services:
                yield node, readings[node.name]

    @property
    def nodes(self) -> Iterator[tuple[Node, NodeReading]]:
        """Each node of both sides, the source's first."""
        return self.of(self.source, self.target)

    @property
    def machines(self) -> Iterator[tuple[Node, MachineFacts]]:
        """Each node of both sides whose operating system could be read, the source's first."""
        readings = {reading.place: reading for reading in self.each(NodeReading)}
        for node in (*self.source.nodes, *self.target.nodes):
            if node.name in readings and (facts := readings[node.name].machine) is not None:
                yield node, facts


def finding(name: str, place: str, *, seen: str, expected: str, advice: str) -> Finding:
    """Make a finding of the severity that its check has."""
    return Finding(
        name=name,
        place=place,
        seen=seen,
        expected=expected,
        advice=advice,
        severity=BY_NAME[name].severity,
    )


def odd_ones(values: Mapping[str, H]) -> Iterator[tuple[str, H, H]]:
    """Yield each place whose value is not the common one, with both values.

    The common one is the most frequent; among equals the one that comes first, so with the
    source's nodes first it is the target that differs.
    """
    counted = Counter(values.values()).most_common(1)
    for place, value in values.items():
        if value != counted[0][0]:
            yield place, value, counted[0][0]


def listed(items: Iterable[str], most: int = 5) -> str:
    """Name the first few, and say how many more there are."""
    everything = list(items)
    more = len(everything) - most
    return ", ".join(everything[:most]) + (f" and {more} more" if more > 0 else "")
