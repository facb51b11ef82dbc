"""Show a run on a terminal: everything if it fits, otherwise what needs an operator first."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

from starter.client.snapshot import Snapshot
from starter.views import tables
from starter.views.text import clock, command, commands, paused_line, wrapped
from workflows.model.progress import PendingQuestion, Progress, RunStatus
from workflows.model.text import printable
from workflows.views.direction import direction
from workflows.views.progress_markdown import at_work
from workflows.views.suggested_answers import ignored, waits

MAX_SHOWN_ACTIONS = 16
"""A stage of 2 x 40 nodes must not push the rest off the screen."""

MAX_SHOWN_ACTIONS_SMALL = 6

MAX_SHOWN_QUESTIONS = 4

MAX_MESSAGES = 5


@dataclass(frozen=True)
class RunView:
    """A run: its progress, its questions, and the commands that answer them."""

    snapshot: Snapshot
    now: datetime
    height: int | None = None
    """Lines of the screen; None if the output scrolls or is a file."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Show everything if it fits, otherwise summarize finished and pending stages."""
        everything = Group(*self._parts(options, small=False))
        lines = console.render_lines(everything, options.update(height=None), pad=False)
        if self.height is None or len(lines) <= self.height:
            yield everything
        else:
            yield from self._parts(options, small=True)

    def _parts(self, options: ConsoleOptions, *, small: bool) -> Iterator[RenderableType]:
        """Yield what an operator has to do before the details: a screen is cut off at its end."""
        progress, error = self.snapshot.progress, self.snapshot.error
        errors = [Text(printable(error), style="bold red")] if error else []
        if progress is None:
            yield from errors or [Text("the run has no plan yet")]
            return
        yield _header(progress, self.now)
        yield from errors
        yield from _stages(progress, small=small)
        yield from _paused(progress)
        yield from _questions(progress, options.max_width)
        most = MAX_SHOWN_ACTIONS_SMALL if small else MAX_SHOWN_ACTIONS
        yield from _spaced(tables.node_table(progress.nodes, most))
        yield from _spaced(
            tables.action_table(at_work(progress), self.snapshot.pending, self.now, most)
        )
        yield from tables.exceptions_view(progress.exceptions)
        yield from tables.changes_view(progress.configuration_changes)
        yield from tables.findings_view(progress.findings, progress.more_findings)
        yield from tables.messages_view(progress.messages[-MAX_MESSAGES:], ignored(progress))
        yield from _anytime(progress)


def _header(progress: Progress, now: datetime) -> Text:
    elapsed = timedelta(seconds=int((now - progress.started).total_seconds()))
    state = progress.outcome or progress.state.value
    way = direction(progress.procedure, progress.source, progress.target)
    since = "" if progress.outcome else f"   {elapsed}"
    return Text.assemble(
        (f"{progress.estate}: {way}", "bold"),
        (f"   {state}", _colour(progress)),
        since,
        (f"   {printable(progress.reason)}", "dim") if progress.reason else "",
    )


def _stages(progress: Progress, *, small: bool) -> Iterator[RenderableType]:
    table = tables.short_stage_table if small else tables.stage_table
    if not progress.undo:
        yield table(progress.stages)
        return
    # During a rollback the stages that were done need less room.
    yield tables.short_stage_table(progress.stages)
    yield Text("rollback, in this sequence", style="bold")
    yield table(progress.undo)


def _paused(progress: Progress) -> Iterator[RenderableType]:
    if line := paused_line(progress):
        yield Text()
        yield Text(line, "yellow")
        yield Text("continue with")
        yield Text(f"  {command(progress.estate, 'resume', {})}", "bold")


def _questions(progress: Progress, width: int) -> Iterator[RenderableType]:
    """Show every question; those with the same answers are shown together."""
    groups: dict[tuple[str, ...], list[PendingQuestion]] = {}
    for question in waits(progress):
        groups.setdefault(commands(progress, question), []).append(question)
    for answers, questions in groups.items():
        yield Text()
        for question in questions[:MAX_SHOWN_QUESTIONS]:
            yield from _question(question)
        rest = len(questions) - MAX_SHOWN_QUESTIONS
        if rest > 0:
            yield Text(f"and {rest} more with the same answers", "yellow")
        yield Text("answer with one of")
        for answer in answers:
            lines = wrapped(answer, width - len("  "))
            yield Padding(Group(*(Text(line, "bold") for line in lines)), (0, 0, 0, 2))


def _question(question: PendingQuestion) -> Iterator[RenderableType]:
    line = f"waiting since {clock(question.since)}: {printable(question.message)}"
    # The table below names the sessions, so the end of the line may be cut.
    cut = bool(question.remaining)
    yield Text(line, "yellow", no_wrap=cut, overflow="ellipsis" if cut else None)
    if question.approved_by:
        approved = printable(", ".join(question.approved_by))
        yield Text(f"approved so far by {approved}", "yellow")
    yield from tables.remaining_table(question.remaining)


def _anytime(progress: Progress) -> Iterator[RenderableType]:
    if progress.outcome is None and progress.state is RunStatus.RUNNING:
        yield Text("at any time: pause, roll-back, abort", style="dim")


def _spaced(parts: Iterable[RenderableType]) -> Iterator[RenderableType]:
    for part in parts:
        yield Text()
        yield part


def _colour(progress: Progress) -> str:
    if progress.outcome is not None:
        return "bold green" if progress.outcome == "completed" else "bold yellow"
    waiting = progress.waiting is not None or progress.state is RunStatus.PAUSED
    return "bold yellow" if waiting else "bold cyan"
