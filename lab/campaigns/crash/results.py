"""The results of all runs of a crash campaign."""

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from lab.campaigns.crash.points import KINDS, Kind
from lab.campaigns.crash.run import AttackResult
from lab.campaigns.results import Numbers, by_section, must_not_be_zero, numbers_of, summary
from lab.checker.verdict import MUST_BE_ZERO
from workflows.model.stages import Procedure

MAX_SHOWN = 5
"""Requests that are named where a campaign has not covered them; its JSON has all."""


@dataclass(frozen=True)
class Coverage:
    """The number of distinct requests, and at how many of them a worker died."""

    requests: int
    before: int
    after: int
    missing: tuple[str, ...] = ()
    """The others, with their keys, such as ``before 1a2b3c4d: loadbalancer1 ssh: ...``."""

    @property
    def complete(self) -> bool:
        """Whether a worker died before and after every request."""
        return self.before == self.after == self.requests


@dataclass
class CrashResults:
    """All runs so far."""

    points: Counter[Kind] = field(default_factory=Counter)
    runs: int = 0
    completed: int = 0
    caught: int = 0
    """Requests that were held when a worker died: of one kill there may be several."""
    numbers: Numbers = field(default_factory=Numbers)
    resumes: list[float] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    after_reboots: list[str] = field(default_factory=list)
    failures: list[tuple[str, list[str]]] = field(default_factory=list)
    """By its token: the problems of a run."""

    def add(self, run: AttackResult) -> list[str]:
        """Count one run; return its problems."""
        problems = run.problems()
        self.runs += 1
        self.completed += run.verdict.outcome == "completed"
        self.points += Counter(attack.point.kind for attack in run.attacks)
        self.caught += sum(len(attack.caught) for attack in run.attacks)
        self.numbers.update(numbers_of(run.verdict))
        self.resumes += run.resumes
        self.after_reboots += [f"{run.plan.token}: {one}" for one in run.after_reboots]
        self.decisions += [f"{run.plan.token}: {one}" for one in run.unexpected]
        if problems:
            self.failures.append((run.plan.token, problems))
        return problems

    def problems(self, procedure: Procedure, coverage: Coverage | None) -> Iterator[str]:
        """Everything that must not be; *coverage* where it has to be complete."""
        for token, found in self.failures:
            yield f"{token}: {'; '.join(found)}"
        if self.completed < self.runs or not self.runs:
            yield f"{self.completed} of {self.runs} runs completed"
        for name in MUST_BE_ZERO:
            if self.numbers[name]:
                yield f"{name} is {self.numbers[name]}"
        for name in must_not_be_zero(procedure):
            if not self.numbers[name]:
                yield f"{name} is zero, so nothing was proved"
        if not self.points:
            yield "nothing was attacked"
        if coverage is not None and not coverage.complete:
            shown = "; ".join(coverage.missing[:MAX_SHOWN])
            yield f"{len(coverage.missing)} requests were not covered, such as {shown}"

    def percentile(self, percent: int) -> float:
        """Return the seconds within which this share of the restarts was followed by progress."""
        if len(self.resumes) < 2:  # noqa: PLR2004 - there is nothing to divide
            return self.resumes[0] if self.resumes else 0.0
        return round(statistics.quantiles(self.resumes, n=100, method="inclusive")[percent - 1], 2)

    def as_json(self, coverage: Coverage) -> dict[str, Any]:
        """The result as ``lab crash --json`` writes it."""
        return {
            "points": {kind: self.points[kind] for kind in KINDS},
            "runs": self.runs,
            "completed": self.completed,
            "operator_acts": len(self.decisions),
            **by_section(self.numbers),
            "resume_seconds": {"p50": self.percentile(50), "p99": self.percentile(99)},
            "requests": {**asdict(coverage), "caught": self.caught},
            "operator_acts_after_reboots": self.after_reboots,
            "failures": [{"replay": token, "problems": found} for token, found in self.failures],
        }

    def table(self, wanted: Counter[Kind], coverage: Coverage) -> Table:
        """The result for a terminal."""
        table = Table("kind", "points", title="crash campaign")
        for kind in KINDS:
            table.add_row(kind, f"{self.points[kind]} of {wanted[kind]}")
        table.add_section()
        rows = {
            "runs": f"{self.runs}, {self.completed} completed, {len(self.failures)} with problems",
            "decisions": f"{len(self.decisions)}, and {len(self.after_reboots)} after reboots",
            **{name: summary(self.numbers, name) for name in ("effects", "traffic", "invariants")},
            "resume": f"p50 {self.percentile(50)} s, p99 {self.percentile(99)} s",
            "requests": f"{coverage.requests}: {coverage.before} before, {coverage.after} after",
        }
        for name, row in rows.items():
            table.add_row(name, row)
        return table
