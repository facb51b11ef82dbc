"""What an operator keeps of a switchover: the plan before it, and the report after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from starter.tables import clean, clock, findings_view, said_view
from workflows.plan import Plan, Stage
from workflows.progress import Outcome, StageOutcome
from workflows.stages import POINT_OF_NO_RETURN


def plan_view(plan: Plan) -> RenderableType:
    """Show what would be done, stage by stage and wave by wave."""
    timing = plan.estate.timing
    parts: list[RenderableType] = [
        Text(f"{plan.estate.name}: {plan.source} → {plan.target}", style="bold")
    ]
    for stage in plan.stages:
        if stage.slug is POINT_OF_NO_RETURN:
            parts.append(Rule("point of no return: its first graceful stop", style="yellow"))
        parts += _stage(stage)
    parts += [
        Text(),
        Text(
            f"patience {timing.patience} (sessions and event queue), "
            f"grace {timing.grace} (protocol servers), "
            f"{timing.transaction_manager_grace} (Transaction Managers)"
        ),
        Text(f"plan hash {plan.hash}"),
    ]
    return Group(*parts)


def outcome_view(outcome: Outcome) -> RenderableType:
    """Show how a switchover ended, with the evidence."""
    parts: list[RenderableType] = [
        Text.assemble(
            (f"{outcome.estate}: {outcome.source} → {outcome.target}", "bold"),
            (f"   {outcome.outcome}", "green" if outcome.outcome == "completed" else "yellow"),
            f"   {outcome.started.astimezone():%Y-%m-%d %H:%M:%S} to {clock(outcome.ended)}"
            f", {outcome.seconds:.1f} s, of which {outcome.drain_seconds:.1f} s draining",
        ),
        Text(clean(outcome.words)),
        _times(outcome.stages),
    ]
    parts += [
        Text(f"✖ {fault.place}: {fault.kind}: {clean(fault.words)}", style="red")
        for stage in outcome.stages
        for fault in stage.faults
    ]
    parts += findings_view(outcome.findings)
    parts += said_view(outcome.decisions)
    parts.append(Text(f"plan hash {outcome.plan_hash}"))
    if outcome.record is not None:
        parts.append(Text(f"kept on the worker as {outcome.record}"))
    return Group(*parts)


def reports_view(outcome: Outcome) -> RenderableType:
    """Show what every order changed or saw."""
    table = Table("at", "stage", "", "", box=None, pad_edge=False, header_style="dim")
    for stage in outcome.stages:
        for report in stage.reports:
            table.add_row(clock(report.at), stage.stage, report.outcome, Text(clean(report.words)))
    return table


def _stage(stage: Stage) -> Iterable[RenderableType]:
    gate = ("   waits for an approval", "bold yellow") if stage.gated else ""
    yield Text.assemble(
        "\n", (f"{stage.slug.number} {stage.slug}", "bold"), (f"   {stage.title}", "dim"), gate
    )
    if not stage.waves:
        yield Text("        nothing, on this estate", style="dim")
    for number, wave in enumerate(stage.waves, start=1):
        then = "   then " if number > 1 else "        "
        for order in wave:
            yield Text(f"{then}{order}")
            then = "        "


def _times(stages: Iterable[StageOutcome]) -> Table:
    table = Table("stage", box=None, pad_edge=False, header_style="dim")
    table.add_column("seconds", justify="right")
    table.add_column("orders")
    for stage in stages:
        outcomes = Counter(report.outcome for report in stage.reports)
        faults = f"faults on the way: {len(stage.faults)}" if stage.faults else ""
        counts = [f"{count} {word}" for word, count in sorted(outcomes.items())]
        table.add_row(
            f"{stage.stage.number} {stage.stage}",
            f"{stage.seconds:.1f}",
            ", ".join(filter(None, [*counts, faults])) or stage.step.value,
        )
    return table
