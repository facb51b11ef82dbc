"""A readiness report as Markdown, for the Web UI."""

from collections.abc import Iterable, Iterator

from workflows.model.checks import CheckStatus
from workflows.model.findings import Finding
from workflows.model.stages import StageName
from workflows.model.text import left_out, listed
from workflows.planning.plan import Plan
from workflows.preflight.catalogue import by_heading
from workflows.preflight.report import CheckResult, FindingKey, ReadinessReport
from workflows.views.progress_markdown import plain, table

SIGNS = {
    CheckStatus.PASSED: "✔",
    CheckStatus.FAILED: "✖",
    CheckStatus.UNKNOWN: "?",
    CheckStatus.ACCEPTED: "!",
    CheckStatus.NOT_AVAILABLE: "n/a",
}
NOWHERE = "·"
"""The sign of a check that is made nowhere on this estate."""

MAX_PLACES = 6


def waiting_details(plan: Plan) -> str:
    """Return what is shown while the readings are made."""
    actions = plan.stage(StageName.CHECK_PREREQUISITES).actions
    title = _title(plan.estate.name, plan.source, plan.target)
    return f"**{title}: {len(actions)} readings in progress**"


def report_details(report: ReadinessReport) -> str:
    """Return the report: the findings first, then every check."""
    title = _title(report.estate, report.source, report.target)
    sections = (
        [f"**{title}: {summary(report)}**"],
        [f"- {plain(line)}" for line in changes(report)],
        _findings(report.findings),
        [f"- {plain(line)}" for line in reasons(report)],
        *_checks(report),
    )
    return "\n\n".join("\n".join(section) for section in sections if section)


def summary(report: ReadinessReport) -> str:
    """Return the result in one line."""
    score = report.score
    ready = "ready" if report.ready else "not ready"
    unknown = f", {score.unknown} unknown" if score.unknown else ""
    absent = f", {score.not_available} not available here" if score.not_available else ""
    return f"{ready}, {score.passed} of {score.checks} checks passed{unknown}{absent}"


def sign(one: CheckResult) -> str:
    """Return the sign of a check for all its places."""
    if not one.places:
        return NOWHERE
    accepted = CheckStatus.ACCEPTED in one.places.values()
    return SIGNS[
        CheckStatus.ACCEPTED if accepted and one.worst is CheckStatus.PASSED else one.worst
    ]


def changes(report: ReadinessReport) -> Iterator[str]:
    """Yield what changed since the last report, line by line."""
    changed = report.changed
    if changed.since is None:
        yield "Temporal has no earlier report on this switchover"
        return
    since = f"since {changed.since:%Y-%m-%d %H:%M:%S} UTC"
    if not (changed.new or changed.resolved):
        yield f"no change {since}"
    if changed.new:
        yield f"new {since}: {_listed(changed.new)}"
    if changed.resolved:
        yield f"resolved {since}: {_listed(changed.resolved)}"


def reasons(report: ReadinessReport) -> Iterator[str]:
    """Yield what the findings do not say: how many are left out, and why a check has no result."""
    yield from left_out(report.more_findings)
    for one in report.checks:
        places: dict[tuple[CheckStatus, str], list[str]] = {}
        for place, reason in one.reasons.items():
            places.setdefault((one.places[place], reason), []).append(place)
        for (status, reason), where in places.items():
            yield f"{SIGNS[status]} {one.name} on {listed(where, MAX_PLACES)}: {reason}"


def _title(estate: str, source: str, target: str) -> str:
    return f"{estate}: {source} → {target}"


def _listed(keys: Iterable[FindingKey]) -> str:
    return ", ".join(f"{key.name} on {key.place}" for key in keys)


def _findings(findings: Iterable[Finding]) -> list[str]:
    rows = (
        (
            *(one.severity, plain(one.place), f"`{one.name}`"),
            *map(plain, (one.seen, one.expected, one.advice)),
        )
        for one in findings
    )
    return table(("", "place", "check", "seen", "expected", "what to do"), rows)


def _checks(report: ReadinessReport) -> Iterator[list[str]]:
    results = {one.name: one for one in report.checks}
    for heading, checks in by_heading():
        rows = [_row(results[check.name]) for check in checks if check.name in results]
        yield [f"**{heading}**", "", *table(("", "check", "where"), rows)]


def _row(one: CheckResult) -> tuple[str, str, str]:
    bad = [f"{SIGNS[s]} {plain(p)}" for p, s in one.places.items() if s is not CheckStatus.PASSED]
    where = listed(bad, MAX_PLACES) if bad else _places(len(one.places))
    return sign(one), plain(one.title), where


def _places(number: int) -> str:
    if not number:
        return "nowhere on this estate"
    return "1 place" if number == 1 else f"all {number} places"
