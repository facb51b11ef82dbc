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
from lab.campaigns.crash.nemesis import Mission
from lab.campaigns.crash.points import Point
from lab.campaigns.crash.results import Covered, Tally
from lab.campaigns.crash.run import Attacked, attack
from lab.campaigns.crash.schedule import SIDES, Catalogue, Deck, Known, shares
from lab.campaigns.crash.state import State, Wishes, forget, keep, kept
from lab.campaigns.crash.testbed import Den

MORE_RUNS = 12
"""How many runs a whole campaign may add until every request is covered."""


class Campaign:
    """One campaign, told to a terminal."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._console = Console(highlight=False)
        self._wanted = shares(wishes.points, wishes.only)
        self._state = kept(wishes) or State(
            Tally(), Deck(Catalogue((), 0, ()), random.Random(wishes.seed), [])
        )
        self._began = time.monotonic() - self._state.seconds
        self._live: Callable[[], None] = lambda: None

    async def run(self) -> bool:
        """Let it happen; whether nothing was found that must not be."""
        async with AsyncExitStack() as stack:
            places = [self._wishes.place / f"{n}" for n in range(self._labs)]
            for place in places:
                _make_room(place)
            dens = await asyncio.gather(
                *(stack.enter_async_context(Den.open(place)) for place in places)
            )
            if self._wishes.replay:
                await self._one(dens[0], self._wishes.replay)
            else:
                await self._attack_all(dens)
        return self._report()

    async def _attack_all(self, dens: list[Den]) -> None:
        if self._state.deck.catalogue.requests:
            self._say(f"goes on after {self._state.tally.runs} runs")
            self._state.deck.take_back(self._wanted)
        elif not await self._look(dens[0]):
            self._say("it did not come to its end: there is nothing to attack")
            return
        if self._wishes.control:
            await self._one(dens[0], self._controlled(self._wishes.control))
            return
        with Live(console=self._console, transient=True, auto_refresh=False) as live:
            self._live = lambda: live.update(
                self._state.tally.table(self._wanted, self._covered()), refresh=True
            )
            self._live()
            await asyncio.gather(*(self._go_on(den) for den in dens))
            self._live = lambda: None

    async def _look(self, den: Den) -> bool:
        """Learn what a switchover consists of; whether there was a whole one to learn from."""
        self._say("one switchover without attacks, to know its requests")
        run = await self._one(den, self._mission(0, ()))
        quiet = catalogue(den, run.events)
        self._state.deck = Deck.of(quiet, random.Random(self._wishes.seed), self._wanted)
        self._remember()
        self._say(f"it has {len(quiet.requests)} different requests")
        return bool(quiet.draining)

    def _mission(
        self, number: int, points: tuple[Point, ...], control: Control | None = None
    ) -> Mission:
        seed = self._wishes.seed * 1000 + number
        return Mission(seed, points, control, self._wishes.variant)

    def _controlled(self, control: Control) -> Mission:
        """Kill a worker right after a graceful stop began; a start needs nobody's help."""
        node = self._state.deck.catalogue.draining[0]
        points = (Point("after_effect", node),) if control == "ledger_vanishes" else ()
        return self._mission(1, points, control)

    async def _go_on(self, den: Den) -> None:
        while points := self._next_points():
            self._state.numbers += 1
            await self._one(den, self._mission(self._state.numbers, points))

    def _next_points(self) -> tuple[Point, ...]:
        if points := self._state.deck.deal():
            return points
        most = self._wishes.points // 5 + MORE_RUNS
        if not self._wishes.whole or self._state.tally.runs >= most or self._covered().whole:
            return ()
        self._state.deck.kinds = [
            k for k, when in SIDES.items() if self._state.deck.uncovered(when)
        ]
        return self._state.deck.deal()

    async def _one(self, den: Den, mission: Mission) -> Attacked:
        run = await attack(den, mission)
        problems = self._state.tally.add(run)
        self._state.deck.settle([a.point for a in run.attacks], run.missed)
        self._state.deck.covered.update(*(a.caught for a in run.attacks))
        seconds = run.verdict.seconds.total
        self._say(
            f"run {mission.seed}: {run.verdict.outcome}, {len(run.attacks)} attacks, {seconds} s"
        )
        if run.missed:
            self._say(f"  not met, to be tried again: {' '.join(map(str, run.missed))}")
        for problem in problems:
            self._say(f"  problem: {problem}")
        if problems:
            for kind, words in run.verdict.words.items():
                self._say(f"  {kind}: {'; '.join(words[:5])}")
            if mission.points and not mission.control:
                self._say(f"  again: python -m lab crash --replay '{mission.token}'")
            await self._keep_evidence(den, run)
        self._remember()
        self._live()
        return run

    def _remember(self) -> None:
        self._state.seconds = time.monotonic() - self._began
        if self._state.deck.catalogue.requests:
            keep(self._wishes, self._state)

    async def _keep_evidence(self, den: Den, run: Attacked) -> None:
        if self._wishes.json is not None:
            place = self._wishes.json.with_suffix(".failures") / str(run.mission.seed)
            attacks = (f"{a.at:.2f} {a.point} {a.words}" for a in run.attacks)
            await keep_evidence(den, place, "\n".join([run.mission.token, *attacks]))

    def _covered(self) -> Covered:
        known = len(self._state.deck.catalogue.requests)
        before, after = (
            known - len(self._state.deck.uncovered(when)) for when in ("before", "after")
        )
        return Covered(known, before, after)

    def _report(self) -> bool:
        tally, covered = self._state.tally, self._covered()
        self._console.print(tally.table(self._wanted, covered))
        problems = list(tally.problems(covered if self._wishes.whole else None))
        for problem in problems:
            self._console.print(f"problem: {problem}", style="red", markup=False, soft_wrap=True)
        for act in tally.excused:
            self._say(f"an operator decided after a reboot: {act}")
        if self._wishes.json:
            seconds = round(time.monotonic() - self._began, 1)
            result = tally.as_json(covered) | {"seed": self._wishes.seed, "seconds": seconds}
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


def catalogue(den: Den, events: int) -> Catalogue:
    """Say what the run consisted of that has just ended without attacks."""
    effects = list(records.read(den.lab.layout.effects))
    changed = min((entry["at"] for entry in effects), default=0.0)
    seen = sorted(den.lines.gatekeeper.requests.items(), key=lambda item: item[1].first)
    draining = Counter(entry["place"] for entry in effects if entry["effect"] == "drain")
    return Catalogue(
        requests=tuple(Known(r, s.times, observing=s.first < changed) for r, s in seen),
        events=events,
        draining=tuple(sorted(draining)),
    )
