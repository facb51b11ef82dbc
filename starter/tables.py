"""What an operator sees of a run: pure functions from values to something rich can print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from starter.sight import Left, Pending, Sight
from workflows.verbs import NEED_REASON
from workflows.progress import OrderProgress, Progress, Said, StageProgress, Step
from workflows.reports import Finding, SessionsLeft, Severity

SYMBOLS = {
    Step.PENDING: ("·", "dim"),
    Step.WAITING: ("⏸", "bold yellow"),
    Step.RUNNING: ("▶", "bold cyan"),
    Step.DONE: ("✔", "green"),
    Step.FAULT: ("✖", "bold red"),
    Step.LEFT_OUT: ("-", "dim"),
}

MOST_ORDERS = 16
"""A stage of 2 x 40 nodes must not push the rest off the screen."""

URGENCY = (Step.FAULT, Step.RUNNING, Step.WAITING, Step.PENDING, Step.DONE, Step.LEFT_OUT)
"""What is shown first where not everything fits."""

MOST_SAID = 5

MOST_ACCOUNTS = 3
"""Enough to know whom to call."""


def run_view(sight: Sight, now: datetime) -> RenderableType:
    """Show a run: where it is, what it waits for, and which words answer that."""
    progress = sight.progress
    trouble = [Text(clean(sight.trouble), style="bold red")] if sight.trouble else []
    if progress is None:
        return Group(*trouble or [Text("the run has no plan yet")])
    # On a small screen the end is cut off: what someone has to do comes before what goes on.
    return Group(
        _header(progress, now),
        *trouble,
        stage_table(progress.stages),
        *_waiting(progress),
        *_at_work(progress, sight.pending, now),
        *findings_view(progress.findings),
        *said_view(progress.said[-MOST_SAID:]),
    )


def stage_table(stages: Iterable[StageProgress]) -> Table:
    """Show every stage in one line each."""
    table = Table("", "stage", box=None, pad_edge=False, header_style="dim")
    table.add_column("gate")
    table.add_column("seconds", justify="right")
    table.add_column("orders", justify="right")
    table.add_column("")
    for stage in stages:
        done = sum(order.step is Step.DONE for order in stage.orders)
        table.add_row(
            _symbol(stage.step),
            f"{stage.number} {stage.stage}",
            "gate" if stage.gated else "",
            "" if stage.seconds is None else f"{stage.seconds:.1f}",
            f"{done}/{len(stage.orders)}",
            Text(stage.title, style="dim"),
        )
    return table


def answers(progress: Progress) -> tuple[str, ...]:
    """Return the exact commands that answer what the run waits for."""
    waiting = progress.waiting
    if waiting is None:
        return ()
    return tuple(
        f"switchover {verb.replace('_', '-')} {progress.estate} --stage {waiting.stage}"
        + (' --reason "..."' if verb in NEED_REASON else "")
        for verb in waiting.answers
    )


def findings_view(findings: Sequence[Finding]) -> list[RenderableType]:
    """Show what was found, the worst first."""
    ordered = sorted(findings, key=lambda finding: finding.severity is not Severity.BLOCKS)
    return [
        Text(f"{finding.severity}: {clean(str(finding))}", style=_colour(finding))
        for finding in ordered
    ]


def said_view(said: Iterable[Said]) -> list[RenderableType]:
    """Show what people told the run, and when."""
    return [Text(f"{clock(one.at)} {said_line(one)}", style="dim") for one in said]


def said_line(said: Said) -> str:
    """Say who told the run what, and what became of it."""
    words = [said.verb, said.stage or "", said.node or ""]
    told = " ".join(word for word in words if word)
    by = f" by {clean(said.by)}" if said.by else ""
    why = f" ({clean(said.reason)})" if said.reason else ""
    return f"{told}{by}{why}: {clean(said.effect)}"


def left_words(left: Left, now: datetime) -> str:
    """Say what is still there, and how fresh that is."""
    if isinstance(left, SessionsLeft):
        there = [f"{count} {protocol}" for protocol, count in left.connections.items() if count]
        more = ["..."] if len(left.accounts) > MOST_ACCOUNTS else []
        who = ", ".join([*left.accounts[:MOST_ACCOUNTS], *more])
    else:
        there = [f"{left.events} events"] if left.events else []
        who = f"{left.active} active" if left.active else ""
    counted = "; ".join(filter(None, (", ".join(there), who)))
    nothing = "nothing left" if left.readings_at_zero else "nothing seen yet"
    quiet = f"quiet for {left.readings_at_zero} readings" if left.readings_at_zero else ""
    age = f"{max(0, int((now - left.at).total_seconds()))} s ago"
    return clean(", ".join(filter(None, (counted or nothing, quiet, left.trouble, age))))


def clock(at: datetime) -> str:
    """Return a time as the clock on the operator's wall shows it."""
    return f"{at.astimezone():%H:%M:%S}"


