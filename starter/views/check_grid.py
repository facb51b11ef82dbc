"""How checks and places are laid out on a page: columns of nodes, and the rest beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workflows.model.checks import Scope
from workflows.preflight.catalogue import by_heading, check_of
from workflows.preflight.report import CheckResult, CheckStatus, ReadinessReport
from workflows.views.readiness_markdown import NOWHERE, SIGNS


@dataclass(frozen=True)
class Column:
    """Some nodes, side by side or taken together."""

    name: str
    nodes: tuple[str, ...]

    def standings(self, one: CheckResult) -> tuple[CheckStatus, ...]:
        """Return what a check came to on each of these nodes where it looked, the worst first."""
        there = [one.places[node] for node in self.nodes if node in one.places]
        return tuple(sorted(there, key=WORST_FIRST.index))


WORST_FIRST = (CheckStatus.FAILED, CheckStatus.UNKNOWN, CheckStatus.ACCEPTED, CheckStatus.PASSED)


def single(verdict: ReadinessReport) -> tuple[Column, ...]:
    """Return a column for each node, the source's first."""
    source = _places(verdict, Scope.SOURCE_NODES)
    rest = (node for node in _places(verdict, Scope.NODES) if node not in source)
    return tuple(Column(node, (node,)) for node in (*source, *rest))


def grouped(verdict: ReadinessReport) -> tuple[Column, ...]:
    """Return a column for the Servers and one for the Edges of each cluster."""
    servers, source = _places(verdict, Scope.SERVERS), _places(verdict, Scope.SOURCE_NODES)
    groups: dict[str, list[str]] = {}
    for [node] in (column.nodes for column in single(verdict)):
        cluster = verdict.source if node in source else verdict.target
        kind = "Servers" if node in servers else "Edges"
        groups.setdefault(f"{cluster} {kind}", []).append(node)
    return tuple(Column(name, tuple(nodes)) for name, nodes in groups.items())


def rows(verdict: ReadinessReport) -> Iterator[tuple[str, tuple[CheckResult, ...]]]:
    """Yield each heading with the checks under it."""
    known = {one.name: one for one in verdict.checks}
    for heading, checks in by_heading():
        some = tuple(known[check.name] for check in checks if check.name in known)
        if some:
            yield heading, some


def elsewhere(one: CheckResult, columns: Sequence[Column]) -> tuple[tuple[str, CheckStatus], ...]:
    """Return what a check came to at places that have no column, the worst first."""
    if not one.places and check_of(one.name).scope is Scope.EVERYWHERE:
        return (("everywhere", CheckStatus.PASSED),)
    nodes = {node for column in columns for node in column.nodes}
    there = [(place, standing) for place, standing in one.places.items() if place not in nodes]
    return tuple(sorted(there, key=lambda pair: WORST_FIRST.index(pair[1])))


def told(standings: Sequence[CheckStatus]) -> str:
    """Say in one cell what a check came to, the worst first: a sign, and how many of how many."""
    if not standings:
        return NOWHERE
    worst = standings[0]
    if len(standings) == 1:
        return SIGNS[worst]
    count = standings.count(worst)
    many = f"{count}" if count == len(standings) else f"{count} of {len(standings)}"
    return f"{SIGNS[worst]} {many}"


def bad(one: CheckResult) -> bool:
    """Whether there is anything to say about a check but that it holds."""
    return any(standing is not CheckStatus.PASSED for standing in one.places.values())


def _places(verdict: ReadinessReport, scope: Scope) -> tuple[str, ...]:
    """Return the places of a scope: those that all its checks have, whatever else was found."""
    some = [one.places for one in verdict.checks if check_of(one.name).scope is scope]
    return tuple(place for place in some[0] if all(place in places for places in some))
