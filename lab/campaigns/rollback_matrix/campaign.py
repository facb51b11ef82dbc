"""The campaign that runs every case of the rollback matrix."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from lab.campaigns.results import NUMBERS, Numbers, by_section, summary
from lab.campaigns.rollback_matrix.cases import ANSWERS, WAYS, Case, Selection, cases
from lab.campaigns.rollback_matrix.run import SETTINGS, CaseResult, run_case
from lab.campaigns.runner import Campaign, CampaignState
from lab.campaigns.testbed import TestBed
from lab.layout import USUAL_DRIVERS, Drivers, Layout
from workflows.model.stages import Procedure


@dataclass
class MatrixState(CampaignState):
    """The results so far."""

    rows: list[CaseResult] = field(default_factory=list)

    def remaining(self, wanted: Iterable[Case]) -> list[Case]:
        """Return the cases that have not been run."""
        done = {row.case for row in self.rows}
        return [case for case in wanted if str(case) not in done]

    def problems(self, wanted: Iterable[Case]) -> Iterator[str]:
        """Everything that must not be."""
        for row in self.rows:
            if row.problems:
                yield f"{row.case}: {'; '.join(row.problems)}"
        if remaining := self.remaining(wanted):
            yield f"{len(remaining)} cases were not run"
        if not self.rows:
            yield "nothing was run"

    def totals(self) -> Numbers:
        """The numbers of all verdicts together."""
        return Numbers({name: sum(row.numbers[name] for row in self.rows) for name in NUMBERS})

    def as_json(self) -> dict[str, Any]:
        """The result as ``lab rollback --json`` writes it."""
        times = sorted(r.rollback_seconds for r in self.rows if r.rollback_seconds is not None)
        return {
            "cases": len(self.rows),
            "as_expected": sum(not row.problems for row in self.rows),
            "outcomes": Counter(row.outcome for row in self.rows),
            "rollback_seconds": {"longest": times[-1], "median": times[len(times) // 2]}
            if times
            else {},
            "totals": self.totals(),
            "rows": [asdict(row) for row in sorted(self.rows, key=lambda row: row.case)],
        }

    def table(self, wanted: list[Case]) -> Table:
        """Stages by ways to fail; each cell counts the cases without a problem."""
        table = Table("stage", *WAYS, title="rollback matrix")
        for stage in dict.fromkeys(case.stage for case in wanted):
            cells = (self._cell(wanted, stage, way) for way in WAYS)
            table.add_row(stage, *cells)
        totals = self.totals()
        table.caption = "\n".join(f"{name}: {summary(totals, name)}" for name in by_section(totals))
        return table

    def _cell(self, wanted: list[Case], stage: str, way: str) -> str:
        good = {row.case for row in self.rows if not row.problems}
        bad = {row.case for row in self.rows if row.problems}
        parts = []
        for answer in (None, *ANSWERS):
            here = [str(c) for c in wanted if (c.stage, c.way, c.answer) == (stage, way, answer)]
            if here:
                text = f"{sum(c in good for c in here)} of {len(here)} {answer or 'by itself'}"
                failed = sum(case in bad for case in here)
                parts.append(f"[red]{text}, {failed} bad[/red]" if failed else text)
        return "\n".join(parts)


class RollbackMatrix(Campaign[TestBed, Case, MatrixState]):
    """All cases, or a selection of them."""

    def __init__(  # noqa: PLR0913 - each is an option of the command line
        self,
        parts: tuple[Selection, ...],
        labs: int,
        json: Path | None,
        procedure: Procedure = "switchover",
        *,
        drivers: Drivers = USUAL_DRIVERS,
        worker_per_cluster: bool = False,
    ) -> None:
        request = (procedure, parts, drivers, worker_per_cluster)
        super().__init__(MatrixState(), json, request)
        self._settings = replace(SETTINGS, drivers=drivers, worker_per_cluster=worker_per_cluster)
        self._wanted = selected(parts, procedure, drivers)
        self._remaining = self.state.remaining(self._wanted)
        self._labs = labs

    @property
    def labs(self) -> int:
        """No more than there are cases."""
        return min(self._labs, len(self._remaining))

    def open(self, directory: Path) -> AbstractAsyncContextManager[TestBed]:
        """Start a lab with proxies."""
        return TestBed.open(directory, self._settings)

    def next_case(self) -> Case | None:
        """Return the next case."""
        return self._remaining.pop(0) if self._remaining else None

    async def run_case(self, bed: TestBed, case: Case) -> None:
        """Run one case, and explain it if it failed."""
        row = await run_case(bed, case)
        self.state.rows.append(row)
        took = "" if row.rollback_seconds is None else f", rollback {row.rollback_seconds} s"
        self.say(f"{row.case}: {row.outcome}, {row.seconds} s{took}")
        if not row.problems:
            return
        lines = [f"  problem: {problem}" for problem in row.problems]
        lines += [f"  {kind}: {'; '.join(details[:5])}" for kind, details in row.details.items()]
        lines += [f"  the run asked: {question}" for question in row.questions]
        for line in lines:
            self.say(line)
        if self.json:
            directory = self.json.with_suffix(".failures") / row.case.replace(":", "-")
            await bed.save_evidence(directory, "\n".join([row.case, *lines]))

    def table(self) -> Table:
        """Stages by ways to fail."""
        return self.state.table(self._wanted)

    def problems(self) -> Iterator[str]:
        """Everything that must not be."""
        return self.state.problems(self._wanted)

    def as_json(self) -> dict[str, Any]:
        """The result as ``lab rollback --json`` writes it."""
        return self.state.as_json()


def selected(
    parts: tuple[Selection, ...],
    procedure: Procedure = "switchover",
    drivers: Drivers = USUAL_DRIVERS,
) -> list[Case]:
    """Return the selected cases; all of them where nothing is selected."""
    every = cases(Layout(Path("/"), "127.0.0", drivers=drivers), procedure)
    return [case for case in every if not parts or any(part.has(case) for part in parts)]
