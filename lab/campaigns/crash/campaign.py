"""How are hundreds of points hit, on estates side by side, until every request was covered?"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from rich.live import Live

from lab import records
from lab.campaigns.crash.artifacts import keep_evidence
from lab.campaigns.crash.negative_controls import Control
from lab.campaigns.crash.nemesis import AttackPlan
from lab.campaigns.crash.points import Point
from lab.campaigns.crash.results import Covered, CrashResults
from lab.campaigns.crash.run import AttackResult, attack
from lab.campaigns.crash.schedule import SIDES, Catalogue, KnownRequest, Schedule, shares
from lab.campaigns.crash.state import State, Wishes, forget, keep, kept
from lab.campaigns.crash.testbed import TestBed

MAX_EXTRA_RUNS = 12
"""How many runs a whole campaign may add until every request is covered."""


class Campaign:
    """One campaign, told to a terminal."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._console = Console(highlight=False)
        self._wanted = shares(wishes.points, wishes.only)
        self._state = kept(wishes) or State(
            CrashResults(), Schedule(Catalogue((), 0, ()), random.Random(wishes.seed), [])
        )
        self._began = time.monotonic() - self._state.seconds
        self._live: Callable[[], None] = lambda: None

    async def run(self) -> bool:
        """Let it happen; whether nothing was found that must not be."""
        async with AsyncExitStack() as stack:
            places = [self._wishes.place / f"{n}" for n in range(self._labs)]
            for place in places:
                _make_room(place)
            testbeds = await asyncio.gather(
                *(stack.enter_async_context(TestBed.open(place)) for place in places)
            )
            if self._wishes.replay:
                await self._one(testbeds[0], self._wishes.replay)
            else:
                await self._attack_all(testbeds)
        return self._report()

    async def _attack_all(self, testbeds: list[TestBed]) -> None:
        if self._state.schedule.catalogue.requests:
            self._say(f"goes on after {self._state.results.runs} runs")
            self._state.schedule.take_back(self._wanted)
        elif not await self._look(testbeds[0]):
            self._say("it did not come to its end: there is nothing to attack")
            return
        if self._wishes.control:
            await self._one(testbeds[0], self._controlled(self._wishes.control))
            return
        with Live(console=self._console, transient=True, auto_refresh=False) as live:
            self._live = lambda: live.update(
                self._state.results.table(self._wanted, self._covered()), refresh=True
            )
            self._live()
            await asyncio.gather(*(self._go_on(testbed) for testbed in testbeds))
            self._live = lambda: None

    async def _look(self, testbed: TestBed) -> bool:
        """Learn what a switchover consists of; whether there was a whole one to learn from."""
        self._say("one switchover without attacks, to know its requests")
        run = await self._one(testbed, self._attack_plan(0, ()))
        quiet = catalogue(testbed, run.events)
        self._state.schedule = Schedule.of(quiet, random.Random(self._wishes.seed), self._wanted)
        self._remember()
        self._say(f"it has {len(quiet.requests)} different requests")
        return bool(quiet.draining)

    def _attack_plan(
        self, number: int, points: tuple[Point, ...], control: Control | None = None
    ) -> AttackPlan:
        seed = self._wishes.seed * 1000 + number
        return AttackPlan(seed, points, control, self._wishes.variant)

    def _controlled(self, control: Control) -> AttackPlan:
        """Kill a worker right after a graceful stop began; a start needs nobody's help."""
        node = self._state.schedule.catalogue.draining[0]
        points = (Point("after_effect", node),) if control == "ledger_vanishes" else ()
        return self._attack_plan(1, points, control)

    async def _go_on(self, testbed: TestBed) -> None:
        while points := self._next_points():
            self._state.numbers += 1
            await self._one(testbed, self._attack_plan(self._state.numbers, points))

    def _next_points(self) -> tuple[Point, ...]:
        if points := self._state.schedule.next_points():
            return points
        most = self._wishes.points // 5 + MAX_EXTRA_RUNS
        if not self._wishes.whole or self._state.results.runs >= most or self._covered().whole:
            return ()
        self._state.schedule.kinds = [
            k for k, when in SIDES.items() if self._state.schedule.uncovered(when)
        ]
        return self._state.schedule.next_points()

    async def _one(self, testbed: TestBed, plan: AttackPlan) -> AttackResult:
        run = await attack(testbed, plan)
        problems = self._state.results.add(run)
        self._state.schedule.settle([a.point for a in run.attacks], run.missed)
        self._state.schedule.covered.update(*(a.caught for a in run.attacks))
        seconds = run.verdict.seconds.total
        self._say(
            f"run {plan.seed}: {run.verdict.outcome}, {len(run.attacks)} attacks, {seconds} s"
        )
        if run.missed:
            self._say(f"  not met, to be tried again: {' '.join(map(str, run.missed))}")
        for problem in problems:
            self._say(f"  problem: {problem}")
        if problems:
            for kind, words in run.verdict.details.items():
                self._say(f"  {kind}: {'; '.join(words[:5])}")
            if plan.points and not plan.control:
                self._say(f"  again: python -m lab crash --replay '{plan.token}'")
            await self._keep_evidence(testbed, run)
        self._remember()
        self._live()
        return run

    def _remember(self) -> None:
        self._state.seconds = time.monotonic() - self._began
        if self._state.schedule.catalogue.requests:
            keep(self._wishes, self._state)

    async def _keep_evidence(self, testbed: TestBed, run: AttackResult) -> None:
        if self._wishes.json is not None:
            place = self._wishes.json.with_suffix(".failures") / str(run.plan.seed)
            attacks = (f"{a.at:.2f} {a.point} {a.words}" for a in run.attacks)
            await keep_evidence(testbed, place, "\n".join([run.plan.token, *attacks]))

    def _covered(self) -> Covered:
        known = len(self._state.schedule.catalogue.requests)
        before, after = (
            known - len(self._state.schedule.uncovered(when)) for when in ("before", "after")
        )
        return Covered(known, before, after)

    def _report(self) -> bool:
        results, covered = self._state.results, self._covered()
        self._console.print(results.table(self._wanted, covered))
        problems = list(results.problems(covered if self._wishes.whole else None))
        for problem in problems:
            self._console.print(f"problem: {problem}", style="red", markup=False, soft_wrap=True)
        for decision in results.excused:
            self._say(f"an operator decided after a reboot: {decision}")
        if self._wishes.json:
            seconds = round(time.monotonic() - self._began, 1)
            result = results.as_json(covered) | {"seed": self._wishes.seed, "seconds": seconds}
            result |= {"problems": problems}
            text = json.dumps(result, indent=1) + "\n"
            self._wishes.json.write_text(text, encoding="utf-8")
            forget(self._wishes)
        return not problems

    @property
    def _labs(self) -> int:
        """One run needs but one estate."""
        return 1 if self._wishes.replay or self._wishes.control else self._wishes.labs

    def _say(self, words: str) -> None:
        elapsed = time.monotonic() - self._began
        self._console.print(f"{elapsed:7.1f} s  {words}", markup=False, soft_wrap=True)


def _make_room(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)


def catalogue(testbed: TestBed, events: int) -> Catalogue:
    """Say what the run consisted of that has just ended without attacks."""
    effects = list(records.read(testbed.lab.layout.effects))
    changed = min((entry["at"] for entry in effects), default=0.0)
    seen = sorted(testbed.proxies.request_monitor.requests.items(), key=lambda item: item[1].first)
    draining = Counter(entry["place"] for entry in effects if entry["effect"] == "drain")
    return Catalogue(
        requests=tuple(KnownRequest(r, s.times, observing=s.first < changed) for r, s in seen),
        events=events,
        draining=tuple(sorted(draining)),
    )
