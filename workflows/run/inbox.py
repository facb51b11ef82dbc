"""What operators said, and whether it counts: approvals, decisions, and everything refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from workflows.errors import BadInput
from workflows.model.decisions import VERBS, Decision, Verb, Way, missing, parse_decision
from workflows.model.progress import Failure, OperatorMessage, Status
from workflows.model.stages import StageName
from workflows.planning.plan import Plan
from workflows.run.progress_tracker import ProgressTracker
from workflows.run.validation import objection

MAX_MESSAGES = 500
"""So many messages are kept; what is over is counted by Temporal's history alone."""


@dataclass
class Question:
    """What the run asks of someone, until it is answered."""

    stage: StageName
    verbs: tuple[Verb, ...]
    failures: tuple[Failure, ...] = ()
    answers: list[tuple[Verb, Decision]] = field(default_factory=list)


@dataclass(frozen=True)
class ExitRequest:
    """Someone wants the run to go no further."""

    kind: Literal["roll_back", "abort", "cancel"]
    decision: Decision

    @property
    def message(self) -> str:
        """Who did what, and why."""
        did = {"roll_back": "rolled it back", "abort": "aborted", "cancel": "cancelled"}[self.kind]
        return f"{self.decision.by or 'someone'} {did}: {self.decision.reason}"


