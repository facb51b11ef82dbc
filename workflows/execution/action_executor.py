"""Execute one action: not during a pause, on a node that answers, in as many rounds as it takes."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError

from workflows.errors import UNSETTLED, OutcomeUnknown
from workflows.execution.context import Run
from workflows.execution.gates import Gates
from workflows.model import actions
from workflows.model.estate import Kind
from workflows.model.progress import Failure
from workflows.model.results import Report, unchanged
from workflows.model.stages import StageName
from workflows.planning.observations import rests
from workflows.planning.plan import Stage

_ANY_SERVER_CAN = (
    *(actions.AwaitQueue, actions.AwaitInFlightEvents, actions.FindOrphanedFiles),
    *(actions.FindUnfinishedWork, actions.CountRecords),
)
"""Actions that read what is the cluster's, so that any of its Servers can tell."""


class _PausedError(Exception):
    """A pause kept an action from ending."""


class ActionExecutor:
    """Executes actions, and records their progress."""

    def __init__(self, run: Run, gates: Gates) -> None:
        self._plan, self._state, self._tracker = run.plan, run.state, run.tracker
        self._dispatcher = run.dispatcher
        self._gates = gates

    async def execute(self, stage: Stage, action: actions.Action) -> Failure | None:
        """Execute the action unless a decision skips it; return its failure, if it fails."""
        while True:
            await self._gates.wait_while_paused()
            if self._skipped(stage, action):
                return None
            round_ = self._state.rounds[stage.key, action.key] + 1
            self._tracker.begin(stage, action, round_)
            self._state.register(stage, action)
            try:
                report = self._already_holds(stage, action)
                report = report or await self._attempt(stage, action, round_)
            except _PausedError:
                continue  # the pause, not the estate, kept it from ending
            except ActivityError as error:
                if isinstance(error.cause, CancelledError):
                    raise
                failure = failure_of(action, error)
                self._tracker.failed(stage, action, failure)
                return failure
            if isinstance(action, actions.Redirect) and not stage.undo:
                before = self._state.redirected_at or report.at
                self._state.redirected_at = max(report.at, before)
            self._tracker.done(stage, action, report)
            return None

    def next_round(self, stage: Stage, action: actions.Action, failure: Failure | None) -> None:
        """Make a retry a new round, but only where the outcome of the last one is known."""
        if failure is None or failure.outcome_known:
            self._state.rounds[stage.key, action.key] += 1

    async def _attempt(self, stage: Stage, action: actions.Action, round_: int) -> Report:
        """Wait for the report; a pause cancels a change that waits for its next attempt.

        An attempt that is under way finishes all the same (see ``worker.interceptor``). If it does
        not succeed, the engine does not repeat it: it is executed again, as the same operation,
        after the pause.
        """
        execution = self._execute_round(stage, self._reassigned(action), round_)
        if isinstance(action, actions.AwaitDelivery):
            return await self._unless_ended(stage, asyncio.create_task(execution))
        if not isinstance(action, actions.Change):
            return await execution
        work = asyncio.create_task(execution)
        await workflow.wait_condition(lambda: work.done() or self._state.paused)
        if work.done():
            return await work
        work.cancel()
        try:
            return await work
        except ActivityError as error:
            cancelled = isinstance(error.cause, CancelledError)
            if cancelled or not failure_of(action, error).outcome_known:
                raise _PausedError from error
            raise

    async def _unless_ended(self, stage: Stage, wait: asyncio.Task[Report]) -> Report:
        """Wait for what may take hours, unless an operator ends the run meanwhile."""
        await workflow.wait_condition(lambda: wait.done() or self._gates.may_exit(stage))
        if not wait.done():
            wait.cancel()
            await asyncio.gather(wait, return_exceptions=True)
            self._gates.exit_if_requested(stage)
        return await wait

    async def _execute_round(self, stage: Stage, action: actions.Action, round_: int) -> Report:
        if isinstance(action, actions.ResumeReplication) and round_ > 1:
            # The comparison that its wave began with may be too old by the time of a `retry`.
            again = actions.VerifyNoConflicts(link=action.link)
            await self._dispatcher.execute(again, stage.key, round_)
        return await self._dispatcher.execute(action, stage.key, round_)

    def _skipped(self, stage: Stage, action: actions.Action) -> bool:
        """Skip an action that an operator skips, or whose node was declared down."""
        skip = self._state.skipped(stage, action.place)
        if skip is not None:
            self._tracker.add_exception(f"{skip.author} skipped {action}: {skip.reason}")
        down = action.place in self._state.declared_down
        if skip is None and not (down and self._other_server(action) is None):
            return False
        self._tracker.skip(stage, action)
        return True

    def _already_holds(self, stage: Stage, action: actions.Action) -> Report | None:
        """Return a report if the desired state is known to hold without asking the node."""
        now = workflow.now()
        restores = stage.undo or self._plan.procedure == "switchover"
        match action:
            case actions.StartMonitor(node=node) if restores:
                if not self._state.baseline.monitor_ran(node):
                    message = f"the Monitor of {node} did not run at the baseline and stays stopped"
                    return unchanged(action, message, now)
            case actions.StartScheduling(node=node) if stage.name is StageName.RESUME_SCHEDULING:
                if not self._state.baseline.scheduling(node):
                    message = f"no scheduling ran on {node} at the baseline, and it stays stopped"
                    return unchanged(action, message, now)
            case (
                actions.VerifyNoConflicts() | actions.ResumeReplication() | actions.AwaitDelivery()
            ):
                if not stage.undo and self._rests(action.link):
                    return unchanged(
                        action, f"{action.link} rests: only one direction runs at a time", now
                    )
            case _:
                pass
        down = action.place in self._state.already_down and not stage.undo
        if (
            down
            and not isinstance(action, actions.StopRemaining)
            and self._other_server(action) is None
        ):
            return unchanged(action, f"nothing runs on {action.place} any more", now)
        return None

    def _reassigned(self, action: actions.Action) -> actions.Action:
        """Return the action for the Server that has to execute it, with what it restores."""
        if isinstance(action, actions.StartScheduling) and self._plan.procedure == "rejoin":
            services = self._state.baseline.scheduling(action.node)
            return action.model_copy(update={"services": services})
        other = self._other_server(action)
        return action if other is None else action.model_copy(update={"node": other})

    def _rests(self, link: str) -> bool:
        """Whether a link stays off, because only the one to the passive cluster can run."""
        reading = self._state.baseline.links.get(link)
        return reading is not None and rests(self._plan, reading)

    def _other_server(self, action: actions.Action) -> str | None:
        """Name another Server for what any can tell, if this one is down and no other does it."""
        down = {*self._state.declared_down, *self._state.already_down}
        if not isinstance(action, _ANY_SERVER_CAN) or action.place not in down:
            return None
        nodes = self._plan.estate.cluster_of(action.place).nodes
        servers = (node.name for node in nodes if node.kind is Kind.SERVER)
        other = next((name for name in servers if name not in down), None)
        planned = any(
            action.model_copy(update={"node": other}) in stage.actions
            for stage in self._plan.stages
        )
        return None if planned else other


def failure_of(action: actions.Action, error: ActivityError) -> Failure:
    """Return why an action failed; without an answer its outcome is unknown."""
    cause: BaseException | None = error.cause
    while cause is not None and not isinstance(cause, ApplicationError) and cause.__cause__:
        cause = cause.__cause__  # a timeout keeps the last attempt's failure there
    if isinstance(cause, ApplicationError):
        kind = cause.type or OutcomeUnknown.__name__
        message = cause.message
    else:
        kind = OutcomeUnknown.__name__
        message = f"no answer: {cause or error}"
    return Failure(
        action=action.key,
        place=action.place,
        kind=kind,
        message=message,
        outcome_known=kind not in UNSETTLED,
    )
