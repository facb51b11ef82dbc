"""The campaign that switches an unkind estate over for each seed."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from lab.campaigns.results import NUMBERS, Numbers, by_section, summary
from lab.campaigns.runner import Campaign, CampaignState
from lab.campaigns.testbed import TestBed
from lab.campaigns.unkind_sites.run import SETTINGS, SiteResult, run_site
from lab.layout import USUAL_DRIVERS, Drivers


@dataclass
class SitesState(CampaignState):
    """The results so far."""

    rows: list[SiteResult] = field(default_factory=list)

    def totals(self) -> Numbers:
        """The numbers of all verdicts together."""
        return Numbers({name: sum(row.numbers[name] for row in self.rows) for name in NUMBERS})


class UnkindSites(Campaign[TestBed, int, SitesState]):
    """One case for each seed."""

    def __init__(
        self, seeds: range, labs: int, json: Path | None, drivers: Drivers = USUAL_DRIVERS
    ) -> None:
        super().__init__(SitesState(), json, (seeds, drivers))
        self._settings = replace(SETTINGS, drivers=drivers)
        done = {row.seed for row in self.state.rows}
        self._remaining = [seed for seed in seeds if seed not in done]
        self._labs = labs

    @property
    def labs(self) -> int:
        """No more than there are seeds."""
        return min(self._labs, len(self._remaining))

    def open(self, directory: Path) -> AbstractAsyncContextManager[TestBed]:
        """Start a lab."""
        return TestBed.open(directory, self._settings)

    def next_case(self) -> int | None:
        """Return the next seed."""
        return self._remaining.pop(0) if self._remaining else None

    async def run_case(self, bed: TestBed, case: int) -> None:
        """Run one seed, and explain it if something was wrong."""
        row = await run_site(bed, case)
        self.state.rows.append(row)
        self.say(f"seed {row.seed}: {row.outcome}, {row.seconds} s; {row.brought}")
        if not row.problems:
            return
        lines = [f"  problem: {problem}" for problem in row.problems]
        lines += [f"  {kind}: {'; '.join(details[:5])}" for kind, details in row.details.items()]
        for line in lines:
            self.say(line)
        if self.json:
            directory = self.json.with_suffix(".failures") / str(row.seed)
            await bed.save_evidence(directory, "\n".join([row.brought, *lines]))

    def table(self) -> Table:
        """One row for each seed."""
        table = Table("seed", "outcome", "seconds", "problems", title="unkind estates")
        for row in self._rows():
            table.add_row(str(row.seed), row.outcome, str(row.seconds), str(len(row.problems)))
        totals = self.state.totals()
        table.caption = "\n".join(f"{name}: {summary(totals, name)}" for name in by_section(totals))
        return table

    def problems(self) -> Iterator[str]:
        """Everything that must not be."""
        for row in self._rows():
            if row.problems:
                yield f"seed {row.seed}: {'; '.join(row.problems)}"
        if not self.state.rows:
            yield "nothing was run"

    def as_json(self) -> dict[str, Any]:
        """The result as ``lab unkind --json`` writes it."""
        rows = self._rows()
        return {
            "seeds": len(rows),
            "completed": sum(not row.problems for row in rows),
            "totals": self.state.totals(),
            "rows": [asdict(row) for row in rows],
        }

    def _rows(self) -> list[SiteResult]:
        return sorted(self.state.rows, key=lambda row: row.seed)
