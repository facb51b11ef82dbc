"""Tables of a run that several views share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby

from rich.console import JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from starter.client.snapshot import Pending
from starter.views.text import clock, counts, limited, message_line, remaining_line
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
from workflows.model.text import printable

SYMBOLS = {
    Status.PENDING: ("·", "dim"),
    Status.WAITING: ("⏸", "bold yellow"),
    Status.RUNNING: ("▶", "bold cyan"),
    Status.DONE: ("✔", "green"),
    Status.FAILED: ("✖", "bold red"),
    Status.SKIPPED: ("-", "dim"),
}

MOST_URGENT_FIRST = (
    Status.FAILED,
    Status.RUNNING,
    Status.WAITING,
    Status.PENDING,
    Status.SKIPPED,
    Status.DONE,
)
"""The sequence in which actions are shown if not all of them fit."""

SUMMARIZED = {Status.DONE: "done", Status.PENDING: "pending", Status.SKIPPED: "skipped"}
"""Consecutive stages with one of these are shown in one line on a small screen."""

HEADS: dict[str, JustifyMethod] = {
    "stage": "left",
    "gate": "left",
    "seconds": "right",
    "actions": "right",
}

MAX_SHOWN_NAMES = 8
"""Of remaining sessions or events; the outcome names all of them."""


def stage_table(stages: Iterable[StageProgress]) -> Table:
    """Show every stage in one line each."""
    return _stages([stage] for stage in stages)


def short_stage_table(stages: Iterable[StageProgress]) -> Table:
    """Show active stages in one line each, and finished and pending ones in one line together."""
    groups: list[list[StageProgress]] = []
    for status, same in groupby(stages, key=lambda stage: stage.status):
        some = [*same]
        groups += [some] if status in SUMMARIZED else [[stage] for stage in some]
    return _stages(groups)


def action_table(
    stages: Sequence[StageProgress], pending: Sequence[Pending], now: datetime, most: int
) -> list[RenderableType]:
    """Show the actions of the active stages, the most urgent first."""
    attempts = {activity.activity_id: activity for activity in pending}
    every = [action for stage in stages for action in stage.actions]
    actions = sorted(every, key=lambda action: MOST_URGENT_FIRST.index(action.status))
    if not actions:
        return []
    table = Table(box=None, pad_edge=False, show_header=False)
    for action in actions[:most]:
        note = _note(action, attempts.get(action.activity_id), now)
        table.add_row("  ", _symbol(action.status), action.message, Text(note, style="yellow"))
    rest = actions[most:]
    if rest:
        counted = Counter(action.status for action in rest)
        counts = ", ".join(f"{counted[s]} {s}" for s in MOST_URGENT_FIRST if counted[s])
        table.add_row("  ", "", Text(f"and {counts}", style="dim"), "")
    return [table]


def node_table(nodes: Sequence[NodeProgress], most: int) -> list[RenderableType]:
    """Show the progress of every node, the most urgent first."""
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


def remaining_table(remaining: Sequence[Remaining]) -> list[RenderableType]:
    """Show the sessions or events that a decision concerns, by node."""
    if not remaining:
        return []
    table = Table("remaining", box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("")
    for one in remaining:
        names = one.accounts if isinstance(one, RemainingSessions) else one.queued
        details = limited(names, MAX_SHOWN_NAMES) or one.error or ""
        table.add_row(f"  {one.node}", counts(one), Text(printable(details)))
    return [table]


def findings_view(findings: Sequence[Finding]) -> list[RenderableType]:
    """Show findings, those that block first."""
    ordered = sorted(findings, key=lambda finding: finding.severity is not Severity.BLOCKS)
    return [
        Text(f"{finding.severity}: {printable(str(finding))}", style=_colour(finding))
        for finding in ordered
    ]


def exceptions_view(exceptions: Iterable[str]) -> list[RenderableType]:
    """Show which guarantees an operator waived."""
    return [Text(f"exception: {printable(exception)}", style="yellow") for exception in exceptions]


def messages_view(messages: Iterable[OperatorMessage]) -> list[RenderableType]:
    """Show what operators decided, and when."""
    return [Text(f"{clock(one.at)} {message_line(one)}", style="dim") for one in messages]


def _stages(groups: Iterable[Sequence[StageProgress]]) -> Table:
    table = Table("", box=None, pad_edge=False, header_style="dim")
    # On a narrow screen only the titles are cut.
    for name, justify in HEADS.items():
        table.add_column(name, justify=justify, no_wrap=True)
    table.add_column("")
    for group in groups:
        first, last, alone = group[0], group[-1], len(group) == 1
        seconds = [stage.seconds for stage in group if stage.seconds is not None]
        summary = f"{first.number} to {last.number} {SUMMARIZED.get(first.status)}"
        table.add_row(
            _symbol(first.status),
            f"{first.number} {first.stage}" if alone else summary,
            ("gate" if alone else "gates") if any(stage.gated for stage in group) else "",
            f"{sum(seconds):.1f}" if seconds else "",
            _counted(action for stage in group for action in stage.actions),
            Text(first.title if alone else "", style="dim", no_wrap=True, overflow="ellipsis"),
        )
    return table


def _counted(actions: Iterable[ActionProgress]) -> str:
    done = [action.status is Status.DONE for action in actions]
    return f"{sum(done)}/{len(done)}"


def _note(action: ActionProgress, attempt: Pending | None, now: datetime) -> str:
    if action.status is Status.SKIPPED:
        return "skipped"
    if action.status is Status.FAILED and action.failure is not None:
        return printable(f"{action.failure.kind}: {action.failure.message}")
    if action.status is Status.RUNNING and attempt is not None:
        line = remaining_line(attempt.remaining, now) if attempt.remaining is not None else ""
        error = printable(attempt.error)
        retry = f"attempt {attempt.attempt}; the last one failed: {error}" if error else ""
        return "; ".join(filter(None, (line, retry)))
    return ""


def _urgency(node: NodeProgress) -> int:
    return min(MOST_URGENT_FIRST.index(one.status) for one in node.stages if one.actions)


def _cell(link: NodeStage) -> Text:
    if not link.actions:
        return Text()
    sign, style = SYMBOLS[link.status]
    return Text(f"{sign} {link.done}/{link.actions}", style=style)


def _symbol(status: Status) -> Text:
    sign, style = SYMBOLS[status]
    return Text(sign, style=style)


def _colour(finding: Finding) -> str:
    return "red" if finding.severity is Severity.BLOCKS else "yellow"
