"""What an operator keeps of a switchover: how it ended, and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from starter.client.sanitize import clean
from starter.views.tables import exceptions_view, findings_view, said_view
from starter.views.text import clock
from workflows.model.outcome import Outcome, StageOutcome

COLOURS = {"completed": "green", "aborted": "red"}


def outcome_view(outcome: Outcome) -> RenderableType:
    """Show how a switchover ended, with the evidence."""
    parts: list[RenderableType] = [
        Text.assemble(
            (f"{outcome.estate}: {outcome.source} → {outcome.target}", "bold"),
            (f"   {outcome.outcome}", COLOURS.get(outcome.outcome, "yellow")),
            f"   {outcome.started.astimezone():%Y-%m-%d %H:%M:%S} to {clock(outcome.ended)}"
            f", {outcome.seconds:.1f} s, of which {outcome.drain_seconds:.1f} s draining",
        ),
        Text(clean(outcome.message)),
        _times("stage", outcome.stages),
    ]
    if outcome.rolled_back_stages:
        parts.append(_times("taken back", outcome.rolled_back_stages))
    parts += _faults(outcome)
    parts += exceptions_view(outcome.exceptions)
    parts += findings_view(outcome.findings)
    parts += said_view(outcome.decisions)
    parts.append(Text(f"plan hash {outcome.plan_hash}"))
    if outcome.record is not None:
        parts.append(Text(f"kept on the worker as {outcome.record}"))
    return Group(*parts)


def _faults(outcome: Outcome) -> Iterator[RenderableType]:
    """Show every fault on the way once, and how often it was met."""
    met = Counter(
        f"✖ {fault.action}: {fault.kind}: {clean(fault.message)}"
        for stage in (*outcome.stages, *outcome.rolled_back_stages)
        for fault in stage.failures
    )
    for words, times in met.items():
        yield Text(f"{words} ({times} times)" if times > 1 else words, style="red")


def reports_view(outcome: Outcome) -> RenderableType:
    """Show what every order changed or saw, forward and back."""
    table = Table("at", "stage", "", "", box=None, pad_edge=False, header_style="dim")
    for which, stages in (("", outcome.stages), ("back: ", outcome.rolled_back_stages)):
        for stage in stages:
            for report in stage.reports:
                words = Text(clean(report.message))
                table.add_row(clock(report.at), f"{which}{stage.stage}", report.outcome, words)
    return table


def _times(title: str, stages: Iterable[StageOutcome]) -> Table:
    table = Table(title, box=None, pad_edge=False, header_style="dim")
    table.add_column("seconds", justify="right")
    table.add_column("orders")
    for stage in stages:
        outcomes = Counter(report.outcome for report in stage.reports)
        faults = f"faults on the way: {len(stage.failures)}" if stage.failures else ""
        counts = [f"{count} {word}" for word, count in sorted(outcomes.items())]
        table.add_row(
            f"{stage.stage.number} {stage.stage}",
            f"{stage.seconds:.1f}",
            ", ".join(filter(None, [*counts, faults])) or stage.status.value.replace("_", " "),
        )
    return table
