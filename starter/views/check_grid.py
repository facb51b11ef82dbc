"""What the terminal and the web page show of a readiness report: a grid of checks, and findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from workflows.model.checks import CheckStatus, Scope
from workflows.model.findings import Finding, Severity
from workflows.preflight.catalogue import by_heading, check_of
from workflows.preflight.report import CheckResult, ReadinessReport
from workflows.views.readiness_markdown import NOWHERE, SIGNS

WORST_FIRST = tuple(CheckStatus)


@dataclass(frozen=True)
class Cell:
    """One check in one column."""

    text: str
    status: CheckStatus | None
    """The worst in the column; None if the check does not apply there."""


@dataclass(frozen=True)
class Row:
    """One check."""

    check: CheckResult
    cells: tuple[Cell, ...]
    elsewhere: tuple[Cell, ...]
    """Places that have no column and did not pass, the worst first; one cell if all passed."""

    @property
    def passed(self) -> bool:
        """Whether the check passed at every place that it applies to."""
        return set(self.check.places.values()) <= {CheckStatus.PASSED}


@dataclass(frozen=True)
class Grid:
    """Checks in rows under headings; nodes, or kinds of nodes, in columns."""

    columns: tuple[str, ...]
    sections: tuple[tuple[str, tuple[Row, ...]], ...]

    def without_passed(self) -> Grid:
        """Return the grid without the checks that passed everywhere."""
        kept = ((name, tuple(r for r in rows if not r.passed)) for name, rows in self.sections)
        return replace(self, sections=tuple((name, rows) for name, rows in kept if rows))


@dataclass(frozen=True)
class FindingCard:
    """One finding with everything that is shown of it."""

    finding: Finding
    title: str
    sign: str
    style: CheckStatus
    details: Mapping[str, str]


def by_node(report: ReadinessReport) -> Grid:
    """Return a column for each node, the source's first."""
    return _grid(report, {node: (node,) for node in _nodes(report)})


def by_kind(report: ReadinessReport) -> Grid:
    """Return a column for the Servers and one for the Edges of each cluster."""
    servers, source = _places(report, Scope.SERVERS), _places(report, Scope.SOURCE_NODES)
    columns: dict[str, tuple[str, ...]] = {}
    for node in _nodes(report):
        cluster = report.source if node in source else report.target
        name = f"{cluster} {'Servers' if node in servers else 'Edges'}"
        columns[name] = (*columns.get(name, ()), node)
    return _grid(report, columns)


def cards(report: ReadinessReport) -> Iterator[FindingCard]:
    """Yield every finding, with the reason for which it is accepted."""
    for finding in report.findings:
        check = check_of(finding.name)
        reason = report.accepted.get(finding.name) if check.acceptable else None
        status = CheckStatus.FAILED if reason is None else CheckStatus.ACCEPTED
        details = {"seen": finding.seen, "expected": finding.expected, "what to do": finding.advice}
        yield FindingCard(
            finding=finding,
            title=check.title,
            sign=SIGNS[status],
            style=CheckStatus.ACCEPTED if finding.severity is Severity.WARNS else status,
            details=details if reason is None else {**details, "accepted": reason},
        )


def overall(report: ReadinessReport) -> CheckStatus:
    """Return how the report as a whole is coloured."""
    if not report.findings:
        return CheckStatus.UNKNOWN if report.score.unknown else CheckStatus.PASSED
    return CheckStatus.ACCEPTED if report.ready else CheckStatus.FAILED


def _grid(report: ReadinessReport, columns: Mapping[str, tuple[str, ...]]) -> Grid:
    results = {result.name: result for result in report.checks}
    nodes = {node for group in columns.values() for node in group}
    sections = tuple(
        (heading, tuple(_row(results[c.name], columns, nodes) for c in checks if c.name in results))
        for heading, checks in by_heading()
    )
    return Grid(tuple(columns), tuple((name, rows) for name, rows in sections if rows))


def _row(result: CheckResult, columns: Mapping[str, tuple[str, ...]], nodes: set[str]) -> Row:
    cells = (
        [result.places[node] for node in group if node in result.places]
        for group in columns.values()
    )
    return Row(result, tuple(map(_cell, cells)), _elsewhere(result, nodes))


def _cell(statuses: list[CheckStatus]) -> Cell:
    """Return the sign of the worst status, and at how many nodes of how many."""
    if not statuses:
        return Cell(NOWHERE, None)
    worst = min(statuses, key=WORST_FIRST.index)
    count, total = statuses.count(worst), len(statuses)
    if total == 1:
        return Cell(SIGNS[worst], worst)
    counted = f"{count}" if count == total else f"{count} of {total}"
    return Cell(f"{SIGNS[worst]} {counted}", worst)


def _elsewhere(result: CheckResult, nodes: set[str]) -> tuple[Cell, ...]:
    others = {place: status for place, status in result.places.items() if place not in nodes}
    bad = [
        Cell(f"{SIGNS[status]} {place}", status)
        for place, status in sorted(others.items(), key=lambda item: WORST_FIRST.index(item[1]))
        if status is not CheckStatus.PASSED
    ]
    everywhere = not result.places and check_of(result.name).scope is Scope.EVERYWHERE
    passed = [Cell(SIGNS[CheckStatus.PASSED], CheckStatus.PASSED)] if others or everywhere else []
    return tuple(bad or passed)


def _nodes(report: ReadinessReport) -> tuple[str, ...]:
    source, every = _places(report, Scope.SOURCE_NODES), _places(report, Scope.NODES)
    return (*source, *(node for node in every if node not in source))


def _places(report: ReadinessReport, scope: Scope) -> tuple[str, ...]:
    """Return the places that all checks of a scope have; a finding may add others to one check."""
    found = [result.places for result in report.checks if check_of(result.name).scope is scope]
    return tuple(place for place in found[0] if all(place in places for places in found))
