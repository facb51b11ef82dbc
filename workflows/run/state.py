"""Everything that one run remembers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from workflows.model.actions import Action, Change, ResumeReplication
from workflows.model.configuration import ConfigurationRecord
from workflows.model.decisions import Decision, Verb, Way
from workflows.model.findings import Finding
from workflows.model.progress import (
    ActionProgress,
    Failure,
    OperatorMessage,
    PendingQuestion,
    Status,
)
from workflows.model.results import UNDO
from workflows.model.stages import POINT_OF_NO_RETURN, WITHOUT_SCHEDULING, StageName
from workflows.planning.observations import rests
from workflows.planning.plan import Plan, Stage
from workflows.planning.rollback import Baseline

RESUMES = (f"{StageName.SUSPEND_REPLICATION}{UNDO}", StageName.RESUME_REPLICATION.value)
"""Keys of the stages that resume replication."""
OVER = (Status.DONE, Status.SKIPPED)


@dataclass(frozen=True)
class ExitRequest:
    """A request to end the run before its plan is done."""

    kind: Literal["roll_back", "abort", "cancel"]
    decision: Decision

    @property
    def message(self) -> str:
        """Who requested what, and why."""
        did = {"roll_back": "rolled the run back", "abort": "aborted", "cancel": "cancelled"}
        return f"{self.decision.author} {did[self.kind]}: {self.decision.reason}"


@dataclass
class StageState:
    """How far one stage is."""

    stage: Stage
    actions: dict[str, ActionProgress]
    status: Status = Status.PENDING
    failures: list[Failure] = field(default_factory=list)
    chains_at_work: int = 0
    """Chains that execute actions of the stage now: the clock runs while there is one."""
    working_since: datetime | None = None
    worked: timedelta = timedelta()

    @classmethod
    def of(cls, stage: Stage) -> StageState:
        """Return the state of a stage that has not begun."""
        progress = (
            ActionProgress(key=action.key, place=action.place, message=str(action))
            for action in stage.actions
        )
        return cls(stage, {one.key: one for one in progress})

    @property
    def is_over(self) -> bool:
        """Whether every action has ended or was skipped."""
        return all(action.status in OVER for action in self.actions.values())


@dataclass
class RunState:
    """Everything that one run remembers; ``version`` rises with whatever an operator can see."""

    identity: str
    started_at: datetime
    version: int = 0

    # The plan, and how far it is.
    plan: Plan | None = None
    plan_hash: str = ""
    reason: str = ""
    stages: dict[str, StageState] = field(default_factory=dict)
    """By key: the stages of the plan, then those of the rollback."""
    entered: list[Stage] = field(default_factory=list)
    current_stage: StageName = StageName.CHECK_PREREQUISITES
    drain_time: timedelta = timedelta()
    """Time in which the run only waited for sessions or the event queue."""
    exceptions: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    outcome: str | None = None

    # What operators decided, and what the run asks them.
    messages: list[OperatorMessage] = field(default_factory=list)
    ignored: int = 0
    """Older messages without effect that `messages` no longer has."""
    early: list[tuple[Verb, Decision, Way, str]] = field(default_factory=list)
    """Messages that came before the plan, and their senders."""
    approvals: dict[StageName, list[str]] = field(default_factory=dict)
    rejections: dict[StageName, Decision] = field(default_factory=dict)
    decisions: list[tuple[Verb, Decision]] = field(default_factory=list)
    """Every retry, skip, extend and force that counted, in the order of arrival."""
    questions: list[PendingQuestion] = field(default_factory=list)
    """Open questions, the oldest first."""
    drain_waits: dict[tuple[StageName, str], int] = field(default_factory=dict)
    """Waits for clients that are open, and how many decisions there were before each."""
    exit_request: ExitRequest | None = None
    cancelled: bool = False
    paused_since: datetime | None = None
    paused_before: timedelta = timedelta()

    # What a rollback and later stages depend on.
    baseline: Baseline = field(default_factory=Baseline)
    started: dict[StageName, list[Action]] = field(default_factory=dict)
    """By stage: changes that may have begun, each recorded before it acts."""
    finished: set[str] = field(default_factory=set)
    """Keys of the stages whose every action has ended."""
    undoing: set[StageName] = field(default_factory=set)
    """Stages whose rollback has begun to act."""
    already_down: frozenset[str] = frozenset()
    """Source nodes on which nothing ran any more when this run began."""
    declared_down: dict[str, str] = field(default_factory=dict)
    """Nodes that were confirmed unreachable, and who declared them down."""
    waited_for_people: timedelta = timedelta()
    """How long the run waited for operators since the last check of the prerequisites."""
    rollback_reason: str | None = None
    """Why the run is rolled back, from the moment that this is decided."""
    redirected_at: datetime | None = None
    """When the last load balancer host began to send new sessions to the target."""
    configuration: ConfigurationRecord = field(default_factory=ConfigurationRecord)
    """What the configuration was when replication was suspended, and what has changed since."""
    watch_taken_over: bool = False
    """Whether `configuration` has what an earlier watch has recorded."""
    compared_at: dict[str, datetime] = field(default_factory=dict)
    """By replication link: when the run last began to compare what both sides wrote."""
    rounds: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By stage and action: how many rounds have ended with a known outcome."""
    remaining_reads: int = 0
    down_checks: int = 0

    # Decisions

    def is_approved(self, gate: StageName) -> bool:
        """Whether enough operators have approved a gate."""
        needed = 1 if self.plan is None else self.plan.approvals.needed
        return len(self.approvals.get(gate, ())) >= needed

    @property
    def paused(self) -> bool:
        """Whether nothing new may begin."""
        return self.paused_since is not None

    def paused_for(self, now: datetime) -> timedelta:
        """How long the run has been paused altogether."""
        since = self.paused_since
        return self.paused_before + (now - since if since else timedelta())

    def skipped(self, stage: Stage, place: str) -> Decision | None:
        """Return the decision that skips a stage, or its actions on one place."""
        return None if stage.undo else next(self._made("skip", stage.name, place), None)

    def forced(self, stage: Stage, place: str) -> Decision | None:
        """Return the decision that ends an open wait for clients."""
        before = self.drain_waits.get((stage.name, place), len(self.decisions))
        return next(self._made("force", stage.name, place, before), None)

    def extension(self, stage: Stage, place: str) -> timedelta:
        """How much longer than the drain timeout a wait may take."""
        made = self._made("extend", stage.name, place)
        return timedelta(minutes=sum(decision.minutes or 0 for decision in made))

    def answers(
        self, question: PendingQuestion, places: Iterable[str], before: int
    ) -> list[tuple[Verb, Decision]]:
        """Return the decisions on a question, made after the first *before* ones."""
        failed = set(places)
        return [
            (verb, decision)
            for verb, decision in self.decisions[before:]
            if verb in question.answers and decision.stage is question.stage
            # To force the failures of all nodes at once is not possible: force names one node.
            if decision.node in failed or (decision.node is None and verb != "force")
        ]

    def draining(self, stage: StageName) -> list[str]:
        """Return the places where a stage waits for clients now."""
        return [place for name, place in self.drain_waits if name is stage]

    def failures(self, name: StageName) -> list[Failure]:
        """Return the failures of a stage that are not decided."""
        rolling_back = self.rollback_reason is not None
        return [
            action.failure
            for one in self.stages.values()
            if one.stage.name is name and one.stage.undo is rolling_back
            for action in one.actions.values()
            if action.status is Status.FAILED and action.failure is not None
        ]

    def status(self, name: StageName) -> Status:
        """How far a stage of the plan is."""
        return self.stages[name.value].status if self.stages else Status.PENDING

    def _made(
        self, verb: Verb, stage: StageName, place: str, before: int = 0
    ) -> Iterator[Decision]:
        for made, decision in self.decisions[before:]:
            if made == verb and decision.stage is stage and decision.node in (None, place):
                yield decision

    # What was changed

    def register(self, stage: Stage, action: Action) -> None:
        """Record a change before it acts: a rollback concerns it from now on."""
        if stage.undo:
            self.undoing.add(stage.name)
        elif isinstance(action, Change) and action not in self.started.setdefault(stage.name, []):
            self.started[stage.name].append(action)

    def adopt(self, plan: Plan, stages: Iterable[StageName]) -> None:
        """Treat what an interrupted run began as begun by this run."""
        for name in stages:
            self.started[name] = [a for a in plan.stage(name).actions if isinstance(a, Change)]

    def is_under_way(self, *stages: StageName) -> bool:
        """Whether any of these stages has begun, and not all of them are finished."""
        return any(self.started.get(name) for name in stages) and not all(
            name.value in self.finished for name in stages
        )

    @property
    def replication_suspended(self) -> bool:
        """Whether replication is off, wholly or in part, where this run is now."""
        if self.plan is None:
            return False
        if self.plan.procedure == "switchover":
            begun = bool(self.started.get(StageName.SUSPEND_REPLICATION))
            return begun and f"{StageName.SUSPEND_REPLICATION}{UNDO}" not in self.finished
        stage = StageName.RESUME_REPLICATION
        if stage.value in self.finished and stage not in self.undoing:
            return False
        links = self.baseline.links.values()
        return any(one.enabled is False and not rests(self.plan, one) for one in links)

    @property
    def replication_resumes(self) -> bool:
        """Whether replication has begun to carry changes again: they show on the other side."""
        return any(
            isinstance(action, ResumeReplication)
            and one.actions[action.key].status is not Status.PENDING
            for key in RESUMES
            if (one := self.stages.get(key)) is not None
            for action in one.stage.actions
        )

    @property
    def dark_clusters(self) -> tuple[str, ...]:
        """The cluster that is shut down, or is being shut down, where this run is now."""
        if self.plan is None:
            return ()
        if self.plan.procedure == "rejoin":
            first = StageName.START_ADMIN
            up = first.value in self.finished and first not in self.undoing
            return () if up else (self.plan.target,)
        last = StageName.STOP_REMAINING_SERVICES
        down = bool(self.started.get(last)) and f"{last}{UNDO}" not in self.finished
        return (self.plan.source,) if down else ()

    @property
    def past_return(self) -> bool:
        """Whether the first graceful stop may have been sent."""
        return bool(self.started.get(POINT_OF_NO_RETURN))

    @property
    def scheduled_somewhere(self) -> bool:
        """Whether scheduling runs on one of the clusters, during a rollback."""
        return all(self._scheduled(stages[0], stages[-1]) for stages in WITHOUT_SCHEDULING)

    def _scheduled(self, stop: StageName, start: StageName) -> bool:
        if not self.started.get(stop) or f"{stop}{UNDO}" in self.finished:
            return True
        return start.value in self.finished and start not in self.undoing
