"""What do all cases amount to, what of it must not be, and what is remembered meanwhile?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from lab.campaigns.crash.results import SUMS, ZERO
from lab.campaigns.rollback_matrix.cases import ANSWERS, HOWS, Case, Only
from lab.campaigns.rollback_matrix.run import Row

BACK = "back"
"""How a cell calls what is taken back without a question."""


@dataclass
class Results:
    """All cases so far."""

    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0

    def left(self, wanted: Iterable[Case]) -> list[Case]:
        """Return the cases that were not tried yet."""
        done = {row.case for row in self.rows}
        return [case for case in wanted if str(case) not in done]

    def problems(self, wanted: Iterable[Case]) -> Iterator[str]:
        """Everything that must not be."""
        for row in self.rows:
            if row.problems:
                yield f"{row.case}: {'; '.join(row.problems)}"
        if left := self.left(wanted):
            yield f"{len(left)} cases were not tried"
        if not self.rows:
            yield "nothing was tried"

    def totals(self) -> dict[str, int]:
        """The numbers of all verdicts together."""
        return {name: sum(row.numbers[name] for row in self.rows) for name in (*SUMS, *ZERO)}

    def as_json(self, wanted: Iterable[Case]) -> dict[str, Any]:
        """The result as ``lab undo --json`` writes it."""
        backs = sorted(row.back_seconds for row in self.rows if row.back_seconds is not None)
        return {
            "cases": len(self.rows),
            "as_wished": sum(not row.problems for row in self.rows),
            "outcomes": Counter(row.outcome for row in self.rows),
            "back_seconds": {"longest": backs[-1], "median": backs[len(backs) // 2]}
            if backs
            else {},
            "totals": self.totals(),
            "seconds": round(self.seconds, 1),
            "problems": list(self.problems(wanted)),
            "rows": [asdict(row) for row in sorted(self.rows, key=lambda row: row.case)],
        }

    def table(self, wanted: list[Case]) -> Table:
        """Stages by kinds, each cell with how many are as they should be."""
        shown = Table("stage", *HOWS, title="every stage fails, and is taken back")
        good = {row.case for row in self.rows if not row.problems}
        bad = {row.case for row in self.rows if row.problems}
        for stage in dict.fromkeys(case.stage for case in wanted):
            cells = []
            for how in HOWS:
                here = [case for case in wanted if (case.stage, case.how) == (stage, how)]
                cells.append(_cell(here, good, bad))
            shown.add_row(stage, *cells)
        shown.add_section()
        totals = self.totals()
        for section in dict.fromkeys(name.partition(".")[0] for name in totals):
            names = [name for name in totals if name.startswith(f"{section}.")]
            words = ", ".join(f"{totals[n]} {n.partition('.')[2]}" for n in names)
            shown.caption = f"{shown.caption or ''}{section}: {words}\n"
        return shown


def _cell(here: list[Case], good: set[str], bad: set[str]) -> str:
    if not here:
        return ""
    parts = []
    for answer in (None, *ANSWERS):
        some = [str(case) for case in here if case.answer == answer]
        if some:
            words = f"{sum(one in good for one in some)} of {len(some)} {answer or BACK}"
            failed = sum(one in bad for one in some)
            parts.append(f"[red]{words}, {failed} bad[/red]" if failed else words)
    return "\n".join(parts)


def kept(file: Path | None, parts: tuple[Only, ...]) -> Results:
    """Return where an interrupted matrix with the same wishes was."""
    if file is None or not file.exists():
        return Results()
    read = json.loads(file.read_text(encoding="utf-8"))
    if read["parts"] != [list(part.words) for part in parts]:
        return Results()
    return Results([Row(**row) for row in read["rows"]], read["seconds"])


def keep(file: Path | None, parts: tuple[Only, ...], results: Results) -> None:
    """Remember where it is."""
    if file is None:
        return
    rows = [asdict(row) for row in results.rows]
    asked = [part.words for part in parts]
    text = json.dumps({"parts": asked, "seconds": results.seconds, "rows": rows})
    fresh = file.with_suffix(".fresh")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)
