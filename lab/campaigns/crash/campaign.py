"""The crash campaign: attack runs until every request was covered."""

from collections import Counter
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from lab import records
from lab.campaigns.crash.negative_controls import Control
from lab.campaigns.crash.nemesis import AttackPlan
from lab.campaigns.crash.points import Kind, Point, is_turn
from lab.campaigns.crash.results import Coverage, CrashResults
from lab.campaigns.crash.run import AttackResult, attack
from lab.campaigns.crash.schedule import (
    MAX_POINTS_PER_RUN,
    MAX_POINTS_PER_RUN_AT_PLACES,
    SIDES,
    Catalogue,
    KnownRequest,
    Schedule,
    shares,
)
from lab.campaigns.runner import Campaign, CampaignState
from lab.campaigns.testbed import Settings, TestBed
from lab.checker.expected import Variant
from lab.layout import JUMP_HOST, USUAL_DRIVERS, Drivers
from lab.simulation_options import SimulationOptions
from workflows.model.stages import Procedure

FULL_CAMPAIGN_POINTS: dict[Procedure, int] = {"switchover": 300, "rejoin": 100}
"""A campaign of this many points of all kinds must cover every request."""
MAX_EXTRA_RUNS = 60
"""How many runs a full campaign may add until every request is covered."""
MAX_REQUEST = 100
"""Characters of a request that was not covered."""
MAX_EXTRA_POINTS = 2
"""Of each side, in one such run: more would disturb one another while stage 0 only reads."""
SETTINGS = Settings(
    # Stops end at their timeout, so that a stop is pending when the worker is back.
    simulation=SimulationOptions(
        graceful_stop_ends="at_timeout", transaction_manager_clock=4.0, storage_delay=0.2
    ),
    timing={
        # Longer than a killed worker needs until it is back at work.
        "grace": 8,
        "storage_delay": 0.5,
        # Bounds the attempt of a statement, which is not retried before it is over.
        "replication_timeout": 3,
    },
)

BREAKING_OFF = replace(
    SETTINGS, simulation=replace(SETTINGS.simulation, faults={JUMP_HOST: {"session_seconds": "8"}})
)
"""A jump host that ends every connection after a while, so that logins come in all stages."""


@dataclass(frozen=True)
class CrashOptions:
    """What the command line asks for."""

    points: int = 300
    seed: int = 1
    labs: int = 2
    only: Kind | None = None
    variant: Variant = "by_stage"
    procedure: Procedure = "switchover"
    drivers: Drivers = USUAL_DRIVERS
    worker_per_cluster: bool = False
    at: tuple[str, ...] = ()
    """Only requests to these places; all of them, where none is named."""
    control: Control | None = None
    replay: AttackPlan | None = None
    json: Path | None = None

    @property
    def request(self) -> object:
        """What an interrupted campaign must have in common with the one that resumes it."""
        if self.control or self.replay:
            return None
        return replace(self, labs=0, json=None)

    @property
    def full(self) -> bool:
        """Whether the campaign has to cover every request."""
        single = self.only or self.control or self.replay
        enough = self.points >= FULL_CAMPAIGN_POINTS[self.procedure]
        return bool(self.at or enough) and not single


@dataclass
class CrashState(CampaignState):
    """The progress of a crash campaign."""

    schedule: Schedule = field(default_factory=lambda: Schedule.of(Catalogue(), 1, Counter()))
    results: CrashResults = field(default_factory=CrashResults)
    last_run: int = 0


