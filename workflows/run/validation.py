"""Refuse decisions that cannot apply; each reason names what is possible instead."""

from collections.abc import Callable, Mapping

from workflows.model.decisions import DRAINING, SKIPPABLE, Decision, Verb
from workflows.model.progress import PendingQuestion, Status
from workflows.model.stages import STAGES, StageName
from workflows.planning.change_window import WINDOWED
from workflows.planning.plan import Plan
from workflows.run.state import OVER, RunState

UNREACHABLE_KINDS = ("Unreachable", "OutcomeUnknown", "Lost")
"""Failures that an unreachable node may have caused: only after these `force` may check it."""


def objection(state: RunState, verb: Verb, decision: Decision) -> str | None:
    """Return why this decision changes nothing at this moment; None where it counts."""
    unknown = _foreign_stage(state, decision) or _unknown_place(state, decision)
    if unknown is None and verb in _OBJECTIONS:
        return _OBJECTIONS[verb](state, decision)
    return unknown


def _foreign_stage(state: RunState, decision: Decision) -> str | None:
    if state.plan is None or decision.stage is None:
        return None
    own = STAGES[state.plan.procedure]
    if decision.stage in own:
        return None
    return f"a {state.plan.procedure} has no {decision.stage}; its stages are {', '.join(own)}"


def _unknown_place(state: RunState, decision: Decision) -> str | None:
    if state.plan is None or decision.node is None:
        return None
    places = {action.place for one in state.stages.values() for action in one.actions.values()}
    if decision.node in places:
        return None
    return f"there is no {decision.node} in this plan; there are {', '.join(sorted(places))}"


def _at_gate(state: RunState, decision: Decision) -> str | None:
    stage, plan = _stage(decision), state.plan
    if plan is None:
        return None  # any gate may turn out to exist
    window = plan.estate.change_window is not None and stage in WINDOWED
    if not (state.stages[stage.value].stage.gated or window):
        gates = [one.stage.name.value for one in state.stages.values() if one.stage.gated]
        return f"{stage} has no gate in this run; gates: {', '.join(gates) or 'none'}"
    if state.rollback_reason is not None:
        return "the run is rolling back: it passes no gate"
    return _unauthorised(plan, decision)


def _unauthorised(plan: Plan, decision: Decision) -> str | None:
    allowed, needed = plan.approvals.approvers, plan.approvals.needed
    if allowed and decision.by not in allowed:
        return (
            f"{decision.by or 'a decision without `by`'} may not answer for {decision.stage}; "
            f"approvers: {', '.join(allowed)}"
        )
    if needed > 1 and not decision.by:
        return f'{decision.stage} needs {needed} people: say who in "by"'
    return None


def _to_reject(state: RunState, decision: Decision) -> str | None:
    stage = _stage(decision)
    if (objection := _at_gate(state, decision)) is not None:
        return objection
    if state.is_approved(stage):
        return f"{stage} is approved already; use `roll_back`"
    if state.status(stage) not in (Status.PENDING, Status.WAITING):
        return f"{stage} has begun already; use `roll_back`"
    return None


def _to_resume(state: RunState, _: Decision) -> str | None:
    return None if state.paused else "the run is not paused"


def _to_retry(state: RunState, decision: Decision) -> str | None:
    questions = _open_decisions(state)
    if not questions:
        return "the run waits for no decision now"
    stage = _stage(decision)
    asked = [question for question in questions if question.stage is stage]
    if not asked:
        stages = ", ".join(sorted({question.stage.value for question in questions}))
        return f"the run waits for a decision about {stages}, not about {decision.stage}"
    if not any("retry" in question.answers for question in asked):
        verbs = ", ".join(f"`{verb}`" for question in asked for verb in question.answers)
        return f"nothing has failed in {decision.stage}, it waits; use {verbs}"
    places = [failure.place for failure in state.failures(stage)]
    if decision.node is not None and decision.node not in places:
        return f"nothing failed on {decision.node}; failed: {', '.join(places) or 'none'}"
    return None


def _to_skip(state: RunState, decision: Decision) -> str | None:
    if decision.stage not in SKIPPABLE:
        return f"{decision.stage} cannot be skipped; `skip` applies to {', '.join(SKIPPABLE)}"
    return _past(state, decision, "nothing remains to be skipped")


def _to_extend(state: RunState, decision: Decision) -> str | None:
    if decision.stage not in DRAINING:
        return f"{decision.stage} has no drain timeout; `extend` applies to {', '.join(DRAINING)}"
    if state.draining(_stage(decision)):
        return None
    return _past(state, decision, "no wait remains to be extended")


def _past(state: RunState, decision: Decision, consequence: str) -> str | None:
    if state.rollback_reason is not None:
        return f"the run is rolling back: {consequence}"
    if state.status(_stage(decision)) in OVER:
        return f"{decision.stage} is over: {consequence}"
    return None


def _to_force(state: RunState, decision: Decision) -> str | None:
    stage, node = _stage(decision), decision.node
    waiting = state.draining(stage)
    if waiting and node in (None, *waiting):
        return None
    asked = any(question.stage is stage for question in _open_decisions(state))
    failures = state.failures(stage) if asked else []
    if not failures:
        there = f"; it waits at {', '.join(waiting)}" if waiting else ""
        return f"{stage} has no wait and no failure that can be forced{there}"
    if node is None:
        places = dict.fromkeys(failure.place for failure in failures)
        return f"name the node that is down: {', '.join(places)}"
    nodes = {one.name for one in state.plan.estate.nodes} if state.plan else set()
    kinds = {failure.kind for failure in failures if failure.place == node}
    if node not in nodes or kinds.isdisjoint(UNREACHABLE_KINDS):
        return (
            f"`force` treats an unreachable node as down, and {node} has answered; "
            "use `retry`, `roll_back` or `abort`"
        )
    return None


def _to_roll_back(state: RunState, _: Decision) -> str | None:
    if state.rollback_reason is not None:
        return "the run is rolling back already; `abort` ends it where it is"
    return None


def _open_decisions(state: RunState) -> list[PendingQuestion]:
    return [question for question in state.questions if question.kind == "decision"]


def _stage(decision: Decision) -> StageName:
    if decision.stage is None:
        raise AssertionError(decision)  # `verbs.missing` has asked for it
    return decision.stage


_OBJECTIONS: Mapping[Verb, Callable[[RunState, Decision], str | None]] = {
    "approve": _at_gate,
    "reject": _to_reject,
    "resume": _to_resume,
    "retry": _to_retry,
    "skip": _to_skip,
    "extend": _to_extend,
    "force": _to_force,
    "roll_back": _to_roll_back,
}
