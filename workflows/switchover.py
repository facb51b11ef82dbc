"""The Switchover workflow: its input, its messages, its outcome; ``execution`` does the work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError

from workflows import activity_options
from workflows.errors import BadInput, SwitchoverError
from workflows.execution.context import Run
from workflows.execution.dispatch import Dispatcher
from workflows.execution.execution import Conclusion, Execution
from workflows.execution.fetch_plan import make_plan
from workflows.model.decisions import VERBS, Verb
from workflows.model.outcome import Notice, Outcome
from workflows.model.progress import PendingQuestion, Progress, RunStatus
from workflows.model.request import Request, parse_request
from workflows.model.stages import StageName
from workflows.planning.plan import Plan
from workflows.ports.notifications import NoticeInput, NotificationPort
from workflows.ports.planning import PlanningPort
from workflows.run.inbox import Inbox
from workflows.run.progress_tracker import ProgressTracker
from workflows.run.state import RunState
from workflows.search_attributes import ESTATE, STAGE, STATE
from workflows.views.progress_markdown import details


@workflow.defn(name="Switchover", failure_exception_types=[SwitchoverError])
class Switchover:
    """Moves traffic from the source cluster to the target, then drains and stops the source."""

    @workflow.init
    def __init__(self, *given: Any) -> None:  # noqa: ANN401, ARG002 - Temporal gives run's input
        self._inbox = Inbox(workflow.now)
        self._tracker: ProgressTracker | None = None
        self._plan: Plan | None = None
        self._shown: tuple[str, str] = ("", "")
        self._told: list[asyncio.Task[None]] = []
        self._listen()

    @workflow.run
    async def run(self, *given: Any) -> Outcome:  # noqa: ANN401 - whatever was sent
        """Run the switchover that one JSON object asks for (see ``workflows.request``)."""
        request = parse_request(given)
        _require_own_id(request)
        work = asyncio.create_task(self._switch_over(request))
        while not work.done():
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                # Not the work but the run was cancelled: waits end, effects are finished.
                self._inbox.cancel()
            except SwitchoverError:
                break  # raised below, where there is nothing left to wait for
        return work.result()

    @workflow.query(name="status", description="Where the run is, and what it waits for")
    def status(self) -> Progress | None:
        """Return the progress; None until there is a plan."""
        if self._tracker is None:
            return None
        progress = self._tracker.progress
        paused = self._inbox.paused and progress.outcome is None
        state = RunStatus.PAUSED if paused else progress.state
        return progress.model_copy(update={"messages": tuple(self._inbox.messages), "state": state})

    @workflow.query(name="plan", description="What is done, in which order, on which estate")
    def plan(self) -> Plan | None:
        """Return the plan as it is executed; None until there is one."""
        return self._plan

    async def _switch_over(self, request: Request) -> Outcome:
        plan = self._plan = await make_plan(request)
        tracker = self._tracker = ProgressTracker(
            plan, _at_first(request, plan), workflow.now, self._show
        )
        self._inbox.open(plan, tracker)
        run = Run(plan, request, tracker, self._inbox, RunState(), Dispatcher(plan, _identity()))
        try:
            conclusion = await Execution(run, self._tell).run()
        except SwitchoverError as refusal:
            tracker.close("failed")
            await self._tell_end("failed", str(refusal))
            raise
        return await self._close(conclusion)

    async def _close(self, conclusion: Conclusion) -> Outcome:
        assert self._tracker is not None  # noqa: S101 - there is a plan, or nothing ends here
        self._tracker.close(conclusion.outcome)
        progress = self._tracker.progress
        result = Outcome(
            **progress.model_dump(
                include={"estate", "source", "target", "reason", "identity", "plan_hash", "started"}
            ),
            outcome=conclusion.outcome,
            message=conclusion.message,
            ended=workflow.now(),
            seconds=(workflow.now() - progress.started).total_seconds(),
            drain_seconds=self._tracker.drained.total_seconds(),
            stages=self._tracker.outcomes(undo=False),
            rolled_back_stages=self._tracker.outcomes(undo=True),
            exceptions=progress.exceptions,
            decisions=tuple(self._inbox.messages),
            findings=progress.findings,
        )
        _, record = await asyncio.gather(
            self._tell_end(conclusion.outcome, conclusion.message), _kept(result)
        )
        return result.model_copy(update={"record": record})

    def _tell(self, waiting: PendingQuestion) -> None:
        """Tell the estate's webhook that someone is waited for; nothing waits for that."""
        notice = self._notice("waiting", waiting.stage, waiting.message, answers=waiting.answers)
        if notice is not None:
            config = activity_options.with_summary(
                activity_options.NOTIFY, f"notify that {waiting.stage} waits"
            )
            self._told.append(asyncio.create_task(_sent(notice, config)))

    async def _tell_end(self, outcome: str, message: str) -> None:
        for task in self._told:
            task.cancel()  # what it told is no longer so
        await asyncio.gather(*self._told, return_exceptions=True)
        assert self._tracker is not None  # noqa: S101 - as above
        notice = self._notice("ended", self._tracker.progress.stage, message, outcome=outcome)
        if notice is not None:
            await _sent(
                notice,
                activity_options.with_summary(
                    activity_options.NOTIFY_END, "notify that the run has ended"
                ),
            )

    def _notice(
        self,
        kind: Literal["waiting", "ended"],
        stage: StageName,
        message: str,
        answers: tuple[str, ...] = (),
        outcome: str | None = None,
    ) -> NoticeInput | None:
        plan, info = self._plan, workflow.info()
        if plan is None or plan.estate.webhook is None:
            return None
        notice = Notice(
            kind=kind,
            at=workflow.now(),
            estate=plan.estate.name,
            source=plan.source,
            target=plan.target,
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            stage=stage,
            message=message,
            answers=answers,
            outcome=outcome,
        )
        return NoticeInput(webhook=plan.estate.webhook, notice=notice)

    def _listen(self) -> None:
        """Take every verb as a signal and as an update of the same name."""
        for verb in VERBS:
            self._listen_for(verb)

        def unknown(name: str, _: Sequence[RawValue]) -> None:
            self._inbox.record_unknown(name)
            self._show()

        workflow.set_dynamic_signal_handler(unknown)

    def _listen_for(self, verb: Verb) -> None:
        def signal(*given: Any) -> None:  # noqa: ANN401 - whatever was sent
            self._inbox.take(verb, given, "signal")
            self._show()

        def update(*given: Any) -> str:  # noqa: ANN401 - whatever was sent
            message = self._inbox.take(verb, given, "update")
            self._show()
            return message

        def refuse(*given: Any) -> None:  # noqa: ANN401 - whatever was sent
            objection = self._inbox.objection(verb, given)
            if objection is not None:
                # Nobody is to try again by itself what cannot apply.
                raise ApplicationError(objection, type=BadInput.__name__, non_retryable=True)

        workflow.set_signal_handler(verb, signal)
        workflow.set_update_handler(verb, update, validator=refuse)

    def _show(self) -> None:
        """Let the Web UI and the list of runs show where the run is."""
        progress = self.status()
        if progress is None:
            return
        workflow.set_current_details(details(progress))
        if self._shown != (progress.stage, progress.state):
            self._shown = (progress.stage, progress.state)
            workflow.upsert_search_attributes(
                [
                    ESTATE.value_set(progress.estate),
                    STAGE.value_set(progress.stage.value),
                    STATE.value_set(progress.state.value),
                ]
            )


