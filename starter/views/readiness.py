"""Show readiness reports, the list of checks, and schedules on a terminal."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from starter.client.schedules import ScheduledRun, ScheduleStatus
from starter.views.check_grid import Cell, FindingCard, Grid, Row, by_kind, by_node, cards, overall
from starter.views.tables import table
from workflows.model.checks import CheckStatus
from workflows.model.text import printable
from workflows.preflight.catalogue import by_heading
from workflows.preflight.report import ReadinessReport
from workflows.views.readiness_markdown import SIGNS, changes, reasons, summary

STYLES = {
    CheckStatus.PASSED: "green",
    CheckStatus.FAILED: "bold red",
    CheckStatus.UNKNOWN: "bold yellow",
    CheckStatus.ACCEPTED: "yellow",
    CheckStatus.NOT_AVAILABLE: "dim",
    None: "dim",
}

MAX_SHOWN_PLACES = 3

NO_LIMIT = 1000
"""Columns: wider than any terminal."""


@dataclass(frozen=True)
class ReadinessView:
    """A report: every check on every node if the terminal is wide enough, else the problems."""

    report: ReadinessReport

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Show the table that fits, the findings, the changes and the result."""
        full = _table(by_node(self.report))
        width = Measurement.get(console, options.update(max_width=NO_LIMIT), full).maximum
        if width <= options.max_width:
            yield full
        else:
            yield from _problems(self.report)
        for card in cards(self.report):
            yield from _finding(card)
        yield Text()
        yield from (Text(printable(line)) for line in reasons(self.report))
        yield from (Text(printable(line), style="dim") for line in changes(self.report))
        yield _result(self.report)


def checks_view() -> Table:
    """Show all checks by name."""
    shown = table("check", "", "what holds", "may be accepted", "")
    for heading, checks in by_heading():
        shown.add_row(Text(heading, style="bold"))
        for check in checks:
            accept = "yes" if check.acceptable else "in a rejoin" * check.acceptable_in_rejoin
            only = f"only in a {check.only}" if check.only == "rejoin" else ""
            shown.add_row(f"  {check.name}", check.severity, check.title, accept, only)
    return shown


def schedule_view(status: ScheduleStatus) -> Iterator[RenderableType]:
    """Show a schedule, its next runs and the results of the last ones."""
    interval = f"every {status.every}" if status.every else "at other times than this console sets"
    paused = ", paused" if status.paused else ""
    accepted = f", accepting {', '.join(status.accepted)}" if status.accepted else ""
    yield Text(printable(f"{status.id}: {interval}{paused}{accepted}"), style="bold")
    if status.next and not status.paused:
        times = (f"{at.astimezone():%Y-%m-%d %H:%M}" for at in status.next)
        yield Text(f"next at {', '.join(times)}")
    if not status.last:
        yield Text("no run yet")
    yield from map(_scheduled_run, status.last)


def _scheduled_run(run: ScheduledRun) -> Text:
    style = {None: "yellow", 0: "green"}.get(run.findings, "red")
    result = printable(f"{run.message}{_counted(run.findings or 0)}")
    return Text.assemble(f"{run.at.astimezone():%Y-%m-%d %H:%M:%S}  ", (result, style))


def _problems(report: ReadinessReport) -> Iterator[RenderableType]:
    """Show the checks that did not pass by kind of node, and how many passed."""
    grid = by_kind(report)
    bad = grid.without_passed()
    if bad.sections:
        yield _table(bad)
    passed = sum(row.passed and row.check.is_made for _, rows in grid.sections for row in rows)
    other = "other " if bad.sections else ""
    yield Text(f"{SIGNS[CheckStatus.PASSED]} {passed} {other}checks passed", style="green")


def _table(grid: Grid) -> Table:
    names = (column.replace("-", "-\n").replace(" ", "\n") for column in grid.columns)
    shown = table("check", *(Column(name, no_wrap=True) for name in names), "elsewhere")
    for heading, rows in grid.sections:
        shown.add_row(Text(heading, style="bold"))
        for row in rows:
            shown.add_row(_name(row), *map(_cell, row.cells), _elsewhere(row.elsewhere))
    return shown


def _name(row: Row) -> Text:
    return Text(f"  {row.check.name}", style="dim" if row.passed else "", no_wrap=True)


def _cell(cell: Cell) -> Text:
    return Text(cell.text, style=STYLES[cell.status])


def _elsewhere(cells: tuple[Cell, ...]) -> Text:
    text = Text(" ").join(map(_cell, cells[:MAX_SHOWN_PLACES]))
    rest = len(cells) - MAX_SHOWN_PLACES
    return text.append(f" and {rest} more") if rest > 0 else text


def _finding(card: FindingCard) -> Iterator[Text]:
    finding = card.finding
    yield Text()
    head = f"{card.sign} {finding.severity}  {finding.place}  {finding.name}"
    yield Text(printable(head), style=STYLES[card.style])
    for name, value in card.details.items():
        yield Text.assemble((f"  {name:<11}", "dim"), printable(value))


def _result(report: ReadinessReport) -> Text:
    title = f"{report.estate}: {report.source} → {report.target}"
    counted = _counted(len(report.findings) + report.more_findings)
    line = f"{title}   {summary(report)}{counted}, in {report.seconds:.1f} s"
    return Text(printable(line), style=f"bold {STYLES[overall(report)]}")


def _counted(findings: int) -> str:
    return f", {findings} finding{'s' if findings > 1 else ''}" if findings else ""
