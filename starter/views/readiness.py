"""A verdict on an operator's screen: checks by node, findings, what changed, the score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from starter.client.sanitize import clean
from starter.client.schedules import InForce, Ran
from starter.views.check_grid import Column, bad, elsewhere, grouped, rows, single, told
from workflows.model.findings import Finding, Severity
from workflows.preflight.catalogue import by_heading, check_of
from workflows.preflight.report import CheckResult, CheckStatus, ReadinessReport
from workflows.views.readiness_markdown import SIGNS, changes, summary

STYLES = {
    CheckStatus.PASSED: "green",
    CheckStatus.FAILED: "bold red",
    CheckStatus.UNKNOWN: "bold yellow",
    CheckStatus.ACCEPTED: "yellow",
}

MOST_ELSEWHERE = 3


@dataclass(frozen=True)
class ReadinessView:
    """A verdict: every check on every node if there is room, or else what does not hold."""

    verdict: ReadinessReport

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Show the table that fits, then the rest in words."""
        everything = _table(self.verdict, single(self.verdict), whole=True)
        fits = Measurement.get(console, options.update(max_width=1000), everything).maximum
        if fits <= options.max_width:
            yield everything
        else:
            yield from _short(self.verdict)
        for finding in self.verdict.findings:
            yield from _finding(finding, self.verdict)
        yield Text()
        yield from (Text(clean(line), style="dim") for line in changes(self.verdict))
        yield _score(self.verdict)


def catalogue_view() -> Table:
    """Show every check there is, by name."""
    table = Table("check", box=None, pad_edge=False, header_style="dim")
    for name in ("", "what holds", "may be accepted"):
        table.add_column(name)
    for heading, checks in by_heading():
        table.add_row(Text(heading, style="bold"))
        for check in checks:
            accept = "yes" if check.acceptable else ""
            table.add_row(f"  {check.name}", check.severity, check.title, accept)
    return table


def schedule_view(there: InForce) -> Iterator[RenderableType]:
    """Show what is looked at by itself, when, and what came of it."""
    often = f"every {there.every}" if there.every else "as someone has set it up"
    paused = ", paused" if there.paused else ""
    accepted = f", accepting {', '.join(there.accepted)}" if there.accepted else ""
    yield Text(clean(f"{there.id}: {often}{paused}{accepted}"), style="bold")
    if there.next and not there.paused:
        yield Text(f"next at {', '.join(f'{at.astimezone():%Y-%m-%d %H:%M}' for at in there.next)}")
    if not there.last:
        yield Text("it has not run yet")
    for ran in there.last:
        yield _ran(ran)


def _ran(ran: Ran) -> Text:
    style = {None: "yellow", 0: "green"}.get(ran.findings, "red")
    told_ = clean(f"{ran.message}{_counted(ran.findings or 0)}")
    return Text.assemble(f"{ran.at.astimezone():%Y-%m-%d %H:%M:%S}  ", (told_, style))


def _short(verdict: ReadinessReport) -> Iterator[RenderableType]:
    """Show what does not hold, with nodes of a kind taken together."""
    other = ""
    if any(map(bad, verdict.checks)):
        yield _table(verdict, grouped(verdict), whole=False)
        other = "other "
    hold = sum(one.is_made and not bad(one) for one in verdict.checks)
    yield Text(f"{SIGNS[CheckStatus.PASSED]} {hold} {other}checks hold", style="green")


def _table(verdict: ReadinessReport, columns: Sequence[Column], *, whole: bool) -> Table:
    table = Table("check", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column.name.replace("-", "-\n").replace(" ", "\n"), no_wrap=True)
    table.add_column("elsewhere")
    for heading, checks in rows(verdict):
        shown = [one for one in checks if whole or bad(one)]
        if shown:
            table.add_row(Text(heading, style="bold"))
        for one in shown:
            cells = (_cell(one, column) for column in columns)
            table.add_row(_name(one), *cells, _elsewhere(one, columns))
    return table


def _name(one: CheckResult) -> Text:
    return Text(f"  {one.name}", style="" if bad(one) else "dim", no_wrap=True)


def _cell(one: CheckResult, column: Column) -> Text:
    standings = column.standings(one)
    return Text(told(standings), style=STYLES[standings[0]] if standings else "dim")


def _elsewhere(one: CheckResult, columns: Sequence[Column]) -> Text:
    there = elsewhere(one, columns)
    worse = [(place, came) for place, came in there if came is not CheckStatus.PASSED]
    if not worse:
        return Text(SIGNS[CheckStatus.PASSED] if there else "", style="green")
    text = Text()
    for place, came in worse[:MOST_ELSEWHERE]:
        text.append(f"{SIGNS[came]} {place} ", style=STYLES[came])
    if worse[MOST_ELSEWHERE:]:
        text.append(f"and {len(worse) - MOST_ELSEWHERE} more")
    return text


def _finding(finding: Finding, verdict: ReadinessReport) -> Iterator[Text]:
    accepted = verdict.accepted.get(finding.name) if check_of(finding.name).acceptable else None
    style = "red" if finding.severity is Severity.BLOCKS and accepted is None else "yellow"
    came = CheckStatus.FAILED if accepted is None else CheckStatus.ACCEPTED
    yield Text()
    yield Text.assemble(
        (f"{SIGNS[came]} {finding.severity}  {finding.place}  {finding.name}", style),
        f"  accepted: {clean(accepted)}" if accepted is not None else "",
    )
    for name, words in _said(finding):
        yield Text.assemble((f"  {name:<10}", "dim"), clean(words))


def _said(finding: Finding) -> Iterable[tuple[str, str]]:
    return (("seen", finding.seen), ("expected", finding.expected), ("do", finding.advice))


def _score(verdict: ReadinessReport) -> Text:
    count = len(verdict.findings)
    style = "bold green" if not count else "bold yellow" if verdict.ready else "bold red"
    title = f"{verdict.estate}: {verdict.source} → {verdict.target}"
    words = f"{title}   {summary(verdict)}{_counted(count)}, in {verdict.seconds:.1f} s"
    return Text(clean(words), style=style)


def _counted(findings: int) -> str:
    return f", {findings} finding{'s' if findings > 1 else ''}" if findings else ""
