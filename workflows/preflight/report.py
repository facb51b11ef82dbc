"""Whether an estate is ready to be switched: what every check says, place by place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import ValidationError

from workflows.model.base import Value
from workflows.model.checks import CHECKS, Check, Scope, check_of
from workflows.model.findings import Finding, Severity
from workflows.model.observations import Reading
from workflows.planning.plan import Plan
from workflows.preflight.coverage import Coverage


class CheckStatus(StrEnum):
    """What a check came to at one place."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Nobody could look, so nobody knows."""
    ACCEPTED = "accepted"
    """It fails, and someone said with a reason that it may."""


class CheckResult(Value):
    """One check, and what it came to at each place that it looks at."""

    name: str
    title: str
    severity: Severity
    """The estate's own, where it says so."""
    adjusted: str = ""
    """Why the severity is another one than elsewhere."""
    places: dict[str, CheckStatus] = {}

    @property
    def is_made(self) -> bool:
        """Whether it looks anywhere on this estate, or is seen only where it fails."""
        return bool(self.places) or check_of(self.name).scope is Scope.EVERYWHERE

    @property
    def worst(self) -> CheckStatus:
        """What it came to in all."""
        there = set(self.places.values())
        return next(
            (s for s in (CheckStatus.FAILED, CheckStatus.UNKNOWN) if s in there), CheckStatus.PASSED
        )


class Score(Value):
    """How many checks there are, and what they came to."""

    checks: int
    """Less those that have no place to look at on this estate."""
    hold: int
    """At every place, or accepted there."""
    unknown: int
    """Those that fail nowhere, but could not be made everywhere."""


class Mark(Value):
    """What tells one finding from another."""

    name: str
    place: str


class Changed(Value):
    """What is otherwise than it was in the last run of this estate and direction."""

    since: datetime | None = None
    """When that was; None where there is none."""
    new: tuple[Mark, ...] = ()
    gone: tuple[Mark, ...] = ()


class Direction(Value):
    """Which switchover a verdict is about."""

    estate: str
    source: str
    target: str


class ReadinessReport(Direction):
    """The result of a Readiness workflow."""

    ready: bool
    """Whether nothing blocks a switchover that was not accepted."""
    score: Score
    checks: tuple[CheckResult, ...]
    findings: tuple[Finding, ...]
    accepted: dict[str, str] = {}
    """Findings that may stand, each with the reason that someone gave."""
    changed: Changed = Changed()
    at: datetime
    """When it was judged."""
    seconds: float
    plan_hash: str

    @property
    def direction(self) -> Direction:
        """Which switchover it is about."""
        return Direction(estate=self.estate, source=self.source, target=self.target)


def checked(
    plan: Plan,
    readings: Sequence[Reading],
    findings: Iterable[Finding],
    accepted: Mapping[str, str],
) -> tuple[CheckResult, ...]:
    """Say of every check what it came to, wherever it looks and wherever something was found."""
    coverage = Coverage(plan, readings)
    found: dict[str, list[str]] = {}
    for finding in findings:
        found.setdefault(finding.name, []).append(finding.place)
    rows = []
    for check in CHECKS:
        fails = found.get(check.name, [])
        stands = check.acceptable and check.name in accepted
        bad = CheckStatus.ACCEPTED if stands else CheckStatus.FAILED
        standings = {
            place: CheckStatus.UNKNOWN if coverage.is_unknown(check, place) else CheckStatus.PASSED
            for place in coverage.places(check)
        }
        rows.append(_row(check, plan, {**standings, **dict.fromkeys(fails, bad)}))
    return tuple(rows)


def scored(checks: Iterable[CheckResult]) -> Score:
    """Count what the checks came to."""
    made = [one.worst for one in checks if one.is_made]
    return Score(
        checks=len(made),
        hold=made.count(CheckStatus.PASSED),
        unknown=made.count(CheckStatus.UNKNOWN),
    )


def compared(findings: Iterable[Finding], last: ReadinessReport | None) -> Changed:
    """Say what was not found last time, and what was."""
    if last is None:
        return Changed()
    now, then = _marks(findings), _marks(last.findings)
    return Changed(
        since=last.at,
        new=tuple(mark for mark in now if mark not in then),
        gone=tuple(mark for mark in then if mark not in now),
    )


def remembered(given: object) -> ReadinessReport | None:
    """Return a verdict that Temporal has kept; None where it is of a version that differs."""
    try:
        return ReadinessReport.model_validate_json(json.dumps(given))
    except (ValidationError, TypeError):
        return None


def _row(check: Check, plan: Plan, places: dict[str, CheckStatus]) -> CheckResult:
    adjusted = plan.estate.checks.get(check.name)
    return CheckResult(
        name=check.name,
        title=check.title,
        severity=adjusted.severity if adjusted else check.severity,
        adjusted=adjusted.reason if adjusted else "",
        places=places,
    )


def _marks(findings: Iterable[Finding]) -> tuple[Mark, ...]:
    marks = (Mark(name=finding.name, place=finding.place) for finding in findings)
    return tuple(dict.fromkeys(marks))
