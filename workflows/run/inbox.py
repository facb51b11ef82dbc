"""Receive the decisions of operators, and record each with its effect."""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args

from workflows.errors import BadInput
from workflows.model.decisions import VERBS, Decision, Verb, Way, missing
from workflows.model.progress import OperatorMessage
from workflows.run.signal_batch import Signal, read
from workflows.run.state import ExitRequest, RunState
from workflows.run.validation import objection

PORTION = 2500
"""Signals that one workflow task works off: the SDK gives it two seconds, on a busy machine, too.

The next task begins a second later: that is how exactly the server keeps a timer.
"""
MAX_EARLY = 100
"""Messages that wait for the plan."""
MAX_WITHOUT_EFFECT = 50
"""So many of the messages without effect are recorded, the newest; the others are counted."""
MAX_CHARACTERS = 100_000
"""Of all decisions in the record: a message of Temporal holds no more than 256 KiB."""
MAX_EFFECT = 500
EARLY = ("approve", "reject", "skip", "extend")
"""Verbs that can be judged only by the plan."""
Exit = Literal["roll_back", "abort"]


class Message(NamedTuple):
    """What was sent, and by whom as Temporal knows it."""

    verb: str
    decision: Decision
    way: Way
    sender: str


class Inbox:
    """Receives messages at any moment of a run, even before it has a plan."""

    def __init__(self, state: RunState, now: Callable[[], datetime]) -> None:
        self._state = state
        self._now = now
        self._unread = deque[Signal]()
        self._characters = self._without_effect = 0

    @property
    def is_behind(self) -> bool:
        """Whether signals wait for the next workflow task."""
        return bool(self._unread)

    def receive_signals(self, batch: list[list[Any]]) -> None:
        """Take all signals of one workflow task, and work off what one task can."""
        self._unread.extend(read(batch))
        self.work_off()

    def work_off(self) -> None:
        """Judge the next portion of the signals, in the order of their arrival."""
        for _ in range(min(PORTION, len(self._unread))):
            self._receive_signal(self._unread.popleft())

    def close(self) -> None:
        """Count what came too late to be judged."""
        self._state.ignored += len(self._unread)
        self._unread.clear()

    def activate(self) -> None:
        """Receive the messages that came before the plan."""
        early, self._state.early = self._state.early, []
        for message in early:
            self.receive(*message)

    def objection(self, verb: Verb, decision: Decision) -> str | None:
        """Return why this decision cannot apply now; None where it can."""
        if self._characters >= MAX_CHARACTERS and verb not in get_args(Exit):
            return (
                f"this run has recorded {MAX_CHARACTERS} characters of decisions, and takes only "
                "`roll_back` and `abort` now"
            )
        return missing(verb, decision) or objection(self._state, verb, decision)

    def receive(self, verb: Verb, decision: Decision, way: Way, sender: str = "") -> str:
        """Apply the decision, or record why it cannot apply; answer in one sentence."""
        refusal = self.objection(verb, decision)
        if refusal is None and self._state.plan is None and verb in EARLY:
            if len(self._state.early) < MAX_EARLY:
                self._state.early.append((verb, decision, way, sender))
                return "noted; it counts as soon as the run has a plan"
            refusal = f"{MAX_EARLY} messages wait for the plan already; send it again later"
        effect, counted = (refusal, False) if refusal else self._apply(verb, decision)
        self._record(Message(verb, decision, way, sender), effect, counted=counted)
        return effect

    def _receive_signal(self, signal: Signal) -> None:
        verb = next((verb for verb in VERBS if verb == signal.name), None)
        try:
            decision = signal.decision() if verb else Decision()
        except BadInput as error:
            problem = str(error)
        else:
            if verb:
                self.receive(verb, decision, "signal", signal.sender)
                return
            problem = f"unknown signal; known are {', '.join(VERBS)}"
        message = Message(signal.name, Decision(), "signal", signal.sender)
        self._record(message, problem, counted=False)

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

    def _exit(self, kind: Exit, decision: Decision) -> tuple[str, bool]:
        requested = self._state.exit_request
        if requested is not None and requested.kind == kind:
            return "that is being done already; nothing changes", False
        self._state.exit_request = ExitRequest(kind, decision)
        self._resume()
        if kind == "roll_back":
            return "the run rolls back at the next boundary between actions", True
        return "the run ends at the next boundary between actions; nothing is rolled back", True

    def _record(self, message: Message, effect: str, *, counted: bool) -> None:
        recorded = OperatorMessage(
            at=self._now(),
            verb=message.verb,
            way=message.way,
            sender=message.sender,
            **message.decision.model_dump(exclude={"minutes"}),
            effect=effect[:MAX_EFFECT],
            counted=counted,
        )
        messages = self._state.messages
        messages.append(recorded)
        if counted:
            self._characters += len(recorded.model_dump_json())
        elif self._without_effect < MAX_WITHOUT_EFFECT:
            self._without_effect += 1
        else:
            messages.remove(next(one for one in messages if not one.counted))
            self._state.ignored += 1
        self._state.version += 1