def clean(text: str) -> str:
    """Show what people and machines wrote without what could move a terminal's cursor."""
    return "".join(character if character.isprintable() else " " for character in text)


def _header(progress: Progress, now: datetime) -> Text:
    elapsed = timedelta(seconds=int((now - progress.started).total_seconds()))
    state = progress.outcome or progress.state.value
    since = "" if progress.outcome else f"   {elapsed}"
    return Text.assemble(
        (f"{progress.estate}: {progress.source} → {progress.target}", "bold"),
        (f"   {state}", _state_colour(progress)),
        since,
        (f"   {clean(progress.reason)}", "dim") if progress.reason else "",
    )


def _at_work(progress: Progress, pending: Sequence[Pending], now: datetime) -> list[RenderableType]:
    """Show the current stage's orders, those that need someone first."""
    if progress.outcome is not None:
        return []
    [stage] = [stage for stage in progress.stages if stage.stage is progress.stage]
    if stage.step not in (Step.RUNNING, Step.WAITING, Step.FAULT):
        return []
    alive = {activity.activity_id: activity for activity in pending}
    orders = sorted(stage.orders, key=lambda order: URGENCY.index(order.step))
    table = Table(box=None, pad_edge=False, show_header=False)
    for order in orders[:MOST_ORDERS]:
        note = _note(order, alive.get(order.activity_id), now)
        table.add_row("  ", _symbol(order.step), order.words, Text(note, style="yellow"))
    rest = orders[MOST_ORDERS:]
    if rest:
        steps = {step: sum(order.step is step for order in rest) for step in URGENCY}
        counts = ", ".join(f"{count} {step}" for step, count in steps.items() if count)
        table.add_row("  ", "", Text(f"and {counts}", style="dim"), "")
    return [Text(), table]


def _note(order: OrderProgress, alive: Pending | None, now: datetime) -> str:
    if order.step is Step.FAULT and order.fault is not None:
        return clean(f"{order.fault.kind}: {order.fault.words}")
    if order.step is Step.RUNNING and alive is not None:
        left = left_words(alive.left, now) if alive.left is not None else ""
        again = f"attempt {alive.attempt}, since {clean(alive.trouble)}" if alive.trouble else ""
        return "; ".join(part for part in (left, again) if part)
    return ""


def _waiting(progress: Progress) -> list[RenderableType]:
    if progress.waiting is None:
        return []
    waiting = progress.waiting
    approved = f" (approved by {', '.join(waiting.approved_by)})" if waiting.approved_by else ""
    lines = [
        Text(),
        Text(f"waits since {clock(waiting.since)}: {clean(waiting.words + approved)}", "yellow"),
        Text("answer with one of"),
        *(Text(f"  {answer}", "bold") for answer in answers(progress)),
    ]
    return list(lines)


def _symbol(step: Step) -> Text:
    sign, style = SYMBOLS[step]
    return Text(sign, style=style)


def _colour(finding: Finding) -> str:
    return "red" if finding.severity is Severity.BLOCKS else "yellow"


def _state_colour(progress: Progress) -> str:
    if progress.outcome is not None:
        return "bold green" if progress.outcome == "completed" else "bold yellow"
    return "bold yellow" if progress.waiting is not None else "bold cyan"
