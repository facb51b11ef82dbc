"""Show a readiness report as one web page that loads nothing and runs no script."""

import os
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from pathlib import Path

from starter.client.errors import CommandError, ExitCode
from starter.views.check_grid import Cell, FindingCard, Grid, Row, by_kind, by_node, cards, overall
from workflows.model.text import printable
from workflows.preflight.report import ReadinessReport
from workflows.views.readiness_markdown import NOWHERE, SIGNS, changes, reasons, summary

MAX_COLUMNS = 24
"""With more nodes, a column stands for all nodes of a kind."""

NOT_CHECKED = "not checked"

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title><style>{css}</style></head>
<body><header class="{status}"><h1>{title}</h1>
<p><strong>{summary}</strong></p>
<p>{at}, in {seconds:.1f} s</p></header>
<main><section><h2>Findings: {count}</h2>
{findings}</section>
<section><h2>Since the last check</h2><ul>
{changes}</ul></section>
<section><h2>Checks</h2><p>{legend}</p><ul>
{reasons}</ul>
<div class="scroll" tabindex="0" role="region" aria-label="Checks by node"><table>
<thead><tr><th scope="col">check</th>{columns}<th scope="col">elsewhere</th></tr></thead>
{rows}</table></div></section>
<footer>plan <code class="hash">{plan_hash}</code></footer></main></body></html>
"""


def html_report(report: ReadinessReport) -> str:
    """Return the page; text of people and machines is escaped and never becomes HTML."""
    grid = by_node(report)
    if len(grid.columns) > MAX_COLUMNS:
        grid = by_kind(report)
    return PAGE.format(
        title=_text(f"{report.estate}: {report.source} → {report.target}"),
        css=files(__package__).joinpath("report.css").read_text(encoding="utf-8"),
        status=overall(report),
        summary=_text(summary(report)),
        at=f"{report.at:%Y-%m-%d %H:%M:%S} UTC",
        seconds=report.seconds,
        count=len(report.findings) + report.more_findings or "none",
        findings=_lines(map(_card, cards(report))),
        changes=_lines(f"<li>{_text(line)}</li>" for line in changes(report)),
        legend=_legend(),
        reasons=_lines(f"<li>{_text(line)}</li>" for line in reasons(report)),
        columns="".join(f'<th scope="col">{_text(column)}</th>' for column in grid.columns),
        rows=_rows(grid),
        plan_hash=_text(report.plan_hash),
    )


def write(file: Path, text: str) -> None:
    """Write a file as a whole or not at all; CommandError if that is not possible."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(file)
    except OSError as refusal:
        draft.unlink(missing_ok=True)
        message = f"--html {file}: {refusal.strerror}"
        raise CommandError(message, ExitCode.BAD_INPUT) from refusal


def _card(card: FindingCard) -> str:
    finding = card.finding
    details = (f"<dt>{name}</dt><dd>{_text(text)}</dd>" for name, text in card.details.items())
    return (
        f'<article class="{card.style}"><h3>{card.sign} {_text(finding.place)}</h3>'
        f"<p>{_text(card.title)} <code>{_text(finding.name)}</code>, {finding.severity}</p>"
        f"<dl>{''.join(details)}</dl></article>"
    )


def _rows(grid: Grid) -> str:
    span = len(grid.columns) + 2
    return _lines(
        f'<tbody><tr><th class="area" colspan="{span}">{_text(heading)}</th></tr>\n'
        f"{_lines(map(_row, rows))}</tbody>"
        for heading, rows in grid.sections
    )


def _row(row: Row) -> str:
    check = row.check
    note = f" ({check.severity} here: {_text(check.adjusted)})" if check.adjusted else ""
    elsewhere = ", ".join(_text(cell.text) for cell in row.elsewhere)
    worst = row.elsewhere[0].status if row.elsewhere else "none"
    kind = "" if row.passed else ' class="bad"'
    title = f"{_text(check.title)}{note}<br><code>{_text(check.name)}</code>"
    return (
        f'<tr{kind}><th scope="row">{title}</th>'
        f'{"".join(map(_cell, row.cells))}<td class="{worst}">{elsewhere}</td></tr>'
    )


def _cell(cell: Cell) -> str:
    kind, title = (cell.status, cell.status.text) if cell.status else ("none", NOT_CHECKED)
    return f'<td class="{kind}" title="{title}">{cell.text}</td>'


def _legend() -> str:
    signs: list[tuple[str, str, str]] = [(one, sign, one.text) for one, sign in SIGNS.items()]
    signs.append(("none", NOWHERE, NOT_CHECKED))
    return " ".join(f'<span class="{kind}">{sign} {name}</span>' for kind, sign, name in signs)


def _lines(parts: Iterable[str]) -> str:
    return "".join(f"{part}\n" for part in parts)


def _text(value: str) -> str:
    return escape(printable(value))