class CrashCampaign(Campaign[TestBed, AttackPlan, CrashState]):
    """Many runs, each attacked at several points."""

    def __init__(self, options: CrashOptions) -> None:
        self._options = options
        self._wanted = shares(options.points, options.only, bound=bool(options.at))
        super().__init__(CrashState(), options.json, options.request)
        self._single = options.replay
        if self.state.schedule.catalogue.requests:
            self.state.schedule.reschedule(self._wanted)

    @property
    def labs(self) -> int:
        """One run needs only one estate."""
        return 1 if self._options.replay or self._options.control else self._options.labs

    def open(self, directory: Path) -> AbstractAsyncContextManager[TestBed]:
        """Start a lab with proxies."""
        options = self._options
        settings = replace(
            BREAKING_OFF if options.drivers.jump_host else SETTINGS,
            drivers=options.drivers,
            worker_per_cluster=options.worker_per_cluster,
        )
        return TestBed.open(directory, settings)

    async def prepare(self, bed: TestBed) -> None:
        """Learn from one run without attacks which requests a switchover consists of."""
        if self._options.replay or self.state.schedule.catalogue.requests:
            return
        self.say(f"one {self._options.procedure} without attacks, to learn its requests")
        run = await self._attack(bed, self._plan(0, ()))
        found = catalogue(bed, run.events, self._options.procedure, self._options.at)
        if not found.turning:
            self.say("it did not complete, so there is nothing to attack")
            return
        most = MAX_POINTS_PER_RUN_AT_PLACES if self._options.at else MAX_POINTS_PER_RUN
        self.state.schedule = Schedule.of(found, self._options.seed, self._wanted, most)
        if control := self._options.control:
            self._single = self._controlled(control, found)
        self.say(f"it has {len(found.requests)} different requests")

    def next_case(self) -> AttackPlan | None:
        """Return the points of one more run."""
        if self._options.replay or self._options.control:
            single, self._single = self._single, None
            return single
        points = self.state.schedule.next_points() or self._extra_points()
        if not points:
            return None
        self.state.last_run += 1
        return self._plan(self.state.last_run, points)

    async def run_case(self, bed: TestBed, case: AttackPlan) -> None:
        """Attack one run."""
        await self._attack(bed, case)

    def table(self) -> Table:
        """Points by kind, and the totals."""
        return self.state.results.table(self._wanted, self._coverage())

    def problems(self) -> list[str]:
        """Everything that must not be."""
        for decision in self.state.results.after_reboots:
            self.say(f"an operator decided after a reboot: {decision}")
        coverage = self._coverage() if self._options.full else None
        return list(self.state.results.problems(self._options.procedure, coverage))

    def as_json(self) -> dict[str, Any]:
        """The result as ``lab crash --json`` writes it."""
        options = {"seed": self._options.seed, "procedure": self._options.procedure}
        return self.state.results.as_json(self._coverage()) | options

    def _extra_points(self) -> tuple[Point, ...]:
        """Return points for requests that the scheduled points have not covered."""
        most = self._options.points // 5 + MAX_EXTRA_RUNS
        if not self._options.full or self.state.results.runs >= most or self._coverage().complete:
            return ()
        schedule = self.state.schedule
        for kind, when in SIDES.items():
            schedule.kinds += [kind] * min(MAX_EXTRA_POINTS, len(schedule.uncovered(when)))
        return schedule.next_points()

    def _plan(
        self, number: int, points: tuple[Point, ...], control: Control | None = None
    ) -> AttackPlan:
        seed = self._options.seed * 1000 + number
        options = self._options
        return AttackPlan(seed, points, control, options.variant, options.procedure)

    def _controlled(self, control: Control, found: Catalogue) -> AttackPlan:
        """Kill a worker right after a graceful stop began; an early start needs no kill."""
        kill = Point("after_effect", found.turning[0])
        return self._plan(1, (kill,) if control == "ledger_vanishes" else (), control)

    async def _attack(self, bed: TestBed, plan: AttackPlan) -> AttackResult:
        run = await attack(bed, plan)
        problems = self.state.results.add(run)
        self.state.schedule.record([one.point for one in run.attacks], run.missed)
        self.state.schedule.covered.update(*(one.caught for one in run.attacks))
        verdict = run.verdict
        self.say(
            f"run {plan.seed}: {verdict.outcome}, {len(run.attacks)} attacks, "
            f"{verdict.seconds.total} s"
        )
        if run.missed:
            self.say(f"  missed, scheduled again: {' '.join(map(str, run.missed))}")
        for problem in problems:
            self.say(f"  problem: {problem}")
        if problems:
            await self._explain(bed, run)
        return run

    async def _explain(self, bed: TestBed, run: AttackResult) -> None:
        for kind, details in run.verdict.details.items():
            self.say(f"  {kind}: {'; '.join(details[:5])}")
        if run.plan.points and not run.plan.control:
            self.say(f"  repeat it: {self._command} --replay '{run.plan.token}'")
        if self.json is not None:
            attacks = [f"{one.at:.2f} {one.point} {one.description}" for one in run.attacks]
            directory = self.json.with_suffix(".failures") / str(run.plan.seed)
            await bed.save_evidence(directory, "\n".join([run.plan.token, *attacks]))

    @property
    def _command(self) -> str:
        rejoin = " --procedure rejoin" if self._options.procedure == "rejoin" else ""
        near = " --worker-per-cluster" if self._options.worker_per_cluster else ""
        return f"python -m lab crash{rejoin}{near}{self._options.drivers}"

    def _coverage(self) -> Coverage:
        schedule = self.state.schedule
        known = len(schedule.catalogue.requests)
        open_ = {when: schedule.uncovered(when) for when in SIDES.values()}
        missing = (
            f"{when} {one.request.key}: {str(one.request)[:MAX_REQUEST]}"
            for when, requests in open_.items()
            for one in requests
        )
        before, after = (known - len(requests) for requests in open_.values())
        return Coverage(known, before, after, tuple(missing))


def catalogue(
    bed: TestBed, events: int, procedure: Procedure, at: tuple[str, ...] = ()
) -> Catalogue:
    """Return the requests, to these places, of the run that has just ended without attacks."""
    effects = list(records.read(bed.lab.layout.effects))
    changed = min((entry["at"] for entry in effects), default=0.0)
    requests = bed.proxies.request_monitor.requests
    seen = sorted(requests.items(), key=lambda item: item[1].first)
    return Catalogue(
        requests=tuple(
            KnownRequest(request, found.times, observing=found.first < changed)
            for request, found in seen
            if not at or request.place in at
        ),
        events=events,
        turning=tuple(
            sorted({e["place"] for e in effects if is_turn(procedure, e["effect"], e["service"])})
        ),
    )
