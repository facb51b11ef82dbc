"""How are all cases gone through, on estates side by side?"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live

from lab.campaigns.crash.artifacts import keep_evidence
from lab.campaigns.crash.testbed import TestBed
from lab.campaigns.rollback_matrix.cases import Case, Only, cases
from lab.campaigns.rollback_matrix.results import keep, kept
from lab.campaigns.rollback_matrix.run import SETTINGS, Row, go_through
from lab.layout import Layout


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for."""

    place: Path
    parts: tuple[Only, ...] = ()
    labs: int = 2
    json: Path | None = None


class Matrix:
    """One matrix, told to a terminal."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._console = Console(highlight=False)
        self._wanted = wanted(wishes.parts)
        self._results = kept(self._state, wishes.parts)
        self._left = self._results.left(self._wanted)
        self._began = time.monotonic() - self._results.seconds
        self._live: Callable[[], None] = lambda: None

    async def run(self) -> bool:
        """Let it happen; whether all is as it should be."""
        if self._results.rows:
            self._say(f"goes on after {len(self._results.rows)} cases")
        async with AsyncExitStack() as stack:
            number = min(self._wishes.labs, len(self._left))
            places = [self._wishes.place / f"{n}" for n in range(number)]
            for place in places:
                _make_room(place)
            testbeds = await asyncio.gather(
                *(stack.enter_async_context(TestBed.open(place, SETTINGS)) for place in places)
            )
            with Live(console=self._console, transient=True, auto_refresh=False) as live:
                self._live = lambda: live.update(self._results.table(self._wanted), refresh=True)
                self._live()
                await asyncio.gather(*(self._go_on(testbed) for testbed in testbeds))
        return self._report()

    async def _go_on(self, testbed: TestBed) -> None:
        while self._left:
            case = self._left.pop(0)
            row = await go_through(testbed, case)
            self._results.rows.append(row)
            self._results.seconds = time.monotonic() - self._began
            keep(self._state, self._wishes.parts, self._results)
            await self._tell(testbed, row)
            self._live()

    async def _tell(self, testbed: TestBed, row: Row) -> None:
        back = f", back in {row.back_seconds} s" if row.back_seconds is not None else ""
        self._say(f"{row.case}: {row.outcome}, {row.seconds} s{back}")
        said = [f"  problem: {problem}" for problem in row.problems]
        said += [f"  {kind}: {'; '.join(words[:5])}" for kind, words in row.words.items()]
        said += [f"  it asked: {words}" for words in row.asked if row.problems]
        for line in said:
            self._say(line)
        if row.problems and self._wishes.json:
            name = row.case.replace(":", "-")
            place = self._wishes.json.with_suffix(".failures") / name
            await keep_evidence(testbed, place, "\n".join([row.case, *said]))

    def _report(self) -> bool:
        self._console.print(self._results.table(self._wanted))
        problems = list(self._results.problems(self._wanted))
        for problem in problems:
            self._console.print(f"problem: {problem}", style="red", markup=False, soft_wrap=True)
        if self._wishes.json and self._state:
            text = json.dumps(self._results.as_json(self._wanted), indent=1) + "\n"
            self._wishes.json.write_text(text, encoding="utf-8")
            self._state.unlink(missing_ok=True)
        return not problems

    @property
    def _state(self) -> Path | None:
        return self._wishes.json.with_suffix(".state") if self._wishes.json else None

    def _say(self, words: str) -> None:
        elapsed = time.monotonic() - self._began
        self._console.print(f"{elapsed:7.1f} s  {words}", markup=False, soft_wrap=True)


def wanted(parts: tuple[Only, ...]) -> list[Case]:
    """Return the cases of these parts; all of them where there is no part."""
    every = cases(Layout(Path("/"), "127.0.0"))
    return [case for case in every if not parts or any(part.has(case) for part in parts)]


def _make_room(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
