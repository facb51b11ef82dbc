"""What do all runs of a campaign amount to, and what of it must not be?"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from lab.campaigns.crash.points import KINDS, Kind
from lab.campaigns.crash.run import AttackResult

ZERO = (
    *("effects.repeated", "effects.skipped", "effects.misordered", "effects.unexpected"),
    *("traffic.failed", "files.missing", "files.corrupt", "files.duplicated"),
    *("events.missing", "events.duplicated", "invariants.violations"),
)
SUMS = (
    *("effects.expected", "effects.recorded", "traffic.attempted", "traffic.straddling"),
    *("files.expected", "events.expected", "invariants.samples"),
)


@dataclass(frozen=True)
class Covered:
    """Of how many requests of a switchover a worker died before and after."""

    requests: int
    before: int
    after: int

    @property
    def whole(self) -> bool:
        """Whether that is all of them."""
        return self.before == self.after == self.requests


@dataclass
class CrashResults:
    """All runs so far."""

    points: Counter[Kind] = field(default_factory=Counter)
    runs: int = 0
    completed: int = 0
    caught: int = 0
    """Requests that were held when a worker died: of one kill there may be several."""
    sums: Counter[str] = field(default_factory=Counter)
    resumes: list[float] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    excused: list[str] = field(default_factory=list)
    failures: list[tuple[str, list[str]]] = field(default_factory=list)
    """By its token: what went wrong with a run."""

    def add(self, run: AttackResult) -> list[str]:
        """Count one run; return what went wrong with it."""
        problems = run.problems()
        self.runs += 1
        self.completed += run.verdict.outcome == "completed"
        self.points += Counter(attack.point.kind for attack in run.attacks)
        self.caught += sum(len(attack.caught) for attack in run.attacks)
        for name in (*ZERO, *SUMS):
            section, _, number = name.partition(".")
            self.sums[name] += getattr(getattr(run.verdict, section), number)
        self.resumes += run.resumes
        self.excused += [f"{run.plan.token}: {decision}" for decision in run.excused_decisions]
        self.decisions += [
            f"{run.plan.token}: {decision}"
            for decision in run.decisions
            if decision not in run.excused_decisions
        ]
        if problems:
            self.failures.append((run.plan.token, problems))
        return problems

    def problems(self, covered: Covered | None) -> Iterator[str]:
        """Everything that must not be; *covered* where all requests were to be."""
        for token, found in self.failures:
            yield f"{token}: {'; '.join(found)}"
        if self.completed < self.runs or not self.runs:
            yield f"{self.completed} of {self.runs} runs completed"
        yield from (f"{name} is {self.sums[name]}" for name in ZERO if self.sums[name])
        yield from (f"{name} is zero: nothing was proved" for name in SUMS if not self.sums[name])
        if not self.points:
            yield "nothing was attacked"
        if covered is not None and not covered.whole:
            yield f"not every request was covered: {covered}"

    def percentile(self, percent: int) -> float:
        """Return within which time so many percent of the restarts were followed by progress."""
        if len(self.resumes) < 2:  # noqa: PLR2004 - there is nothing to divide
            return self.resumes[0] if self.resumes else 0.0
        return round(statistics.quantiles(self.resumes, n=100, method="inclusive")[percent - 1], 2)

    def as_json(self, covered: Covered) -> dict[str, Any]:
        """The result as ``lab crash --json`` writes it."""
        sections: dict[str, dict[str, int]] = {}
        for name in (*SUMS, *ZERO):
            section, _, number = name.partition(".")
            sections.setdefault(section, {})[number] = self.sums[name]
        return {
            "points": {kind: self.points[kind] for kind in KINDS},
            "runs": self.runs,
            "completed": self.completed,
            "operator_acts": len(self.decisions),
            **sections,
            "resume_seconds": {"p50": self.percentile(50), "p99": self.percentile(99)},
            "requests": {**asdict(covered), "caught": self.caught},
            "operator_acts_after_reboots": self.excused,
            "failures": [{"replay": token, "problems": words} for token, words in self.failures],
        }

    def table(self, wanted: Counter[Kind], covered: Covered) -> Table:
        """The result for a terminal."""
        shown = Table("kind", "points", title="killed everything, again and again")
        for kind in KINDS:
            shown.add_row(kind, f"{self.points[kind]} of {wanted[kind]}")
        shown.add_section()
        rows = {
            "runs": f"{self.runs}, {self.completed} completed, {len(self.failures)} with problems",
            "operator": f"{len(self.decisions)} decisions, {len(self.excused)} after reboots",
            "effects": self._words("effects"),
            "traffic": self._words("traffic"),
            "invariants": self._words("invariants"),
            "resume": f"p50 {self.percentile(50)} s, p99 {self.percentile(99)} s",
            "requests": f"of {covered.requests}: {covered.before} before, {covered.after} after",
        }
        for name, row in rows.items():
            shown.add_row(name, row)
        return shown

    def _words(self, section: str) -> str:
        names = [name for name in (*SUMS, *ZERO) if name.startswith(section)]
        return ", ".join(f"{self.sums[name]} {name.partition('.')[2]}" for name in names)