async def _kept(outcome: Outcome) -> str | None:
    """Have the outcome written outside Temporal; None where no worker could."""
    config = activity_options.with_summary(activity_options.SAVE, "save the outcome")
    try:
        return await workflow.execute_activity_method(PlanningPort.save_outcome, outcome, **config)
    except ActivityError as error:
        workflow.logger.warning("the outcome is in Temporal alone: %s", error.cause)
        return None


async def _sent(given: NoticeInput, config: workflow.ActivityConfig) -> None:
    try:
        await workflow.execute_activity_method(NotificationPort.notify, given, **config)
    except ActivityError as error:
        workflow.logger.warning("nobody took the notice: %s", error.cause)


def _identity() -> str:
    """One for all runs of this switchover, also after a reset."""
    return workflow.info().first_execution_run_id


def _require_own_id(request: Request) -> None:
    """The workflow id is the estate's lock: Temporal runs one of a name at a time."""
    wanted, used = f"switchover-{request.estate}", workflow.info().workflow_id
    if used != wanted:
        raise BadInput(
            f"the workflow id of a switchover of {request.estate} is {wanted}, not {used}; "
            "start it again under that id"
        )


def _at_first(request: Request, plan: Plan) -> Progress:
    return Progress(
        estate=request.estate,
        source=request.source,
        target=request.target,
        reason=request.reason,
        identity=_identity(),
        plan_hash=plan.hash,
        variant=plan.variant,
        state=RunStatus.RUNNING,
        started=workflow.info().start_time,
        stage=StageName.CHECK_PREREQUISITES,
    )
