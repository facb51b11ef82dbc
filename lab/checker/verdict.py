"""The lab's verdict on a run, from its own records alone."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from lab.checker.counts import (
    EventCounts,
    FileCounts,
    TrafficCounts,
    count_events,
    count_files,
    count_traffic,
    redirect,
)
from lab.checker.evidence import Evidence
from lab.checker.expected import chains, expected_effects, misordered
from lab.checker.invariants import Roles, in_intervals, in_samples
from lab.checker.logins import LoginCounts, count_logins
from lab.checker.rejoin import judge_rejoin, judge_rejoin_rollback
from lab.checker.rollback import REDIRECT, EffectJudgement, RollbackPoint, judge_rollback
from lab.checker.ways import WayCounts, count_ways
from lab.node import services
from lab.recorder.effects import RecordedEffect, overtaken, repeated
from workflows.model.stages import Procedure

MUST_BE_ZERO = (
    *("traffic.failed", "files.missing", "files.corrupt", "files.duplicated"),
    *("events.missing", "events.duplicated"),
    *("effects.repeated", "effects.skipped", "effects.misordered", "effects.unexpected"),
    "invariants.violations",
)
"""Numbers of every verdict, as SECTION.NAME."""
MAX_DETAILS = 20
"""How many details of one kind a verdict keeps."""


@dataclass(frozen=True)
class Run:
    """The driver's account of the run."""

    outcome: str
    began: float
    ended: float
    stages: tuple[dict[str, Any], ...] = ()
    """``{"stage": ..., "seconds": ...}`` in sequence."""
    expected_outcome: str = "completed"
    """The outcome that it should have."""
    rollback_point: RollbackPoint | None = None
    """Where its rollback began, if it rolled back."""


@dataclass(frozen=True)
class EffectCounts:
    """What was done to services, compared with the manual."""

    expected: int
    recorded: int
    """How many of the expected ones."""
    repeated: int
    skipped: int
    misordered: int
    unexpected: int
    """Effects, or actions without effect, that the manual does not contain."""


@dataclass(frozen=True)
class InvariantCounts:
    """How often the invariants were checked, and how often one was violated."""

    samples: int
    violations: int


@dataclass(frozen=True)
class BaselineCounts:
    """Whether the estate is as it should be in the end."""

    differences: int


@dataclass(frozen=True)
class Seconds:
    """Where the time went."""

    total: float
    drain: float
    """From the target's scheduling until the last session on the source ended."""
    orchestration: float


@dataclass(frozen=True)
class Verdict:
    """Everything that is known of one run."""

    outcome: str
    traffic: TrafficCounts
    files: FileCounts
    events: EventCounts
    effects: EffectCounts
    invariants: InvariantCounts
    seconds: Seconds
    stages: tuple[dict[str, Any], ...]
    unfinished_transfers: int
    """Transfers that a Transaction Manager never finished."""
    orphans: int
    """Their unfinished files on the storages."""
    baseline: BaselineCounts | None = None
    """Of a rejoin, and of a run that rolled back."""
    jump_host: WayCounts | None = None
    """Of machines behind one."""
    sudo: LoginCounts | None = None
    """Of machines whose owner has no login."""
    expected_outcome: str = "completed"
    rollback_point: RollbackPoint | None = None
    procedure: Procedure = "switchover"
    details: dict[str, list[str]] = field(default_factory=dict)
    """What the bad numbers above consist of."""

    def problems(self) -> list[str]:
        """Every number that must be zero and is not, and every one that must not be and is."""
        return [*self._faults(), *self._empty()]

    def as_json(self) -> dict[str, Any]:
        """The verdict as ``lab demo --json`` writes it."""
        return {**asdict(self), "problems": self.problems()}

    def _faults(self) -> Iterator[str]:
        if self.outcome != self.expected_outcome:
            yield f"the outcome is {self.outcome}, expected {self.expected_outcome}"
        others = ("baseline.differences", "jump_host.past_it", "sudo.others")
        for number in (*MUST_BE_ZERO, *others):
            section, _, name = number.partition(".")
            if count := getattr(getattr(self, section), name, 0):
                yield f"{section}: {count} {name}"
        if self.unfinished_transfers:
            yield f"{self.unfinished_transfers} transfers stay In Progress"
        if self.orphans:
            yield f"{self.orphans} unfinished files remain on the storages"

    def _empty(self) -> Iterator[str]:
        denominators = [
            *("traffic.clients", "traffic.attempted"),
            *(("traffic.straddling",) if self._redirects else ()),
            *("files.expected", "events.expected"),
            *(("effects.expected", "effects.recorded") if acts(self.rollback_point) else ()),
            "invariants.samples",
        ]
        for number in denominators:
            section, _, name = number.partition(".")
            if not getattr(getattr(self, section), name):
                yield f"{section}: {name} is zero, so nothing was proved"
        if self.jump_host and acts(self.rollback_point) and self.jump_host.unreached:
            yield f"jump_host: no connection to {self.jump_host.unreached} machines went through it"
        if self.sudo and acts(self.rollback_point) and self.sudo.unreached:
            yield f"sudo: no command ran through it on {self.sudo.unreached} machines"
        if self._redirects and self.traffic.redirect_gap_seconds is None:
            yield "traffic: no client moved from the source to the target"

    @property
    def _redirects(self) -> bool:
        """Whether traffic moved: not where a rollback began before that step had its effect."""
        return self.procedure == "switchover" and (
            self.rollback_point is None
            or self.rollback_point.step > REDIRECT
            or self.traffic.redirected
        )


