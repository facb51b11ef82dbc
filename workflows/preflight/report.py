"""The result of all checks, place by place: whether an estate is ready for a switchover."""

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from pydantic import ValidationError

from workflows.model.base import Value
from workflows.model.checks import CheckStatus, Scope
from workflows.model.findings import Finding, Severity
from workflows.model.observations import Reading
from workflows.planning.plan import Plan
from workflows.preflight.catalogue import CHECKS, check_of
from workflows.preflight.coverage import Coverage


class CheckResult(Value):
    """One check, and its result at each place where it is made."""

    name: str
    title: str
    severity: Severity
    """The estate's own, where its file sets one."""
    adjusted: str = ""
    """The estate file's reason for its own severity."""
    places: dict[str, CheckStatus] = {}
    reasons: dict[str, str] = {}
    """By place: why it is unknown or not available, where no finding says so."""

    @property
    def is_made(self) -> bool:
        """Whether it is made anywhere on this estate, or is shown only where it fails."""
        return bool(self.places) or check_of(self.name).scope is Scope.EVERYWHERE

    @property
    def worst(self) -> CheckStatus:
        """The worst result of all places."""
        there = set(self.places.values()) - {CheckStatus.ACCEPTED}
        return next((status for status in CheckStatus if status in there), CheckStatus.PASSED)


class Score(Value):
    """The number of checks, and of their results."""

    checks: int
    """Without those that are made nowhere on this estate."""
    passed: int
    """At every place, or accepted there."""
    unknown: int
    """Those that fail nowhere, and are unknown somewhere."""
    not_available: int = 0
    """Those that neither fail nor are unknown anywhere, and somewhere have nothing to check."""


class FindingKey(Value):
    """What identifies a finding from one report to the next."""

    name: str
    place: str


class ReadinessDiff(Value):
    """What changed since the last report of the same estate and direction."""

    since: datetime | None = None
    """The time of that report; None where there is none."""
    new: tuple[FindingKey, ...] = ()
    resolved: tuple[FindingKey, ...] = ()


class Direction(Value):
    """The switchover that a report is about."""

    estate: str
    source: str
    target: str


class ReadinessReport(Direction):
    """The result of a Readiness workflow."""

    ready: bool
    """Whether no finding blocks a switchover, apart from accepted ones."""
    score: Score
    checks: tuple[CheckResult, ...]
    findings: tuple[Finding, ...]
    more_findings: int = 0
    """How many are missing, because all of them would be too long to keep."""
    accepted: dict[str, str] = {}
    """Names of accepted findings, each with the operator's reason."""
    changed: ReadinessDiff = ReadinessDiff()
    at: datetime
    """When the checks were evaluated."""
    seconds: float
    plan_hash: str

    @property
    def direction(self) -> Direction:
        """The switchover that this report is about."""
        return Direction(estate=self.estate, source=self.source, target=self.target)


def results_of(
    plan: Plan, readings: Sequence[Reading], findings: Iterable[Finding], accepted: Collection[str]
) -> tuple[CheckResult, ...]:
    """Return every check's result, wherever it is made and wherever there is a finding."""
    coverage = Coverage(plan, readings)
    found: dict[str, list[str]] = {}
    for finding in findings:
        found.setdefault(finding.name, []).append(finding.place)
    results = []
    for check in CHECKS:
        if check.only not in (None, plan.procedure):
            continue
        accepts = check.may_be_accepted(plan.procedure) and check.name in accepted
        failed = CheckStatus.ACCEPTED if accepts else CheckStatus.FAILED
        places = {place: coverage.status(check, place) for place in coverage.places(check)}
        reasons = {place: why for place in places if (why := coverage.reason(check, place))}
        places |= dict.fromkeys(found.get(check.name, ()), failed)
        adjusted = plan.estate.checks.get(check.name)
        results.append(
            CheckResult(
                name=check.name,
                title=check.title,
                severity=adjusted.severity if adjusted else check.severity,
                adjusted=adjusted.reason if adjusted else "",
                places=places,
                reasons=reasons,
            )
        )
    return tuple(results)


def score_of(results: Iterable[CheckResult]) -> Score:
    """Count the results of the checks that are made."""
    made = [one.worst for one in results if one.is_made]
    return Score(
        checks=len(made),
        passed=made.count(CheckStatus.PASSED),
        unknown=made.count(CheckStatus.UNKNOWN),
        not_available=made.count(CheckStatus.NOT_AVAILABLE),
    )


def difference(findings: Iterable[Finding], last: ReadinessReport | None) -> ReadinessDiff:
    """Return which findings are new, and which were resolved."""
    if last is None:
        return ReadinessDiff()
    now, then = _keys(findings), _keys(last.findings)
    return ReadinessDiff(
        since=last.at,
        new=tuple(key for key in now if key not in then),
        resolved=tuple(key for key in then if key not in now),
    )


def parse_report(given: object) -> ReadinessReport | None:
    """Return a report that Temporal has kept; None where another version of the tool made it."""
    try:
        return ReadinessReport.model_validate_json(json.dumps(given))
    except (ValidationError, TypeError):
        return None


def _keys(findings: Iterable[Finding]) -> tuple[FindingKey, ...]:
    keys = (FindingKey(name=finding.name, place=finding.place) for finding in findings)
    return tuple(dict.fromkeys(keys))
