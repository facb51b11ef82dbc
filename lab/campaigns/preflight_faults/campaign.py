"""The campaign that injects every fault and lets the product check the estate each time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from rich.table import Table

from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.campaigns.preflight_faults.registry import FaultRegistry
from lab.campaigns.runner import Campaign, CampaignState
from lab.checker.roles import SOURCE, TARGET
from lab.environment.estate_file import write_estate
from lab.environment.lab import Lab
from lab.environment.temporal import TemporalServer
from lab.layout import Layout
from lab.product_driver import Product, ReadinessAnswer
from lab.traffic.process import Traffic

WARM_UP_SECONDS = 5.0
"""Seconds of traffic before the first check."""
CLEAN_CHECKS = 10
"""Checks of the estate without a fault, under traffic; each of them must find nothing."""


@dataclass(frozen=True)
class FaultResult:
    """The result of one fault."""

    fault: str
    place: str
    description: str
    found: bool
    """Whether it was reported, at its place, and by the console's exit code."""
    seen: str
    severity: str
    others: list[str]
    """What else was reported."""
    seconds: float
    unreadable: str = ""

    @classmethod
    def of(cls, fault: InjectedFault, place: str, answer: ReadinessAnswer) -> FaultResult:
        """Judge the console's answer on an estate with one fault."""
        # A fault of a cluster may be found on its nodes.
        found = [
            finding
            for finding in answer.findings
            if finding["name"] == fault.name
            and (finding["place"] == place or finding["place"].startswith(f"{place}-"))
        ]
        others = [f"{f['place']}: {f['name']}" for f in answer.findings if f not in found]
        return cls(
            fault=fault.name,
            place=place,
            description=fault.description,
            found=bool(found) and answer.exit != 0,
            seen=found[0]["seen"] if found else "",
            severity=found[0]["severity"] if found else "",
            others=list(dict.fromkeys(others)),
            seconds=answer.seconds,
            unreadable=answer.unreadable,
        )


@dataclass
class FaultState(CampaignState):
    """The results so far."""

    clean: list[ReadinessAnswer] = field(default_factory=list)
    """Checks of the estate without a fault."""
    rows: list[FaultResult] = field(default_factory=list)

    def problems(self) -> Iterator[str]:
        """Everything that must not be."""
        for number, answer in enumerate(self.clean, 1):
            if not answer.ready:
                found = "; ".join(
                    f"{f['place']}: {f['name']}: {f['seen']}" for f in answer.findings
                )
                reason = found or answer.unreadable
                yield f"check {number} of the clean estate, exit {answer.exit}: {reason}"
        for row in self.rows:
            if not row.found:
                instead = ", ".join(row.others) or row.unreadable or "nothing"
                yield f"{row.fault} at {row.place} was not found; instead: {instead}"
        if not self.clean or not self.rows:
            yield "nothing was checked"

    def as_json(self) -> dict[str, Any]:
        """The result as ``lab readiness --json`` writes it."""
        seconds = sorted(answer.seconds for answer in self.clean)
        return {
            "clean": {
                "checks": len(self.clean),
                "ready": sum(answer.ready for answer in self.clean),
                "median_seconds": seconds[len(seconds) // 2] if seconds else None,
            },
            "faults": len(self.rows),
            "found": sum(row.found for row in self.rows),
            "rows": [asdict(row) for row in self.rows],
        }


@dataclass(frozen=True)
class CheckedLab:
    """A lab with a worker and a Temporal server."""

    layout: Layout
    product: Product
    registry: FaultRegistry

    @classmethod
    @asynccontextmanager
    async def open(cls, directory: Path) -> AsyncIterator[Self]:
        """Start everything."""
        async with AsyncExitStack() as stack:
            lab = await stack.enter_async_context(Lab.open(directory))
            write_estate(lab.layout, markers=True)
            server = TemporalServer(lab.layout)
            stack.push_async_callback(server.stop)
            await server.start()
            product = Product(lab.layout, server.address)
            stack.push_async_callback(product.stop)
            await product.start_worker()
            yield cls(lab.layout, product, FaultRegistry(lab.layout))

    async def check(self) -> ReadinessAnswer:
        """Let the console check the estate."""
        return await self.product.check(SOURCE, TARGET)


class FaultCampaign(Campaign[CheckedLab, InjectedFault, FaultState]):
    """Every fault, one at a time, on one lab."""

    labs = 1

    def __init__(self, faults: Sequence[InjectedFault], json: Path | None) -> None:
        super().__init__(FaultState(), json, tuple(fault.name for fault in faults))
        done = {row.fault for row in self.state.rows}
        self._remaining = [fault for fault in faults if fault.name not in done]

    def open(self, directory: Path) -> Any:  # noqa: ANN401 - as the base class
        """Start a lab with the product."""
        return CheckedLab.open(directory)

    async def prepare(self, bed: CheckedLab) -> None:
        """Check the estate without a fault, under traffic."""
        if self.state.clean:
            return
        traffic = Traffic(bed.layout)
        traffic.start()
        try:
            await asyncio.sleep(WARM_UP_SECONDS)
            answers = []
            for number in range(1, CLEAN_CHECKS + 1):
                answers.append(await bed.check())
                self._show(f"under traffic, check {number}", answers[-1])
            await traffic.finish()
        finally:
            await traffic.stop()
        self.state.clean += answers

    def next_case(self) -> InjectedFault | None:
        """Return the next fault."""
        return self._remaining.pop(0) if self._remaining else None

    async def run_case(self, bed: CheckedLab, case: InjectedFault) -> None:
        """Inject one fault, check, and revert it."""
        _, place = await bed.registry.inject(case.name)
        try:
            row = FaultResult.of(case, place, await bed.check())
        finally:
            await bed.registry.revert_all()
        self.state.rows.append(row)
        found = f"found: {row.seen}" if row.found else "NOT FOUND"
        others = f" (others: {', '.join(row.others)})" if row.others else ""
        self.say(f"{row.fault} at {place}: {found}{others}, {row.seconds} s")

    async def finish(self, bed: CheckedLab) -> None:
        """Check the estate once more, without a fault."""
        answer = await bed.check()
        self._show("without a fault again", answer)
        self.state.clean.append(answer)

    def table(self) -> Table:
        """The two counts."""
        result = self.state.as_json()
        table = Table("", title="injected faults")
        table.add_column("")
        table.add_row("clean", f"{result['clean']['ready']} of {result['clean']['checks']} ready")
        table.add_row("faults", f"{result['found']} of {result['faults']} found")
        return table

    def problems(self) -> Iterator[str]:
        """Everything that must not be."""
        return self.state.problems()

    def as_json(self) -> dict[str, Any]:
        """The result as ``lab readiness --json`` writes it."""
        return self.state.as_json()

    def _show(self, title: str, answer: ReadinessAnswer) -> None:
        names = ", ".join(f"{f['place']}: {f['name']}" for f in answer.findings)
        found = names or answer.unreadable or "no finding"
        self.say(f"{title}: {found}, exit {answer.exit}, {answer.seconds} s")