def judge(roles: Roles, run: Run, evidence: Evidence) -> Verdict:
    """Form a verdict; every number comes from the evidence, none from what was planned."""
    effects, effect_details = _effects(roles, run.rollback_point, evidence)
    judged, broken = in_intervals(roles, evidence.effects)
    sampled, seen = in_samples(roles, evidence.samples)
    if not evidence.samples or (acts(run.rollback_point) and not evidence.effects):
        judged = sampled = 0  # one kind of evidence does not replace the other
    compared = run.rollback_point is not None or roles.procedure == "rejoin"
    details = effect_details | {
        "differences": evidence.differences if compared else [],
        "failed": [
            f"{one.client} {one.operation}: {one.message}"
            for one in evidence.operations
            if not one.ok
        ],
        "duplicated": [" ".join(key) for key, times in evidence.work.items() if times > 1],
        "others": [line["sent"] for line in evidence.logins if line["kind"] == "other"],
        "violations": [str(violation) for violation in (*broken, *seen)],
    }
    return Verdict(
        outcome=run.outcome,
        traffic=count_traffic(evidence, *(_nodes(roles, c) for c in (roles.source, roles.target))),
        files=count_files(evidence),
        events=count_events(evidence),
        effects=effects,
        invariants=InvariantCounts(judged + sampled, len(broken) + len(seen)),
        seconds=_seconds(roles, run, evidence),
        baseline=BaselineCounts(len(evidence.differences)) if compared else None,
        jump_host=count_ways(evidence),
        sudo=count_logins(evidence),
        expected_outcome=run.expected_outcome,
        rollback_point=run.rollback_point,
        procedure=roles.procedure,
        stages=run.stages,
        unfinished_transfers=evidence.in_progress,
        orphans=evidence.orphans,
        details={kind: found[:MAX_DETAILS] for kind, found in details.items() if found},
    )


def acts(rollback_point: RollbackPoint | None) -> bool:
    """Whether a run whose rollback began there, if at all, had anything to do before."""
    return (
        rollback_point is None
        or rollback_point.step > 1
        or (rollback_point.step == 1 and rollback_point.begun)
    )


def _effects(
    roles: Roles, rollback_point: RollbackPoint | None, evidence: Evidence
) -> tuple[EffectCounts, dict[str, list[str]]]:
    judgement = _judgement(roles, rollback_point, evidence.effects)
    again = repeated(evidence.effects)
    early = [f"{recorded}, overtaking a stop" for recorded in overtaken(evidence.effects)]
    details = {
        "repeated": [str(recorded) for recorded in again],
        "skipped": judgement.skipped,
        "misordered": [*judgement.misordered, *early],
        "unexpected": [str(recorded) for recorded in judgement.unexpected if recorded not in again],
    }
    counts = {kind: len(found) for kind, found in details.items()}
    return EffectCounts(len(judgement.expected), len(judgement.done), **counts), details


def _judgement(
    roles: Roles, rollback_point: RollbackPoint | None, record: list[RecordedEffect]
) -> EffectJudgement:
    if roles.procedure == "rejoin":
        if rollback_point is None:
            return judge_rejoin(roles, record)
        return judge_rejoin_rollback(roles, rollback_point, record)
    if rollback_point is None:
        return _forward(roles, record)
    return judge_rollback(roles, rollback_point, record)


def _forward(roles: Roles, record: list[RecordedEffect]) -> EffectJudgement:
    """Judge the record of a switchover that went all the way."""
    expected = expected_effects(roles.estate, roles.source, roles.target)
    effects = frozenset(one.effect for one in expected)
    concerns = chains(roles.estate, roles.variant)
    done = frozenset(recorded.effect for recorded in record if recorded.changed)
    return EffectJudgement(
        expected=effects,
        done=effects & done,
        skipped=sorted(str(effect) for effect in effects - done),
        misordered=misordered(record, expected, concerns=concerns),
        unexpected=[
            recorded for recorded in record if not (recorded.changed and recorded.effect in effects)
        ],
    )


def _seconds(roles: Roles, run: Run, evidence: Evidence) -> Seconds:
    """The drain depends on the clients, the rest on the product."""
    source, target = _nodes(roles, roles.source), _nodes(roles, roles.target)
    scheduling = services.SCHEDULING.values()
    moved = redirect(evidence)
    begins = [
        recorded.at
        for recorded in evidence.effects
        if recorded.effect.place in target
        and recorded.effect.effect == "start"
        and recorded.effect.service in scheduling
    ] or ([moved.at] if moved else [])
    ends = [v.at for v in evidence.sessions if v.node in source and v.what == "end"]
    total = run.ended - run.began
    # Where traffic came back, its clients' last end is no end of a drain.
    went = run.rollback_point is None and begins and ends and roles.procedure == "switchover"
    drain = max(0.0, max(ends) - max(begins)) if went else 0.0
    return Seconds(round(total, 2), round(drain, 2), round(total - drain, 2))


def _nodes(roles: Roles, cluster: str) -> list[str]:
    return [node.name for node in roles.estate.cluster(cluster).nodes]
