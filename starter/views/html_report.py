"""A verdict as one page for a browser: nothing is loaded from elsewhere, and no script runs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from starter.client.errors import Exit, Stop
from starter.views.check_grid import Column, bad, elsewhere, grouped, rows, single, told
from starter.views.html_style import STYLE
from workflows.model.findings import Finding, Severity
from workflows.preflight.catalogue import check_of
from workflows.preflight.report import CheckResult, CheckStatus, ReadinessReport
from workflows.views.readiness_markdown import NOWHERE, SIGNS, changes, summary

MOST_COLUMNS = 24
"""With more nodes than that, those of a kind are taken together."""


def page(verdict: ReadinessReport) -> str:
    """Return the page; whatever people or machines wrote is words, and never HTML."""
    title = f"{verdict.estate}: {verdict.source} → {verdict.target}"
    state = _state(verdict)
    body = (
        f'<header class="{state}"><h1>{_safe(title)}</h1>',
        f"<p><strong>{_safe(summary(verdict))}</strong></p>",
        f"<p>{verdict.at:%Y-%m-%d %H:%M:%S} UTC, in {verdict.seconds:.1f} s</p></header>",
        "<main>",
        *_findings(verdict),
        "<section><h2>Since the last look</h2><ul>",
        *(f"<li>{_safe(line)}</li>" for line in changes(verdict)),
        "</ul></section>",
        *_table(verdict),
        f'<footer>plan <code class="hash">{_safe(verdict.plan_hash)}</code></footer></main>',
    )
    return "\n".join((*_head(title), *body, "</body></html>", ""))


def write(file: Path, text: str) -> None:
    """Write a file that is there whole or not at all; Stop where that cannot be."""
    try:
        handle, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as writing:
                writing.write(text)
            # A draft is nobody's but ours; a page is for others to read.
            Path(draft).chmod(0o644)
            Path(draft).replace(file)
        finally:
            Path(draft).unlink(missing_ok=True)
    except OSError as refusal:
        told_ = f"--html {file}: {refusal.strerror}"
        raise Stop(told_, Exit.BAD_INPUT) from refusal


def _head(title: str) -> Iterator[str]:
    yield '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    yield "style-src 'unsafe-inline'\">"
    yield f"<title>{_safe(title)}</title><style>{STYLE}</style></head><body>"


def _findings(verdict: ReadinessReport) -> Iterator[str]:
    yield f"<section><h2>Findings: {len(verdict.findings) or 'none'}</h2>"
    for finding in verdict.findings:
        yield from _card(finding, verdict)
    yield "</section>"


def _card(finding: Finding, verdict: ReadinessReport) -> Iterator[str]:
    check = check_of(finding.name)
    accepted = verdict.accepted.get(finding.name) if check.acceptable else None
    standing = CheckStatus.FAILED if accepted is None else CheckStatus.ACCEPTED
    kind = "warns" if finding.severity is Severity.WARNS else standing.value
    yield f'<article class="{kind}"><h3>{SIGNS[standing]} {_safe(finding.place)}</h3>'
    yield f"<p>{_safe(check.title)} <code>{_safe(finding.name)}</code>, {finding.severity}</p><dl>"
    said = {"seen": finding.seen, "expected": finding.expected, "what to do": finding.advice}
    if accepted is not None:
        said["accepted"] = accepted
    for name, words in said.items():
        yield f"<dt>{name}</dt><dd>{_safe(words)}</dd>"
    yield "</dl></article>"


def _table(verdict: ReadinessReport) -> Iterator[str]:
    columns = single(verdict)
    if len(columns) > MOST_COLUMNS:
        columns = grouped(verdict)
    yield "<section><h2>Checks</h2>"
    yield f"<p>{_legend()}</p>"
    yield '<div class="scroll" tabindex="0" role="region" aria-label="Checks by node"><table>'
    heads = "".join(f'<th scope="col">{_safe(column.name)}</th>' for column in columns)
    yield f'<thead><tr><th scope="col">check</th>{heads}<th scope="col">elsewhere</th></tr></thead>'
    for heading, checks in rows(verdict):
        span = len(columns) + 2
        yield f'<tbody><tr><th class="area" colspan="{span}">{_safe(heading)}</th></tr>'
        yield from (_row(one, columns) for one in checks)
        yield "</tbody>"
    yield "</table></div></section>"


def _row(one: CheckResult, columns: Sequence[Column]) -> str:
    cells = "".join(_cell(column.standings(one)) for column in columns)
    there = elsewhere(one, columns)
    beside = ", ".join(
        f"{SIGNS[s]} {_safe(place)}" for place, s in there if s is not CheckStatus.PASSED
    )
    last = (
        f'<td class="{there[0][1]}">{beside or SIGNS[CheckStatus.PASSED]}</td>'
        if there
        else "<td></td>"
    )
    mark = ' class="bad"' if bad(one) else ""
    note = f" ({_safe(one.severity)} here: {_safe(one.adjusted)})" if one.adjusted else ""
    title = f"{_safe(one.title)}{note}<br><code>{_safe(one.name)}</code>"
    return f'<tr{mark}><th scope="row">{title}</th>{cells}{last}</tr>'


def _cell(standings: Sequence[CheckStatus]) -> str:
    if not standings:
        return f'<td class="none" title="not looked at">{NOWHERE}</td>'
    return f'<td class="{standings[0]}" title="{standings[0]}">{told(standings)}</td>'


def _legend() -> str:
    signs = [(standing.value, sign, standing.value) for standing, sign in SIGNS.items()]
    signs.append(("none", NOWHERE, "not looked at"))
    return " ".join(f'<span class="{kind}">{sign} {words}</span>' for kind, sign, words in signs)


def _state(verdict: ReadinessReport) -> str:
    if not verdict.findings:
        return "holds"
    return "warns" if verdict.ready else "fails"


def _safe(text: str) -> str:
    """Show what was written as it was written, without what is not to be seen."""
    return escape("".join(c if c.isprintable() else " " for c in text))
