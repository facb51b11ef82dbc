"""The parts of what an operator sees of a run: pure functions from values to rich's tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby

from rich.console import JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from starter.client.sanitize import clean
from starter.client.snapshot import Pending
from starter.views.text import clock, left_words, said_line
from workflows.model.findings import Finding, Severity
from workflows.model.progress import (
    ActionProgress,
    NodeProgress,
    NodeStage,
    OperatorMessage,
    StageProgress,
    Status,
)
from workflows.model.results import Remaining, RemainingSessions

SYMBOLS = {
    Status.PENDING: ("·", "dim"),
    Status.WAITING: ("⏸", "bold yellow"),
    Status.RUNNING: ("▶", "bold cyan"),
    Status.DONE: ("✔", "green"),
    Status.FAILED: ("✖", "bold red"),
    Status.SKIPPED: ("-", "dim"),
}

URGENCY = (
    Status.FAILED,
    Status.RUNNING,
    Status.WAITING,
    Status.PENDING,
    Status.SKIPPED,
    Status.DONE,
)
"""What is shown first where not everything fits."""

SUMMED_UP = {Status.DONE: "done", Status.PENDING: "to come", Status.SKIPPED: "left out"}
"""What a small screen shows in one line for all stages of a kind that follow one another."""

HEADS: dict[str, JustifyMethod] = {
    "stage": "left",
    "gate": "left",
    "seconds": "right",
    "actions": "right",
}

MOST_LEFT = 8
"""More people than that nobody calls one by one; the outcome names them all."""


def stage_table(stages: Iterable[StageProgress]) -> Table:
    """Show every stage in one line each."""
    table = _stages()
    for stage in stages:
        _add(table, stage)
    return table


def short_stage_table(stages: Iterable[StageProgress]) -> Table:
    """Show what goes on in one line each, and what is over or to come in as few as possible."""
    table = _stages()
    for step, group in groupby(stages, key=lambda stage: stage.status):
        some = list(group)
        if len(some) == 1 or step not in SUMMED_UP:
            for stage in some:
                _add(table, stage)
            continue
        seconds = [stage.seconds for stage in some if stage.seconds is not None]
        table.add_row(
            _symbol(step),
            f"{some[0].number} to {some[-1].number} {SUMMED_UP[step]}",
            "gates" if any(stage.gated for stage in some) and step is Status.PENDING else "",
            f"{sum(seconds):.1f}" if seconds else "",
            _counted(action for stage in some for action in stage.actions),
            "",
        )
    return table


def order_table(
    stages: Sequence[StageProgress], pending: Sequence[Pending], now: datetime, most: int
) -> list[RenderableType]:
    """Show the orders of the stages under way, those that need someone first."""
    alive = {activity.activity_id: activity for activity in pending}
    every = [action for stage in stages for action in stage.actions]
    actions = sorted(every, key=lambda action: URGENCY.index(action.status))
    if not actions:
        return []
    table = Table(box=None, pad_edge=False, show_header=False)
    for action in actions[:most]:
        note = _note(action, alive.get(action.activity_id), now)
        table.add_row("  ", _symbol(action.status), action.message, Text(note, style="yellow"))
    rest = actions[most:]
    if rest:
        steps = {step: sum(action.status is step for action in rest) for step in URGENCY}
        counts = ", ".join(f"{count} {_word(step)}" for step, count in steps.items() if count)
        table.add_row("  ", "", Text(f"and {counts}", style="dim"), "")
    return [table]


def node_table(nodes: Sequence[NodeProgress], most: int) -> list[RenderableType]:
    """Show how far every node is, those that need an answer first."""
    if not nodes:
        return []
    table = Table("node", box=None, pad_edge=False, header_style="dim")
    for one in nodes[0].stages:
        table.add_column(f"{one.stage.number} {one.stage}")
    shown = sorted(nodes, key=_urgency)[:most] if len(nodes) > most else nodes
    for node in shown:
        table.add_row(node.node, *map(_cell, node.stages))
    if len(nodes) > most:
        table.add_row(Text(f"and {len(nodes) - most} more", style="dim"))
    return [table]


def left_table(left: Sequence[Remaining]) -> list[RenderableType]:
    """Show by node, protocol and account, or by event, whom and what a decision concerns."""
    if not left:
        return []
    table = Table("still there", box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("")
    for one in left:
        if isinstance(one, RemainingSessions):
            counts = ", ".join(f"{n} {protocol}" for protocol, n in one.connections.items() if n)
            who = one.accounts
        else:
            active = f"{one.active} active" if one.active else ""
            counts = ", ".join(filter(None, (f"{one.events or 'no'} events", active)))
            who = one.queued
        names = [
            *who[:MOST_LEFT],
            *([f"and {len(who) - MOST_LEFT} more"] if who[MOST_LEFT:] else []),
        ]
        words = ", ".join(names) or one.error or ""
        table.add_row(f"  {one.node}", counts, Text(clean(words)))
    return [table]


def findings_view(findings: Sequence[Finding]) -> list[RenderableType]:
    """Show what was found, the worst first."""
    ordered = sorted(findings, key=lambda finding: finding.severity is not Severity.BLOCKS)
    return [
        Text(f"{finding.severity}: {clean(str(finding))}", style=_colour(finding))
        for finding in ordered
    ]


def exceptions_view(exceptions: Iterable[str]) -> list[RenderableType]:
    """Show what weakened the promise, and who said so."""
    return [Text(f"exception: {clean(words)}", style="yellow") for words in exceptions]


def said_view(said: Iterable[OperatorMessage]) -> list[RenderableType]:
    """Show what people told the run, and when."""
    return [Text(f"{clock(one.at)} {said_line(one)}", style="dim") for one in said]


def _stages() -> Table:
    table = Table("", box=None, pad_edge=False, header_style="dim")
    # Only the titles give way on a narrow screen.
    for name, justify in HEADS.items():
        table.add_column(name, justify=justify, no_wrap=True)
    table.add_column("")
    return table


def _add(table: Table, stage: StageProgress) -> None:
    table.add_row(
        _symbol(stage.status),
        f"{stage.number} {stage.stage}",
        "gate" if stage.gated else "",
        "" if stage.seconds is None else f"{stage.seconds:.1f}",
        _counted(stage.actions),
        Text(stage.title, style="dim", no_wrap=True, overflow="ellipsis"),
    )


def _counted(actions: Iterable[ActionProgress]) -> str:
    done = [action.status is Status.DONE for action in actions]
    return f"{sum(done)}/{len(done)}"


def _note(action: ActionProgress, alive: Pending | None, now: datetime) -> str:
    if action.status is Status.SKIPPED:
        return "left out"
    if action.status is Status.FAILED and action.failure is not None:
        return clean(f"{action.failure.kind}: {action.failure.message}")
    if action.status is Status.RUNNING and alive is not None:
        left = left_words(alive.remaining, now) if alive.remaining is not None else ""
        again = f"attempt {alive.attempt}, since {clean(alive.error)}" if alive.error else ""
        return "; ".join(part for part in (left, again) if part)
    return ""


def _urgency(node: NodeProgress) -> int:
    return min(URGENCY.index(one.status) for one in node.stages if one.actions)


def _cell(link: NodeStage) -> Text:
    if not link.actions:
        return Text()
    sign, style = SYMBOLS[link.status]
    return Text(f"{sign} {link.done}/{link.actions}", style=style)


def _word(step: Status) -> str:
    return step.value.replace("_", " ")


def _symbol(step: Status) -> Text:
    sign, style = SYMBOLS[step]
    return Text(sign, style=style)


def _colour(finding: Finding) -> str:
    return "red" if finding.severity is Severity.BLOCKS else "yellow"
