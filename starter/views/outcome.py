"""Show the outcome of a switchover, and every action's report."""

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from starter.views.tables import changes_view, exceptions_view, findings_view, messages_view, table
from starter.views.text import clock
from workflows.model.outcome import Outcome, StageOutcome
from workflows.model.text import printable
from workflows.views.direction import direction
from workflows.views.suggested_answers import ignored

EFFECTS = {"changed": "changed", "unchanged": "unchanged", "seen": "read"}
"""What a report's outcome is called in a table."""

COLOURS = {"completed": "green", "aborted": "red"}


def outcome_view(outcome: Outcome) -> RenderableType:
    """Show how a run ended: times, failures, exceptions, changes, findings and decisions."""
    way = direction(outcome.procedure, outcome.source, outcome.target)
    parts: list[RenderableType] = [
        Text.assemble(
            (f"{outcome.estate}: {way}", "bold"),
            (f"   {outcome.outcome}", COLOURS.get(outcome.outcome, "yellow")),
            f"   {outcome.started.astimezone():%Y-%m-%d %H:%M:%S} to {clock(outcome.ended)}"
            f", {outcome.seconds:.1f} s, of which {outcome.drain_seconds:.1f} s draining",
        ),
        Text(printable(outcome.message)),
        _times("stage", outcome.stages),
    ]
    if outcome.rolled_back_stages:
        parts.append(_times("rollback", outcome.rolled_back_stages))
    parts += _failures(outcome)
    parts += exceptions_view(outcome.exceptions)
    parts += changes_view(outcome.configuration_changes)
    parts += findings_view(outcome.findings, outcome.more_findings)
    parts += messages_view(outcome.decisions, ignored(outcome))
    parts.append(Text(f"plan hash {outcome.plan_hash}"))
    if outcome.record is not None:
        parts.append(Text(f"saved on the worker as {outcome.record}"))
    return Group(*parts)


def _failures(outcome: Outcome) -> Iterator[RenderableType]:
    """Show every failure once, and how often it happened."""
    counted = Counter(
        f"✖ {failure.action}: {failure.kind}: {printable(failure.message)}"
        for stage in (*outcome.stages, *outcome.rolled_back_stages)
        for failure in stage.failures
    )
    for line, times in counted.items():
        yield Text(f"{line} ({times} times)" if times > 1 else line, style="red")


def reports_view(outcome: Outcome) -> RenderableType:
    """Show what every action changed or read, the rollback's included."""
    shown = table("at", "stage", "", "")
    for prefix, stages in (("", outcome.stages), ("rollback: ", outcome.rolled_back_stages)):
        for stage in stages:
            for report in stage.reports:
                message = Text(printable(report.message))
                shown.add_row(
                    clock(report.at), f"{prefix}{stage.stage}", EFFECTS[report.outcome], message
                )
    return shown


def _times(title: str, stages: Iterable[StageOutcome]) -> Table:
    shown = table(title, Column("seconds", justify="right"), "actions")
    for stage in stages:
        outcomes = Counter(EFFECTS[report.outcome] for report in stage.reports)
        failures = f"failures: {len(stage.failures)}" if stage.failures else ""
        counts = [f"{count} {word}" for word, count in sorted(outcomes.items())]
        shown.add_row(
            f"{stage.stage.number} {stage.stage}",
            f"{stage.seconds:.1f}",
            ", ".join(filter(None, [*counts, failures])) or stage.status,
        )
    return shown
