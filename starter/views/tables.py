"""Tables of a run that several views share."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby

from rich.table import Column, Table
from rich.text import Text

from starter.client.snapshot import Pending
from starter.views.text import clock, counts, message_line, remaining_line
from workflows.model.configuration import ConfigurationChange
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
from workflows.model.text import left_out, listed, printable
from workflows.views.progress_markdown import SIGNS

STYLES = {
    Status.FAILED: "bold red",
    Status.RUNNING: "bold cyan",
    Status.WAITING: "bold yellow",
    Status.PENDING: "dim",
    Status.SKIPPED: "dim",
    Status.DONE: "green",
}
MOST_URGENT_FIRST = tuple(STYLES)
"""The sequence in which actions are shown if not all of them fit."""

SUMMARIZED = {Status.DONE: "done", Status.PENDING: "pending", Status.SKIPPED: "skipped"}
"""Consecutive stages with one of these are shown in one line on a small screen."""

MAX_SHOWN_NAMES = 8
"""Of remaining sessions or events; the outcome names all of them."""


def table(*heads: Column | str) -> Table:
    """Return an empty table without lines."""
    return Table(*heads, box=None, pad_edge=False, header_style="dim", show_header=any(heads))


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
    stages: Iterable[StageProgress], pending: Iterable[Pending], now: datetime, most: int
) -> Iterator[Table]:
    """Show the actions of the active stages, the most urgent first."""
    attempts = {activity.activity_id: activity for activity in pending}
    every = [action for stage in stages for action in stage.actions]
    actions = sorted(every, key=lambda action: MOST_URGENT_FIRST.index(action.status))
    if not actions:
        return
    shown = table("", "", "", "")
    for action in actions[:most]:
        note = _note(action, attempts.get(action.activity_id), now)
        shown.add_row("  ", _sign(action.status), action.message, Text(note, style="yellow"))
    if rest := Counter(action.status for action in actions[most:]):
        counted = ", ".join(f"{rest[s]} {s}" for s in MOST_URGENT_FIRST if rest[s])
        shown.add_row("  ", "", Text(f"and {counted}", style="dim"))
    yield shown


def node_table(nodes: Sequence[NodeProgress], most: int) -> Iterator[Table]:
    """Show the progress of every node, the most urgent first."""
    if not nodes:
        return
    shown = table("node", *(f"{one.stage.number} {one.stage}" for one in nodes[0].stages))
    rest = len(nodes) - most
    for node in nodes if rest <= 0 else sorted(nodes, key=_urgency)[:most]:
        shown.add_row(node.node, *map(_cell, node.stages))
    if rest > 0:
        shown.add_row(Text(f"and {rest} more", style="dim"))
    yield shown


def remaining_table(remaining: Sequence[Remaining]) -> Iterator[Table]:
    """Show the sessions or events that a decision concerns, by node."""
    if not remaining:
        return
    shown = table("remaining", "", "")
    for one in remaining:
        names = one.accounts if isinstance(one, RemainingSessions) else one.queued
        details = listed(names, MAX_SHOWN_NAMES) or one.error or ""
        shown.add_row(f"  {one.node}", counts(one), Text(printable(details)))
    yield shown


def findings_view(findings: Iterable[Finding], more: int = 0) -> Iterator[Text]:
    """Show findings, those that block first, and how many more there were."""
    for severity, style in ((Severity.BLOCKS, "red"), (Severity.WARNS, "yellow")):
        for finding in findings:
            if finding.severity is severity:
                yield Text(f"{severity}: {printable(str(finding))}", style=style)
    yield from map(Text, left_out(more))


def changes_view(changes: Iterable[ConfigurationChange]) -> Iterator[Text]:
    """Show what was changed while replication was suspended."""
    return (Text(change_line(one), style="yellow") for one in changes)


def change_line(change: ConfigurationChange) -> str:
    """Return what was changed, where, and by whom."""
    return f"configuration change: {printable(str(change))}"


def exceptions_view(exceptions: Iterable[str]) -> Iterator[Text]:
    """Show which guarantees an operator waived."""
    return (Text(f"exception: {printable(one)}", style="yellow") for one in exceptions)


def messages_view(messages: Iterable[OperatorMessage], ignored: str) -> Iterator[Text]:
    """Show what operators decided, and when, and how many messages are only counted."""
    lines = [f"{clock(one.at)} {message_line(one)}" for one in messages]
    return (Text(line, style="dim") for line in filter(None, (*lines, ignored)))


def _stages(groups: Iterable[Sequence[StageProgress]]) -> Table:
    # On a narrow screen only the titles are cut.
    left = (Column(name, no_wrap=True) for name in ("stage", "gate"))
    right = (Column(name, no_wrap=True, justify="right") for name in ("seconds", "actions"))
    shown = table("", *left, *right, "")
    for group in groups:
        first, last, alone = group[0], group[-1], len(group) == 1
        seconds = [stage.seconds for stage in group if stage.seconds is not None]
        done = [action.status is Status.DONE for stage in group for action in stage.actions]
        summary = f"{first.number} to {last.number} {SUMMARIZED.get(first.status)}"
        shown.add_row(
            _sign(first.status),
            f"{first.number} {first.stage}" if alone else summary,
            ("gate" if alone else "gates") if any(stage.gated for stage in group) else "",
            f"{sum(seconds):.1f}" if seconds else "",
            f"{sum(done)}/{len(done)}",
            Text(first.title if alone else "", style="dim", no_wrap=True, overflow="ellipsis"),
        )
    return shown


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


def _cell(one: NodeStage) -> Text:
    return _sign(one.status, f" {one.done}/{one.actions}") if one.actions else Text()


def _sign(status: Status, count: str = "") -> Text:
    return Text(f"{SIGNS[status]}{count}", style=STYLES[status])
