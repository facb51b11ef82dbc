"""What operators said, and whether it counts: approvals, decisions, and everything refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from workflows.board import OVER, Board
from workflows.errors import BadInput
from workflows.plan import Plan
from workflows.progress import Fault, Said, Step
from workflows.request import Decision, parse_decision
from workflows.stages import Slug
from workflows.verbs import DRAINING, SKIPPABLE, VERBS, Verb, Way, missing
from workflows.windows import WINDOWED

SILENT = ("Unreachable", "OutcomeUnknown", "Lost")
"""Faults that a dead node may have caused: only these make it worth proving that it is dead."""

MOST_SAID = 500
"""So many messages are kept; what is over is counted by Temporal's history alone."""


@dataclass
class Question:
    """What the run asks of someone, until it is answered."""

    stage: Slug
    verbs: tuple[Verb, ...]
    faults: tuple[Fault, ...] = ()
    answers: list[tuple[Verb, Decision]] = field(default_factory=list)


@dataclass(frozen=True)
class Leaving:
    """Someone wants the run to go no further."""

    kind: Literal["roll_back", "abort", "cancel"]
    decision: Decision

    @property
    def words(self) -> str:
        """Who did what, and why."""
        did = {"roll_back": "rolled it back", "abort": "aborted", "cancel": "cancelled"}[self.kind]
        return f"{self.decision.by or 'someone'} {did}: {self.decision.reason}"


