"""A run on the operator's screen: everything on a large one, what matters first on a small one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

from starter.client.sanitize import clean
from starter.client.snapshot import Snapshot
from starter.views.tables import (
    exceptions_view,
    findings_view,
    left_table,
    node_table,
    order_table,
    said_view,
    short_stage_table,
    stage_table,
)
from starter.views.text import broken, clock, command, commands, paused_line
from workflows.model.progress import PendingQuestion, Progress, RunStatus
from workflows.views.progress_markdown import at_work
from workflows.views.suggested_answers import waits

MOST_ORDERS = 16
"""A stage of 2 x 40 nodes must not push the rest off the screen."""

MOST_ORDERS_SMALL = 6

MOST_WAITS = 4

MAX_MESSAGES = 5


@dataclass(frozen=True)
class RunView:
    """A run: where it is, what it waits for, and which words answer that."""

    sight: Snapshot
    now: datetime
    height: int | None = None
    """How many lines there are; None where a terminal scrolls, or a file is endless."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Show everything if there is room for it, or else what is over and to come in short."""
        everything = Group(*self._parts(options, small=False))
        lines = console.render_lines(everything, options.update(height=None), pad=False)
        if self.height is None or len(lines) <= self.height:
            yield everything
        else:
            yield from self._parts(options, small=True)

    def _parts(self, options: ConsoleOptions, *, small: bool) -> Iterator[RenderableType]:
        """Say what someone has to do before what goes on: a screen is cut off at its end."""
        progress = self.sight.progress
        trouble = [Text(clean(self.sight.error), style="bold red")] if self.sight.error else []
        if progress is None:
            yield from trouble or [Text("the run has no plan yet")]
            return
        yield _header(progress, self.now)
        yield from trouble
        yield from _stages(progress, small=small)
        yield from _paused(progress)
        yield from _waiting(progress, options.max_width)
        most = MOST_ORDERS_SMALL if small else MOST_ORDERS
        yield from _spaced(node_table(progress.nodes, most))
        yield from _spaced(order_table(at_work(progress), self.sight.pending, self.now, most))
        yield from exceptions_view(progress.exceptions)
        yield from findings_view(progress.findings)
        yield from said_view(progress.messages[-MAX_MESSAGES:])
        yield from _anytime(progress)


def _header(progress: Progress, now: datetime) -> Text:
    elapsed = timedelta(seconds=int((now - progress.started).total_seconds()))
    state = progress.outcome or progress.state.value
    since = "" if progress.outcome else f"   {elapsed}"
    return Text.assemble(
        (f"{progress.estate}: {progress.source} → {progress.target}", "bold"),
        (f"   {state}", _colour(progress)),
        since,
        (f"   {clean(progress.reason)}", "dim") if progress.reason else "",
    )


def _stages(progress: Progress, *, small: bool) -> Iterator[RenderableType]:
    table = short_stage_table if small else stage_table
    if not progress.undo:
        yield table(progress.stages)
        return
    # Once a run is taken back, what it had done is history.
    yield short_stage_table(progress.stages)
    yield Text("taken back, in this order", style="bold")
    yield table(progress.undo)


def _paused(progress: Progress) -> Iterator[RenderableType]:
    if words := paused_line(progress):
        yield Text()
        yield Text(words, "yellow")
        yield Text("go on with")
        yield Text(f"  {command(progress.estate, 'resume', {})}", "bold")


def _waiting(progress: Progress, width: int) -> Iterator[RenderableType]:
    """Show every wait; those that the very same words answer stand together."""
    groups: dict[tuple[str, ...], list[PendingQuestion]] = {}
    for waiting in waits(progress):
        groups.setdefault(commands(progress, waiting), []).append(waiting)
    for words, some in groups.items():
        yield Text()
        for waiting in some[:MOST_WAITS]:
            yield from _wait(waiting)
        if some[MOST_WAITS:]:
            yield Text(f"and {len(some) - MOST_WAITS} more of this kind", "yellow")
        yield Text("answer with one of")
        for answer in words:
            lines = broken(answer, width - len("  "))
            yield Padding(Group(*(Text(line, "bold") for line in lines)), (0, 0, 0, 2))


def _wait(waiting: PendingQuestion) -> Iterator[RenderableType]:
    approved = ", ".join(map(clean, waiting.approved_by))
    words = f"waits since {clock(waiting.since)}: {clean(waiting.message)}"
    # The table below says who is there, so the sentence need not be seen to its end.
    cut = bool(waiting.remaining)
    yield Text(words, "yellow", no_wrap=cut, overflow="ellipsis" if cut else None)
    if approved:
        yield Text(f"approved so far by {approved}", "yellow")
    yield from left_table(waiting.remaining)


def _anytime(progress: Progress) -> Iterator[RenderableType]:
    if progress.outcome is None and progress.state is RunStatus.RUNNING:
        yield Text("at any time: pause, roll-back, abort", style="dim")


def _spaced(parts: Sequence[RenderableType]) -> Iterator[RenderableType]:
    if parts:
        yield Text()
        yield from parts


def _colour(progress: Progress) -> str:
    if progress.outcome is not None:
        return "bold green" if progress.outcome == "completed" else "bold yellow"
    waiting = progress.waiting is not None or progress.state is RunStatus.PAUSED
    return "bold yellow" if waiting else "bold cyan"