class Inbox:
    """Takes messages at any moment of a run, even before it has a plan."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.plan: Plan | None = None
        self._tracker: ProgressTracker | None = None
        self._approvals: dict[StageName, list[str]] = {}
        self._answered: set[StageName] = set()
        self._rejections: dict[StageName, Decision] = {}
        self._early: list[tuple[Verb, Sequence[Any], Way]] = []
        self.questions: list[Question] = []
        self._waits: dict[tuple[StageName, str], Decision | None] = {}
        """Waits for clients that are open, by stage and place, and who forced them."""
        self._extensions: list[Decision] = []
        self._skips: list[Decision] = []
        self._paused_since: datetime | None = None
        self._paused_before = timedelta()
        self.rolling_back = False
        self.leaving: ExitRequest | None = None
        self.cancelled = False
        self.messages: list[OperatorMessage] = []

    def open(self, plan: Plan, tracker: ProgressTracker) -> None:
        """From now on the desk knows which gates there are; what came earlier counts now."""
        self.plan, self._tracker = plan, tracker
        for verb, given, way in self._early:
            self.take(verb, given, way)

    def objection(self, verb: Verb, given: Sequence[Any]) -> str | None:
        """Why this message cannot count now; None where it can."""
        try:
            decision = parse_decision(given)
        except BadInput as mistake:
            return str(mistake)
        return missing(verb, decision) or objection(self, verb, decision)

    def take(self, verb: Verb, given: Sequence[Any], way: Way) -> str:
        """Let the message count, or record why it does not; answer in one sentence."""
        refusal = self.objection(verb, given)
        if refusal is not None:
            return self._record(verb, _readable(given), way, refusal, counted=False)
        if self.plan is None and verb in ("approve", "reject", "skip", "extend"):
            self._early.append((verb, given, way))
            return "noted; it counts as soon as the plan is there"
        decision = parse_decision(given)
        message, counted = self._count(verb, decision)
        return self._record(verb, decision, way, message, counted=counted)

    def record_unknown(self, name: str) -> None:
        """Record a message whose name nobody knows."""
        message = f"unknown signal; known are {', '.join(VERBS)}"
        self._record(name[:100], Decision(), "signal", message, counted=False)

    def cancel(self) -> None:
        """Temporal was asked to cancel the run: that is the wish of nobody we know."""
        self.cancelled = True
        decision = Decision(by="temporal", reason="cancellation requested")
        self.leaving = self.leaving or ExitRequest("cancel", decision)
        self._go_on()

    def turned_back(self) -> None:
        """The run is being rolled back: what said so has been heard, and may be said no more."""
        self.rolling_back, self.leaving = True, None

    # What the run asks the desk

    def is_open(self, gate: StageName) -> bool:
        """Whether enough people have approved; closed for good once it was answered."""
        return gate in self._answered

    def rejection(self, gate: StageName) -> Decision | None:
        """Who refused a gate, and why; None where nobody did."""
        return self._rejections.get(gate)

    def forget_rejection(self, gate: StageName) -> None:
        """Someone wants the gate to be asked again."""
        self._rejections.pop(gate, None)

    def approved_by(self, gate: StageName) -> tuple[str, ...]:
        """Who has approved a gate so far."""
        return tuple(self._approvals.get(gate, ()))

    @property
    def paused(self) -> bool:
        """Whether nothing new may begin."""
        return self._paused_since is not None

    @property
    def paused_for(self) -> timedelta:
        """How long the run has been paused altogether, by now."""
        since = self._paused_since
        return self._paused_before + (self._now() - since if since else timedelta())

    def ask(self, question: Question) -> None:
        """The run waits for a decision."""
        self.questions.append(question)

    def close(self, question: Question) -> None:
        """The run waits for that no more."""
        self.questions = [one for one in self.questions if one is not question]

    def watch(self, stage: StageName, places: Sequence[str]) -> None:
        """The run waits for clients at these places, which may be forced."""
        self._waits |= {(stage, place): None for place in places}

    def unwatch(self, stage: StageName, place: str) -> None:
        """It waits there no more."""
        self._waits.pop((stage, place), None)

    def waits_in(self, stage: StageName) -> list[str]:
        """Where clients are waited for in a stage now."""
        return [place for waits, place in self._waits if waits is stage]

    def status(self, stage: StageName) -> Status:
        """How far a stage is."""
        return self._tracker.status(stage) if self._tracker else Status.PENDING

    def forced(self, stage: StageName, place: str) -> Decision | None:
        """Who wants a wait to end, and why."""
        return self._waits.get((stage, place))

    def extension(self, stage: StageName, place: str) -> timedelta:
        """How much longer than its patience a wait may take."""
        minutes = (
            one.minutes or 0
            for one in self._extensions
            if one.stage is stage and one.node in (None, place)
        )
        return timedelta(minutes=sum(minutes))

    def skipped(self, stage: StageName, place: str) -> Decision | None:
        """Who wants the orders of a stage, or those for one place, to be left out, and why."""
        for one in self._skips:
            if one.stage is stage and one.node in (None, place):
                return one
        return None

    # What a message does

    def _count(self, verb: Verb, decision: Decision) -> tuple[str, bool]:  # noqa: PLR0911 - one a verb
        match verb:
            case "approve":
                return self._approve(decision)
            case "reject":
                return self._reject(decision)
            case "pause":
                return self._pause()
            case "resume":
                self._go_on()
                return "the run goes on", True
            case "retry" | "force":
                return self._answer(verb, decision)
            case "skip":
                self._skips.append(decision)
                self._answer(verb, decision)
                return f"{decision.stage} is left out{_at(decision)}", True
            case "extend":
                self._extensions.append(decision)
                return f"{decision.stage} may wait {decision.minutes} minutes longer", True
            case "roll_back" | "abort":
                return self._leave(verb, decision)

    def _answer(self, verb: Verb, decision: Decision) -> tuple[str, bool]:
        if verb == "force":
            for (stage, place), forced in self._waits.items():
                if stage is decision.stage and decision.node in (None, place):
                    self._waits[stage, place] = forced or decision
        for question in self.questions:
            places = [failure.place for failure in question.failures]
            if question.stage is decision.stage and decision.node in (None, *places):
                question.answers.append((verb, decision))
        if verb == "retry":
            return f"{decision.stage} is tried again{_at(decision)}", True
        waits = any(forced is decision for forced in self._waits.values())
        if waits:
            return f"{decision.stage} waits no longer{_at(decision)}; the outcome names whom", True
        return f"{decision.node} counts as down if it proves to be dead", True

    def _approve(self, decision: Decision) -> tuple[str, bool]:
        assert decision.stage is not None  # noqa: S101 - an objection otherwise
        gates = self._approvals.setdefault(decision.stage, [])
        if decision.stage in self._answered:
            return f"{decision.stage} was approved already; nothing changes", False
        if decision.by in gates:
            return f"{decision.by or 'nobody'} has approved {decision.stage} already", False
        gates.append(decision.by)
        needed = 1 if self.plan is None else self.plan.approvals.needed
        if len(gates) < needed:
            return f"{decision.stage} has {len(gates)} of {needed} approvals", True
        self._answered.add(decision.stage)
        return f"{decision.stage} is approved", True

    def _reject(self, decision: Decision) -> tuple[str, bool]:
        assert decision.stage is not None  # noqa: S101 - an objection otherwise
        counted = decision.stage not in self._rejections
        self._rejections.setdefault(decision.stage, decision)
        return f"{decision.stage} is rejected; the run goes no further", counted

    def _pause(self) -> tuple[str, bool]:
        if self.paused:
            return "the run is paused already; nothing changes", False
        self._paused_since = self._now()
        return "nothing new begins, and no clock of ours runs, until `resume`", True

    def _go_on(self) -> None:
        self._paused_before, self._paused_since = self.paused_for, None

    def _leave(self, kind: Literal["roll_back", "abort"], decision: Decision) -> tuple[str, bool]:
        if self.leaving is not None and self.leaving.kind == kind:
            return "that is being done already; nothing changes", False
        self.leaving = ExitRequest(kind, decision)
        self._go_on()
        what = "is taken back" if kind == "roll_back" else "ends, with nothing undone,"
        return f"the run {what} from the next boundary between effects on", True

    def _record(
        self, verb: str, decision: Decision, way: Way, effect: str, *, counted: bool
    ) -> str:
        messages = OperatorMessage(
            at=self._now(),
            verb=verb,
            way=way,
            stage=decision.stage,
            node=decision.node,
            by=decision.by,
            reason=decision.reason,
            effect=effect,
            counted=counted,
        )
        if len(self.messages) < MAX_MESSAGES:
            self.messages.append(messages)
        return effect


def _at(decision: Decision) -> str:
    return f" on {decision.node}" if decision.node else ""


def _readable(given: Sequence[Any]) -> Decision:
    try:
        return parse_decision(given)
    except BadInput:
        return Decision()
