"""What the Web UI shows of a look at an estate's readiness: its verdict as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from workflows.model.findings import Finding
from workflows.model.stages import StageName
from workflows.planning.plan import Plan
from workflows.preflight.groups import areas
from workflows.preflight.report import CheckResult, CheckStatus, Mark, ReadinessReport
from workflows.views.progress_markdown import plain

SIGNS = {
    CheckStatus.PASSED: "✔",
    CheckStatus.FAILED: "✖",
    CheckStatus.UNKNOWN: "?",
    CheckStatus.ACCEPTED: "!",
}
NOWHERE = "·"
"""The sign of a check that has no place to look at on this estate."""

MOST_PLACES = 6


def waiting_details(plan: Plan) -> str:
    """Say what is being looked at, before anything is known."""
    actions = plan.stage(StageName.CHECK_PREREQUISITES).actions
    return (
        f"**{_title(plan.estate.name, plan.source, plan.target)}: {len(actions)} looks under way**"
    )


def verdict_details(verdict: ReadinessReport) -> str:
    """Return the verdict: the findings first, then every check."""
    sections = (
        [f"**{_title(verdict.estate, verdict.source, verdict.target)}: {summary(verdict)}**"],
        _changed(verdict),
        _findings(verdict.findings),
        *_checks(verdict),
    )
    return "\n\n".join("\n".join(section) for section in sections if section)


def summary(verdict: ReadinessReport) -> str:
    """Say in one line what came out."""
    score = verdict.score
    ready = "ready" if verdict.ready else "not ready"
    unknown = f", {score.unknown} unknown" if score.unknown else ""
    return f"{ready}, {score.hold} of {score.checks} checks hold{unknown}"


def sign(one: CheckResult) -> str:
    """Return the sign that stands for a check in all."""
    if not one.places:
        return NOWHERE
    accepted = CheckStatus.ACCEPTED in one.places.values()
    return SIGNS[
        CheckStatus.ACCEPTED if accepted and one.worst is CheckStatus.PASSED else one.worst
    ]


def changes(verdict: ReadinessReport) -> Iterator[str]:
    """Say what is otherwise than last time, line by line."""
    changed = verdict.changed
    if changed.since is None:
        yield "this is the first look at this switchover that Temporal remembers"
        return
    since = f"since {changed.since:%Y-%m-%d %H:%M:%S} UTC"
    if not (changed.new or changed.gone):
        yield f"nothing has changed {since}"
    if changed.new:
        yield f"new {since}: {_listed(changed.new)}"
    if changed.gone:
        yield f"gone {since}: {_listed(changed.gone)}"


def _title(estate: str, source: str, target: str) -> str:
    return f"{estate}: {source} → {target}"


def _listed(marks: Iterable[Mark]) -> str:
    return ", ".join(f"{mark.name} on {mark.place}" for mark in marks)


def _changed(verdict: ReadinessReport) -> list[str]:
    return [f"- {plain(line)}" for line in changes(verdict)]


def _findings(findings: Iterable[Finding]) -> list[str]:
    rows = [
        f"| {one.severity} | {plain(one.place)} | `{one.name}` | {plain(one.seen)} | "
        f"{plain(one.expected)} | {plain(one.advice)} |"
        for one in findings
    ]
    head = ["| | place | check | seen | expected | what to do |", "|---|---|---|---|---|---|"]
    return [*head, *rows] if rows else []


def _checks(verdict: ReadinessReport) -> Iterator[list[str]]:
    rows = {one.name: one for one in verdict.checks}
    for heading, checks in areas():
        some = [_row(rows[check.name]) for check in checks if check.name in rows]
        yield [f"**{heading}**", "", "| | check | where |", "|---|---|---|", *some]


def _row(one: CheckResult) -> str:
    bad = [f"{SIGNS[s]} {plain(p)}" for p, s in one.places.items() if s is not CheckStatus.PASSED]
    more = f" and {len(bad) - MOST_PLACES} more" if len(bad) > MOST_PLACES else ""
    where = ", ".join(bad[:MOST_PLACES]) + more if bad else _places(len(one.places))
    return f"| {sign(one)} | {plain(one.title)} | {where} |"


def _places(number: int) -> str:
    if not number:
        return "nowhere on this estate"
    return "1 place" if number == 1 else f"all {number} places"