class Desk:
    """Takes messages at any moment of a run, even before it has a plan."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._plan: Plan | None = None
        self._board: Board | None = None
        self._approvals: dict[Slug, list[str]] = {}
        self._answered: set[Slug] = set()
        self._rejections: dict[Slug, Decision] = {}
        self._early: list[tuple[Verb, Sequence[Any], Way]] = []
        self._questions: list[Question] = []
        self._waits: dict[tuple[Slug, str], Decision | None] = {}
        """Waits for clients that are open, by stage and place, and who forced them."""
        self._extensions: list[Decision] = []
        self._skips: list[Decision] = []
        self._paused_since: datetime | None = None
        self._paused_before = timedelta()
        self._rolling_back = False
        self.leaving: Leaving | None = None
        self.cancelled = False
        self.said: list[Said] = []

    def open(self, plan: Plan, board: Board) -> None:
        """From now on the desk knows which gates there are; what came earlier counts now."""
        self._plan, self._board = plan, board
        for verb, given, way in self._early:
            self.take(verb, given, way)

    def objection(self, verb: Verb, given: Sequence[Any]) -> str | None:
        """Why this message cannot count now; None where it can."""
        try:
            decision = parse_decision(given)
        except BadInput as mistake:
            return str(mistake)
        return missing(verb, decision) or self._objection(verb, decision)

    def take(self, verb: Verb, given: Sequence[Any], way: Way) -> str:
        """Let the message count, or record why it does not; answer in one sentence."""
        objection = self.objection(verb, given)
        if objection is not None:
            return self._record(verb, _readable(given), way, objection, counted=False)
        if self._plan is None and verb in ("approve", "reject", "skip", "extend"):
            self._early.append((verb, given, way))
            return "noted; it counts as soon as the plan is there"
        decision = parse_decision(given)
        words, counted = self._count(verb, decision)
        return self._record(verb, decision, way, words, counted=counted)

    def note_unknown(self, name: str) -> None:
        """Record a message whose name nobody knows."""
        words = f"unknown signal; known are {', '.join(VERBS)}"
        self._record(name[:100], Decision(), "signal", words, counted=False)

    def cancel(self) -> None:
        """Temporal was asked to cancel the run: that is the wish of nobody we know."""
        self.cancelled = True
        decision = Decision(by="temporal", reason="cancellation requested")
        self.leaving = self.leaving or Leaving("cancel", decision)
        self._go_on()

    def turned_back(self) -> None:
        """The run is being rolled back: what said so has been heard, and may be said no more."""
        self._rolling_back, self.leaving = True, None

    # What the run asks the desk

    def is_open(self, gate: Slug) -> bool:
        """Whether enough people have approved; closed for good once it was answered."""
        return gate in self._answered

    def rejection(self, gate: Slug) -> Decision | None:
        """Who refused a gate, and why; None where nobody did."""
        return self._rejections.get(gate)

    def forget_rejection(self, gate: Slug) -> None:
        """Someone wants the gate to be asked again."""
        self._rejections.pop(gate, None)

    def approved_by(self, gate: Slug) -> tuple[str, ...]:
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
        self._questions.append(question)

    def close(self, question: Question) -> None:
        """The run waits for that no more."""
        self._questions = [one for one in self._questions if one is not question]

    def watch(self, stage: Slug, places: Sequence[str]) -> None:
        """The run waits for clients at these places, which may be forced."""
        self._waits |= {(stage, place): None for place in places}

    def unwatch(self, stage: Slug, place: str) -> None:
        """It waits there no more."""
        self._waits.pop((stage, place), None)

    def forced(self, stage: Slug, place: str) -> Decision | None:
        """Who wants a wait to end, and why."""
        return self._waits.get((stage, place))

    def extension(self, stage: Slug, place: str) -> timedelta:
        """How much longer than its patience a wait may take."""
        minutes = (
            one.minutes or 0
            for one in self._extensions
            if one.stage is stage and one.node in (None, place)
        )
        return timedelta(minutes=sum(minutes))

    def skipped(self, stage: Slug, place: str) -> Decision | None:
        """Who wants the orders of a stage, or those for one place, to be left out, and why."""
        for one in self._skips:
            if one.stage is stage and one.node in (None, place):
                return one
        return None

    # Whether a message can count

    def _objection(self, verb: Verb, decision: Decision) -> str | None:
        if (strange := self._strange_node(decision)) is not None:
            return strange
        match verb:
            case "approve" | "reject":
                return self._objection_at_gate(verb, decision)
            case "resume":
                return None if self.paused else "the run is not paused"
            case "retry":
                return self._objection_to_retry(decision)
            case "skip":
                return self._objection_to_skip(decision)
            case "extend":
                return self._objection_to_extend(decision)
            case "force":
                return self._objection_to_force(decision)
            case "roll_back" if self._rolling_back:
                return "the run is being rolled back already; `abort` ends it where it is"
            case _:
                return None

    def _strange_node(self, decision: Decision) -> str | None:
        if self._plan is None or decision.node is None:
            return None
        known = [node.name for node in self._plan.estate.nodes]
        known += [link.name for link in self._plan.estate.replication.links]
        known += [host.name for host in self._plan.estate.load_balancer.hosts]
        if decision.node in (*known, self._plan.source, self._plan.target):
            return None
        return f"there is no {decision.node} in this estate; there are {', '.join(known)}"

    def _objection_at_gate(self, verb: Verb, decision: Decision) -> str | None:
        stage, plan = decision.stage, self._plan
        if plan is None or stage is None:
            return None  # before the plan is there, any gate may turn out to exist
        window = plan.estate.change_window is not None and stage in WINDOWED
        if not (plan.stage(stage).gated or window):
            gates = [s.slug.value for s in plan.stages if s.gated]
            return f"{stage} has no gate in this run; gates: {', '.join(gates) or 'none'}"
        if self._rolling_back:
            return "the run is being rolled back: no gate will be passed any more"
        if verb == "reject" and stage in self._answered:
            return f"{stage} is approved already; `roll_back` takes the run back"
        if verb == "reject" and self._step(stage) not in (Step.PENDING, Step.WAITING):
            return f"{stage} has begun already; `roll_back` takes the run back"
        allowed = plan.approvals.approvers
        if allowed and decision.by not in allowed:
            return (
                f"{decision.by or 'nobody'} may not answer for {stage}; "
                f"approvers: {', '.join(allowed)}"
            )
        if plan.approvals.needed > 1 and not decision.by:
            return f'{stage} needs {plan.approvals.needed} people: say who in "by"'
        return None

    def _objection_to_retry(self, decision: Decision) -> str | None:
        asked = [question for question in self._questions if question.stage is decision.stage]
        if not self._questions:
            return "nothing waits for a decision now"
        if not asked:
            stages = ", ".join(sorted({question.stage.value for question in self._questions}))
            return f"the run waits for a decision about {stages}, not about {decision.stage}"
        if not any("retry" in question.verbs for question in asked):
            verbs = ", ".join(f"`{verb}`" for question in asked for verb in question.verbs)
            return f"nothing has failed in {decision.stage}: it waits; decide {verbs}"
        places = [fault.place for question in asked for fault in question.faults]
        if decision.node is not None and decision.node not in places:
            return f"nothing failed on {decision.node}; failed: {', '.join(places) or 'nothing'}"
        return None

    def _objection_to_skip(self, decision: Decision) -> str | None:
        if decision.stage not in SKIPPABLE:
            return (
                f"{decision.stage} cannot be skipped, or the promise would be broken; "
                f"skippable are {', '.join(SKIPPABLE)}"
            )
        return self._past(decision, "there is nothing left to skip")

    def _objection_to_extend(self, decision: Decision) -> str | None:
        if decision.stage not in DRAINING:
            return f"{decision.stage} waits for no client; extendable are {', '.join(DRAINING)}"
        if any(stage is decision.stage for stage, _ in self._waits):
            return None
        return self._past(decision, "there is no wait left to extend")

    def _past(self, decision: Decision, consequence: str) -> str | None:
        assert decision.stage is not None  # noqa: S101 - an objection otherwise
        if self._rolling_back:
            return f"the run is being rolled back: {consequence}"
        if self._step(decision.stage) in OVER:
            return f"{decision.stage} is over: {consequence}"
        return None

    def _objection_to_force(self, decision: Decision) -> str | None:
        stage, node = decision.stage, decision.node
        waiting = [place for waits, place in self._waits if waits is stage]
        if waiting and node in (None, *waiting):
            return None
        faults = [f for q in self._questions if q.stage is stage for f in q.faults]
        if not faults:
            there = f"; it waits at {', '.join(waiting)}" if waiting else ""
            return f"nothing that could be forced waits or has failed in {stage}{there}"
        if node is None:
            return f"say which node is dead: {', '.join(fault.place for fault in faults)}"
        kinds = {fault.kind for fault in faults if fault.place == node}
        nodes = {one.name for one in self._plan.estate.nodes} if self._plan else set()
        if node not in nodes or not kinds & set(SILENT):
            return (
                f"`force` counts a dead node as down, and nothing says that {node} is dead; "
                "`retry`, `roll_back` or `abort`"
            )
        return None

    def _step(self, stage: Slug) -> Step:
        return self._board.step(stage) if self._board else Step.PENDING

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
        for question in self._questions:
            places = [fault.place for fault in question.faults]
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
        people = self._approvals.setdefault(decision.stage, [])
        if decision.stage in self._answered:
            return f"{decision.stage} was approved already; nothing changes", False
        if decision.by in people:
            return f"{decision.by or 'nobody'} has approved {decision.stage} already", False
        people.append(decision.by)
        needed = 1 if self._plan is None else self._plan.approvals.needed
        if len(people) < needed:
            return f"{decision.stage} has {len(people)} of {needed} approvals", True
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
        self.leaving = Leaving(kind, decision)
        self._go_on()
        what = "is taken back" if kind == "roll_back" else "ends, with nothing undone,"
        return f"the run {what} from the next boundary between effects on", True

    def _record(
        self, verb: str, decision: Decision, way: Way, effect: str, *, counted: bool
    ) -> str:
        said = Said(
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
        if len(self.said) < MOST_SAID:
            self.said.append(said)
        return effect


def _at(decision: Decision) -> str:
    return f" on {decision.node}" if decision.node else ""


def _readable(given: Sequence[Any]) -> Decision:
    try:
        return parse_decision(given)
    except BadInput:
        return Decision()
