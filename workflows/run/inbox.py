"""Receive the decisions of operators, and record each with its effect."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from workflows.model.decisions import VERBS, Decision, Verb, Way, missing
from workflows.model.progress import OperatorMessage
from workflows.run.state import ExitRequest, RunState
from workflows.run.validation import objection

MAX_MESSAGES = 500
"""Further messages are in Temporal's history only."""


class Inbox:
    """Receives messages at any moment of a run, even before it has a plan."""

    def __init__(self, state: RunState, now: Callable[[], datetime]) -> None:
        self._state = state
        self._now = now

    def activate(self) -> None:
        """Receive the messages that came before the plan."""
        early, self._state.early = self._state.early, []
        for verb, decision, way in early:
            self.receive(verb, decision, way)

    def objection(self, verb: Verb, decision: Decision) -> str | None:
        """Return why this decision cannot apply now; None where it can."""
        return missing(verb, decision) or objection(self._state, verb, decision)

    def receive(self, verb: Verb, decision: Decision, way: Way) -> str:
        """Apply the decision, or record why it cannot apply; answer in one sentence."""
        refusal = self.objection(verb, decision)
        if refusal is not None:
            return self._record(verb, decision, way, refusal, counted=False)
        if self._state.plan is None and verb in ("approve", "reject", "skip", "extend"):
            self._state.early.append((verb, decision, way))
            return "noted; it counts as soon as the run has a plan"
        effect, counted = self._apply(verb, decision)
        return self._record(verb, decision, way, effect, counted=counted)

    def record_refused(self, verb: str, reason: str) -> None:
        """Record a signal that is unknown or unreadable."""
        self._record(verb[:100], Decision(), "signal", reason, counted=False)

    def record_unknown(self, name: str) -> None:
        """Record a signal of an unknown name."""
        self.record_refused(name, f"unknown signal; known are {', '.join(VERBS)}")

    def cancel(self) -> None:
        """Record that Temporal was asked to cancel the run; it does not say by whom."""
        self._state.cancelled = True
        decision = Decision(by="temporal", reason="cancellation requested")
        self._state.exit_request = self._state.exit_request or ExitRequest("cancel", decision)
        self._resume()

    def _apply(self, verb: Verb, decision: Decision) -> tuple[str, bool]:
        """Change the state; return the effect, and whether there was one."""
        match verb:
            case "approve":
                return self._approve(decision)
            case "reject":
                return self._reject(decision)
            case "pause":
                return self._pause()
            case "resume":
                self._resume()
                return "the run continues", True
            case "retry" | "skip" | "extend" | "force":
                self._state.decisions.append((verb, decision))
                return self._effect(verb, decision), True
            case "roll_back" | "abort":
                return self._exit(verb, decision)

    def _effect(self, verb: Literal["retry", "skip", "extend", "force"], decision: Decision) -> str:
        node = f" on {decision.node}" if decision.node else ""
        match verb:
            case "retry":
                return f"{decision.stage} is tried again{node}"
            case "skip":
                return f"{decision.stage} is skipped{node}"
            case "extend":
                return f"{decision.stage} may wait {decision.minutes} minutes longer{node}"
            case "force":
                draining = [] if decision.stage is None else self._state.draining(decision.stage)
                if draining and decision.node in (None, *draining):
                    return f"{decision.stage} waits no longer{node}; the outcome names the clients"
                return f"{decision.node} will be treated as down once it is confirmed unreachable"

    def _approve(self, decision: Decision) -> tuple[str, bool]:
        assert decision.stage is not None  # noqa: S101 - `missing` has refused it otherwise
        approvals = self._state.approvals.setdefault(decision.stage, [])
        if self._state.is_approved(decision.stage):
            return f"{decision.stage} was approved already; nothing changes", False
        if decision.by in approvals:
            return f"{decision.author} has approved {decision.stage} already", False
        approvals.append(decision.by)
        if not self._state.is_approved(decision.stage):
            needed = 1 if self._state.plan is None else self._state.plan.approvals.needed
            return f"{decision.stage} has {len(approvals)} of {needed} approvals", True
        return f"{decision.stage} is approved", True

    def _reject(self, decision: Decision) -> tuple[str, bool]:
        assert decision.stage is not None  # noqa: S101 - `missing` has refused it otherwise
        counted = decision.stage not in self._state.rejections
        self._state.rejections.setdefault(decision.stage, decision)
        return f"{decision.stage} is rejected; the run does not pass it", counted

    def _pause(self) -> tuple[str, bool]:
        if self._state.paused:
            return "the run is paused already; nothing changes", False
        self._state.paused_since = self._now()
        return "nothing new begins, and all timers stop, until `resume`", True

    def _resume(self) -> None:
        self._state.paused_before = self._state.paused_for(self._now())
        self._state.paused_since = None
        self._state.version += 1

    def _exit(self, kind: Literal["roll_back", "abort"], decision: Decision) -> tuple[str, bool]:
        requested = self._state.exit_request
        if requested is not None and requested.kind == kind:
            return "that is being done already; nothing changes", False
        self._state.exit_request = ExitRequest(kind, decision)
        self._resume()
        if kind == "roll_back":
            return "the run rolls back at the next boundary between actions", True
        return "the run ends at the next boundary between actions; nothing is rolled back", True

    def _record(
        self, verb: str, decision: Decision, way: Way, effect: str, *, counted: bool
    ) -> str:
        about = decision.model_dump(exclude={"minutes"})
        message = OperatorMessage(
            at=self._now(), verb=verb, way=way, **about, effect=effect, counted=counted
        )
        if len(self._state.messages) < MAX_MESSAGES:
            self._state.messages.append(message)
        self._state.version += 1
        return effect
