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
from workflows.execution.execution import CHAIN
from workflows.model.checks import Severity
from workflows.model.progress import OrderProgress, Said, StageProgress, Step
from workflows.model.results import Finding, Left, SessionsLeft
from workflows.views.node_progress import Chain, Link

SYMBOLS = {
    Step.PENDING: ("·", "dim"),
    Step.WAITING: ("⏸", "bold yellow"),
    Step.RUNNING: ("▶", "bold cyan"),
    Step.DONE: ("✔", "green"),
    Step.FAULT: ("✖", "bold red"),
    Step.LEFT_OUT: ("-", "dim"),
}

URGENCY = (Step.FAULT, Step.RUNNING, Step.WAITING, Step.PENDING, Step.LEFT_OUT, Step.DONE)
"""What is shown first where not everything fits."""

SUMMED_UP = {Step.DONE: "done", Step.PENDING: "to come", Step.LEFT_OUT: "left out"}
"""What a small screen shows in one line for all stages of a kind that follow one another."""

HEADS: dict[str, JustifyMethod] = {
    "stage": "left",
    "gate": "left",
    "seconds": "right",
    "orders": "right",
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
    for step, group in groupby(stages, key=lambda stage: stage.step):
        some = list(group)
        if len(some) == 1 or step not in SUMMED_UP:
            for stage in some:
                _add(table, stage)
            continue
        seconds = [stage.seconds for stage in some if stage.seconds is not None]
        table.add_row(
            _symbol(step),
            f"{some[0].number} to {some[-1].number} {SUMMED_UP[step]}",
            "gates" if any(stage.gated for stage in some) and step is Step.PENDING else "",
            f"{sum(seconds):.1f}" if seconds else "",
            _counted(order for stage in some for order in stage.orders),
            "",
        )
    return table


def order_table(
    stages: Sequence[StageProgress], pending: Sequence[Pending], now: datetime, most: int
) -> list[RenderableType]:
    """Show the orders of the stages under way, those that need someone first."""
    alive = {activity.activity_id: activity for activity in pending}
    every = [order for stage in stages for order in stage.orders]
    orders = sorted(every, key=lambda order: URGENCY.index(order.step))
    if not orders:
        return []
    table = Table(box=None, pad_edge=False, show_header=False)
    for order in orders[:most]:
        note = _note(order, alive.get(order.activity_id), now)
        table.add_row("  ", _symbol(order.step), order.words, Text(note, style="yellow"))
    rest = orders[most:]
    if rest:
        steps = {step: sum(order.step is step for order in rest) for step in URGENCY}
        counts = ", ".join(f"{count} {_word(step)}" for step, count in steps.items() if count)
        table.add_row("  ", "", Text(f"and {counts}", style="dim"), "")
    return [table]


def chain_table(chains: Sequence[Chain], most: int) -> list[RenderableType]:
    """Show how far every node is, those that need someone first."""
    if not chains:
        return []
    table = Table("node", box=None, pad_edge=False, header_style="dim")
    for slug in CHAIN:
        table.add_column(f"{slug.number} {slug}")
    shown = sorted(chains, key=_urgency)[:most] if len(chains) > most else chains
    for chain in shown:
        table.add_row(chain.node, *map(_cell, chain.links))
    if len(chains) > most:
        table.add_row(Text(f"and {len(chains) - most} more", style="dim"))
    return [table]


def left_table(left: Sequence[Left]) -> list[RenderableType]:
    """Show by node, protocol and account, or by event, whom and what a decision concerns."""
    if not left:
        return []
    table = Table("still there", box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("")
    for one in left:
        if isinstance(one, SessionsLeft):
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
        words = ", ".join(names) or one.trouble or ""
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


def said_view(said: Iterable[Said]) -> list[RenderableType]:
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
        _symbol(stage.step),
        f"{stage.number} {stage.stage}",
        "gate" if stage.gated else "",
        "" if stage.seconds is None else f"{stage.seconds:.1f}",
        _counted(stage.orders),
        Text(stage.title, style="dim", no_wrap=True, overflow="ellipsis"),
    )


def _counted(orders: Iterable[OrderProgress]) -> str:
    done = [order.step is Step.DONE for order in orders]
    return f"{sum(done)}/{len(done)}"


def _note(order: OrderProgress, alive: Pending | None, now: datetime) -> str:
    if order.step is Step.LEFT_OUT:
        return "left out"
    if order.step is Step.FAULT and order.fault is not None:
        return clean(f"{order.fault.kind}: {order.fault.words}")
    if order.step is Step.RUNNING and alive is not None:
        left = left_words(alive.left, now) if alive.left is not None else ""
        again = f"attempt {alive.attempt}, since {clean(alive.trouble)}" if alive.trouble else ""
        return "; ".join(part for part in (left, again) if part)
    return ""


def _urgency(chain: Chain) -> int:
    return min(URGENCY.index(link.step) for link in chain.links if link.orders)


def _cell(link: Link) -> Text:
    if not link.orders:
        return Text()
    sign, style = SYMBOLS[link.step]
    return Text(f"{sign} {link.done}/{link.orders}", style=style)


def _word(step: Step) -> str:
    return step.value.replace("_", " ")


def _symbol(step: Step) -> Text:
    sign, style = SYMBOLS[step]
    return Text(sign, style=style)


def _colour(finding: Finding) -> str:
    return "red" if finding.severity is Severity.BLOCKS else "yellow"
