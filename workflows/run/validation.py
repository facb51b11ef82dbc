"""Why can a message not count now? Each answer names what there is instead, or what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from workflows.model.decisions import DRAINING, SKIPPABLE, Decision, Verb
from workflows.model.progress import Failure, Status
from workflows.model.stages import StageName
from workflows.planning.change_window import WINDOWED
from workflows.planning.plan import Plan
from workflows.run.progress_tracker import OVER

if TYPE_CHECKING:
    from workflows.run.inbox import Inbox

SILENT = ("Unreachable", "OutcomeUnknown", "Lost")
"""Faults that a dead node may have caused: only these make it worth proving that it is dead."""


def objection(inbox: Inbox, verb: Verb, decision: Decision) -> str | None:
    """Return why this decision changes nothing at this moment; None where it counts."""
    strange = _strange_node(inbox.plan, decision)
    if strange is None and verb in _OBJECTIONS:
        return _OBJECTIONS[verb](inbox, decision)
    return strange


def _strange_node(plan: Plan | None, decision: Decision) -> str | None:
    if plan is None or decision.node is None:
        return None
    places = {action.place for stage in plan.stages for action in stage.actions}
    if decision.node in places:
        return None
    return f"there is no {decision.node} in this plan; there are {', '.join(sorted(places))}"


def _at_gate(inbox: Inbox, decision: Decision) -> str | None:
    stage, plan = _stage(decision), inbox.plan
    if plan is None:
        return None  # any gate may turn out to exist
    window = plan.estate.change_window is not None and stage in WINDOWED
    if not (plan.stage(stage).gated or window):
        gates = [s.name.value for s in plan.stages if s.gated]
        return f"{stage} has no gate in this run; gates: {', '.join(gates) or 'none'}"
    if inbox.rolling_back:
        return "the run is being rolled back: no gate will be passed any more"
    return _unauthorised(plan, decision)


def _unauthorised(plan: Plan, decision: Decision) -> str | None:
    allowed, needed = plan.approvals.approvers, plan.approvals.needed
    if allowed and decision.by not in allowed:
        return (
            f"{decision.by or 'nobody'} may not answer for {decision.stage}; "
            f"approvers: {', '.join(allowed)}"
        )
    if needed > 1 and not decision.by:
        return f'{decision.stage} needs {needed} people: say who in "by"'
    return None


def _to_reject(inbox: Inbox, decision: Decision) -> str | None:
    stage = _stage(decision)
    if (objection := _at_gate(inbox, decision)) is not None:
        return objection
    if inbox.is_open(stage):
        return f"{stage} is approved already; `roll_back` takes the run back"
    if inbox.status(stage) not in (Status.PENDING, Status.WAITING):
        return f"{stage} has begun already; `roll_back` takes the run back"
    return None


def _to_resume(inbox: Inbox, _: Decision) -> str | None:
    return None if inbox.paused else "the run is not paused"


def _to_retry(inbox: Inbox, decision: Decision) -> str | None:
    if not inbox.questions:
        return "nothing waits for a decision now"
    asked = [question for question in inbox.questions if question.stage is decision.stage]
    if not asked:
        stages = ", ".join(sorted({question.stage.value for question in inbox.questions}))
        return f"the run waits for a decision about {stages}, not about {decision.stage}"
    if not any("retry" in question.verbs for question in asked):
        verbs = ", ".join(f"`{verb}`" for question in asked for verb in question.verbs)
        return f"nothing has failed in {decision.stage}, it waits; decide {verbs}"
    places = [failure.place for question in asked for failure in question.failures]
    if decision.node is not None and decision.node not in places:
        return f"nothing failed on {decision.node}; failed: {', '.join(places) or 'nothing'}"
    return None


def _to_skip(inbox: Inbox, decision: Decision) -> str | None:
    if decision.stage not in SKIPPABLE:
        return (
            f"{decision.stage} cannot be skipped, or the promise would be broken; "
            f"skippable are {', '.join(SKIPPABLE)}"
        )
    return _past(inbox, decision, "there is nothing left to skip")


def _to_extend(inbox: Inbox, decision: Decision) -> str | None:
    if decision.stage not in DRAINING:
        return f"{decision.stage} waits for no client; extendable are {', '.join(DRAINING)}"
    if inbox.waits_in(_stage(decision)):
        return None
    return _past(inbox, decision, "there is no wait left to extend")


def _past(inbox: Inbox, decision: Decision, consequence: str) -> str | None:
    if inbox.rolling_back:
        return f"the run is being rolled back: {consequence}"
    if inbox.status(_stage(decision)) in OVER:
        return f"{decision.stage} is over: {consequence}"
    return None


def _to_force(inbox: Inbox, decision: Decision) -> str | None:
    stage, node = _stage(decision), decision.node
    waiting = inbox.waits_in(stage)
    if waiting and node in (None, *waiting):
        return None
    failures = list(_failures(inbox, stage))
    if not failures:
        there = f"; it waits at {', '.join(waiting)}" if waiting else ""
        return f"nothing that could be forced waits or has failed in {stage}{there}"
    if node is None:
        places = dict.fromkeys(failure.place for failure in failures)
        return f"say which node is dead: {', '.join(places)}"
    nodes = {one.name for one in inbox.plan.estate.nodes} if inbox.plan else set()
    silent = any(failure.kind in SILENT for failure in failures if failure.place == node)
    if node not in nodes or not silent:
        return (
            f"`force` counts a dead node as down, and nothing says that {node} is dead; "
            "`retry`, `roll_back` or `abort`"
        )
    return None


def _to_roll_back(inbox: Inbox, _: Decision) -> str | None:
    if inbox.rolling_back:
        return "the run is being rolled back already; `abort` ends it where it is"
    return None


def _failures(inbox: Inbox, stage: StageName) -> Iterator[Failure]:
    for question in inbox.questions:
        if question.stage is stage:
            yield from question.failures


def _stage(decision: Decision) -> StageName:
    if decision.stage is None:
        raise AssertionError(decision)  # `verbs.missing` has asked for it
    return decision.stage


_OBJECTIONS: Mapping[Verb, Callable[[Inbox, Decision], str | None]] = {
    "approve": _at_gate,
    "reject": _to_reject,
    "resume": _to_resume,
    "retry": _to_retry,
    "skip": _to_skip,
    "extend": _to_extend,
    "force": _to_force,
    "roll_back": _to_roll_back,
}
