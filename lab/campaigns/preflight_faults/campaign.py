"""Is every fault found that can be planted, and nothing on an estate without one?"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.campaigns.preflight_faults.registry import FaultRegistry
from lab.checker.roles import SOURCE, TARGET
from lab.environment.estate_file import write_estate
from lab.environment.lab import Lab
from lab.environment.temporal import TemporalServer
from lab.product_driver import Product, ReadinessAnswer
from lab.traffic.process import Traffic

WARM_UP_SECONDS = 5.0
"""Seconds of traffic before the first look."""
CLEAN_LOOKS = 10
"""At an estate without a fault, under traffic; each of them must find nothing."""


@dataclass(frozen=True)
class Row:
    """What became of one fault."""

    fault: str
    place: str
    words: str
    found: bool
    """Whether it was named, at its place, and the console's exit code said so."""
    seen: str
    severity: str
    besides: list[str]
    """What else was found then."""
    seconds: float
    unreadable: str = ""

    @classmethod
    def of(cls, plant: InjectedFault, place: str, checked: ReadinessAnswer) -> Row:
        """Judge what was said of an estate with one fault."""
        # What is wrong with a cluster may be found on its nodes.
        named = [
            finding
            for finding in checked.findings
            if finding["name"] == plant.name
            and (finding["place"] == place or finding["place"].startswith(f"{place}-"))
        ]
        others = [f"{f['place']}: {f['name']}" for f in checked.findings if f not in named]
        return cls(
            fault=plant.name,
            place=place,
            words=plant.words,
            found=bool(named) and checked.exit != 0,
            seen=named[0]["seen"] if named else "",
            severity=named[0]["severity"] if named else "",
            besides=list(dict.fromkeys(others)),
            seconds=checked.seconds,
            unreadable=checked.unreadable,
        )


@dataclass
class Results:
    """Everything that was seen."""

    clean: list[ReadinessAnswer] = field(default_factory=list)
    """Looks at an estate without a fault."""
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0

    def problems(self) -> Iterator[str]:
        """Everything that must not be."""
        for number, checked in enumerate(self.clean, 1):
            if not checked.ready:
                names = [f"{f['place']}: {f['name']}: {f['seen']}" for f in checked.findings]
                said = "; ".join(names) or checked.unreadable
                yield f"look {number} at the clean estate, exit {checked.exit}: {said}"
        yield from (
            f"{row.fault} at {row.place} was not found; instead: "
            f"{', '.join(row.besides) or row.unreadable or 'nothing'}"
            for row in self.rows
            if not row.found
        )
        if not self.clean or not self.rows:
            yield "nothing was tried"

    def as_json(self) -> dict[str, Any]:
        """The result as ``lab readiness --json`` writes it."""
        seconds = sorted(checked.seconds for checked in self.clean)
        return {
            "clean": {
                "looks": len(self.clean),
                "ready": sum(checked.ready for checked in self.clean),
                "median_seconds": seconds[len(seconds) // 2] if seconds else None,
            },
            "faults": len(self.rows),
            "found": sum(row.found for row in self.rows),
            "seconds": round(self.seconds, 1),
            "problems": list(self.problems()),
            "rows": [asdict(row) for row in self.rows],
        }


class Campaign:
    """One lab, all faults in turn."""

    def __init__(self, directory: Path, plants: Sequence[InjectedFault], json: Path | None) -> None:
        self._directory = directory
        self._plants = plants
        self._json = json
        self._console = Console(soft_wrap=True, highlight=False)
        self._began = time.monotonic()

    async def run(self) -> bool:
        """Inject everything, one at a time; return whether all of it was found."""
        results = Results()
        async with Lab.open(self._directory) as lab, _product(lab) as product:
            write_estate(lab.layout, markers=True)
            await self._look_at_a_clean_one(lab, product, results)
            registry = FaultRegistry(lab.layout)
            for plant in self._plants:
                results.rows.append(await self._try(registry, plant, product))
            results.clean.append(await self._look("without any fault again", product))
        results.seconds = time.monotonic() - self._began
        self._show(results)
        return not list(results.problems())

    async def _look_at_a_clean_one(self, lab: Lab, product: Product, results: Results) -> None:
        traffic = Traffic(lab.layout)
        traffic.start()
        try:
            await asyncio.sleep(WARM_UP_SECONDS)
            for number in range(1, CLEAN_LOOKS + 1):
                results.clean.append(await self._look(f"under traffic, look {number}", product))
            await traffic.finish()
        finally:
            await traffic.stop()

    async def _look(self, words: str, product: Product) -> ReadinessAnswer:
        checked = await product.check(SOURCE, TARGET)
        names = [f"{f['place']}: {f['name']}" for f in checked.findings]
        found = ", ".join(names) or checked.unreadable or "no finding"
        self._say(f"{words}: {found}, exit {checked.exit}, {checked.seconds} s")
        return checked

    async def _try(self, registry: FaultRegistry, plant: InjectedFault, product: Product) -> Row:
        _, place = await registry.inject(plant.name)
        try:
            row = Row.of(plant, place, await product.check(SOURCE, TARGET))
        finally:
            await registry.clear()
        said = f"found: {row.seen}" if row.found else "NOT FOUND"
        besides = f" (besides: {', '.join(row.besides)})" if row.besides else ""
        self._say(f"{row.fault} at {place}: {said}{besides}, {row.seconds} s")
        return row

    def _say(self, words: str) -> None:
        self._console.print(f"{time.monotonic() - self._began:7.1f} s  {words}", markup=False)

    def _show(self, results: Results) -> None:
        said = results.as_json()
        table = Table("", title="is every fault found, and nothing else?")
        table.add_column("")
        table.add_row("clean looks", f"{said['clean']['ready']} of {said['clean']['looks']} ready")
        table.add_row("faults", f"{said['found']} of {said['faults']} found")
        self._console.print(table)
        for problem in said["problems"]:
            self._console.print(f"problem: {problem}", style="red", markup=False)
        if self._json:
            self._json.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


@asynccontextmanager
async def _product(lab: Lab) -> AsyncIterator[Product]:
    server = TemporalServer(lab.layout)
    try:
        await server.start()
        product = Product(lab.layout, server.address)
        try:
            await product.start_worker()
            yield product
        finally:
            await product.stop()
    finally:
        await server.stop()
