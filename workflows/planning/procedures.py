"""What differs between a switchover and a rejoin: plan, rollback, what an earlier run left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workflows.model.actions import Action, Change
from workflows.model.estate import Estate
from workflows.model.observations import Reading
from workflows.model.request import AnyRequest, RejoinRequest
from workflows.model.stages import StageName
from workflows.planning.interrupted_rejoin import find_interrupted_rejoin
from workflows.planning.interrupted_run import InterruptedRun, find_interrupted_run
from workflows.planning.plan import Plan, Stage
from workflows.planning.rejoin import plan_rejoin
from workflows.planning.rejoin_rollback import plan_rejoin_rollback
from workflows.planning.rollback import Baseline, plan_rollback
from workflows.planning.switchover import plan_switchover


def plan_for(estate: Estate, request: AnyRequest) -> Plan:
    """Plan what is requested; BadInput where that is not possible on this estate."""
    if isinstance(request, RejoinRequest):
        return plan_rejoin(estate, request)
    return plan_switchover(estate, request)


def rollback_of(
    plan: Plan, started: Mapping[StageName, Sequence[Action]], baseline: Baseline
) -> tuple[Stage, ...]:
    """Return the stages that undo every started action; none for what needs no undo."""
    rollback = plan_rejoin_rollback if plan.procedure == "rejoin" else plan_rollback
    return rollback(plan, started, baseline)


def find_earlier_run(plan: Plan, readings: Sequence[Reading]) -> InterruptedRun:
    """Return how far an earlier run with this plan's procedure and roles had come."""
    rejoins = plan.procedure == "rejoin"
    return (find_interrupted_rejoin if rejoins else find_interrupted_run)(plan, readings)


def undo_of(plan: Plan, stage: Stage, action: Action) -> Sequence[Change]:
    """Return what a rollback would do about one action alone."""
    if not isinstance(action, Change):
        return ()
    if plan.procedure == "switchover":
        return () if action.undo is None else (action.undo,)
    undone = rollback_of(plan, {stage.name: (action,)}, Baseline(assume_all_ran=True))
    return tuple(
        change
        for one in undone
        for change in one.actions
        if isinstance(change, Change) and change.place == action.place
    )
