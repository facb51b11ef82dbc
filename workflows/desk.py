"""What operators said, and whether it counts: approvals, decisions, and everything refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

from workflows.errors import BadInput
from workflows.plan import Plan
from workflows.progress import Fault, Said
from workflows.request import Decision, Request, parse_decision
from workflows.stages import Slug

VERBS = ("approve", "reject", "retry", "abort")
NEED_STAGE = ("approve", "reject", "retry")
NEED_REASON = ("reject", "abort")

Way = Literal["signal", "update"]

MOST_SAID = 500
"""So many messages are kept; what is over is counted by Temporal's history alone."""


class Desk:
    """Takes messages at any moment of a run, even before it has a plan."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._request: Request | None = None
        self._plan: Plan | None = None
        self._approvals: dict[Slug, list[str]] = {}
        self._answered: set[Slug] = set()
        self._early: list[tuple[str, Sequence[Any], Way]] = []
        self._retries: list[Decision] = []
        self._deciding: tuple[Slug, tuple[Fault, ...]] | None = None
        self.said: list[Said] = []
        self._rejections: dict[Slug, Decision] = {}
        self.aborted: Decision | None = None

    def open(self, request: Request, plan: Plan) -> None:
        """From now on the desk knows which gates there are; what came earlier counts now."""
        self._request, self._plan = request, plan
        for verb, given, way in self._early:
            self.take(verb, given, way)

    def objection(self, verb: str, given: Sequence[Any]) -> str | None:
        """Why this message cannot count now; None where it can."""
        try:
            decision = parse_decision(given)
        except BadInput as mistake:
            return str(mistake)
        if verb in NEED_STAGE and decision.stage is None:
            return f'{verb} needs a stage, as in {{"stage": "redirect_traffic"}}'
        if verb in NEED_REASON and not decision.reason:
            return f'{verb} needs a reason, as in {{"reason": "..."}}'
        match verb:
            case "approve" | "reject":
                return self._objection_at_gate(verb, decision)
            case "retry":
                return self._objection_to_retry(decision)
            case _:
                return None

    def take(self, verb: str, given: Sequence[Any], way: Way) -> str:
        """Let the message count, or record why it does not; answer in one sentence."""
        objection = self.objection(verb, given)
        if objection is not None:
            return self._record(verb, _readable(given), way, objection, counted=False)
        if self._plan is None and verb != "abort":
            self._early.append((verb, given, way))
            return "noted; it counts as soon as the plan is there"
        decision = parse_decision(given)
        match verb:
            case "approve":
                words, counted = self._approve(decision)
            case "reject":
                words, counted = self._reject(decision)
            case "retry":
                self._retries.append(decision)
                words, counted = f"{decision.stage} is tried again", True
            case _:
                counted = self.aborted is None
                self.aborted = self.aborted or decision
                words = "the run ends at the next boundary between effects"
        return self._record(verb, decision, way, words, counted=counted)

    def note_unknown(self, name: str) -> None:
        """Record a message whose name nobody knows."""
        words = f"unknown signal; known are {', '.join(VERBS)}"
        self._record(name[:100], Decision(), "signal", words, counted=False)

    def cancel(self) -> None:
        """Temporal was asked to cancel the run: that is an abort by nobody we know."""
        self.aborted = self.aborted or Decision(by="temporal", reason="cancellation requested")

    def is_open(self, gate: Slug) -> bool:
        """Whether enough people have approved; closed for good once it was answered."""
        return gate in self._answered

    def rejection(self, gate: Slug) -> Decision | None:
        """Who refused a gate, and why; None where nobody did."""
        return self._rejections.get(gate)

    def approved_by(self, gate: Slug) -> tuple[str, ...]:
        """Who has approved a gate so far."""
        return tuple(self._approvals.get(gate, ()))

    def deciding(self, stage: Slug, faults: tuple[Fault, ...]) -> None:
        """The run waits for a decision about these faults."""
        self._deciding = (stage, faults)

    def decided(self) -> None:
        """The run waits no more."""
        self._deciding = None

    def take_retries(self) -> tuple[Decision, ...]:
        """Take every retry that has not been acted upon."""
        retries, self._retries = tuple(self._retries), []
        return retries

    @property
    def has_retry(self) -> bool:
        """Whether someone asked to go on."""
        return bool(self._retries)

    def _objection_at_gate(self, verb: str, decision: Decision) -> str | None:
        stage = decision.stage
        if self._request is None or self._plan is None or stage is None:
            return None  # before the plan is there, any gate may turn out to exist
        if not self._plan.stage(stage).gated:
            gates = [s.slug.value for s in self._plan.stages if s.gated]
            return f"{stage} has no gate in this run; gates: {', '.join(gates) or 'none'}"
        if verb == "reject" and stage in self._answered:
            return f"{stage} is approved already; `abort` ends the run"
        if self._request.approvers and decision.by not in self._request.approvers:
            return (
                f"{decision.by or 'nobody'} may not answer for {stage}; "
                f"approvers: {', '.join(self._request.approvers)}"
            )
        if self._request.approvals_needed > 1 and not decision.by:
            return f'{stage} needs {self._request.approvals_needed} people: say who in "by"'
        return None

    def _objection_to_retry(self, decision: Decision) -> str | None:
        if self._deciding is None:
            return "nothing waits for a decision now"
        stage, faults = self._deciding
        if decision.stage != stage:
            return f"the run waits for a decision about {stage}, not about {decision.stage}"
        places = [fault.place for fault in faults]
        if decision.node is not None and decision.node not in places:
            return f"nothing failed on {decision.node}; failed: {', '.join(places) or 'nothing'}"
        return None

    def _approve(self, decision: Decision) -> tuple[str, bool]:
        assert decision.stage is not None  # noqa: S101 - an objection otherwise
        people = self._approvals.setdefault(decision.stage, [])
        if decision.stage in self._answered:
            return f"{decision.stage} was approved already; nothing changes", False
        if decision.by in people:
            return f"{decision.by or 'nobody'} has approved {decision.stage} already", False
        people.append(decision.by)
        needed = 1 if self._request is None else self._request.approvals_needed
        if len(people) < needed:
            return f"{decision.stage} has {len(people)} of {needed} approvals", True
        self._answered.add(decision.stage)
        return f"{decision.stage} is approved", True

    def _reject(self, decision: Decision) -> tuple[str, bool]:
        assert decision.stage is not None  # noqa: S101 - an objection otherwise
        counted = decision.stage not in self._rejections
        self._rejections.setdefault(decision.stage, decision)
        return f"{decision.stage} is rejected; the run ends there", counted

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


def _readable(given: Sequence[Any]) -> Decision:
    try:
        return parse_decision(given)
    except BadInput:
        return Decision()
