"""What every run is: its messages, its progress and its outcome, whatever it does."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError

from workflows import activity_options
from workflows.errors import BadInput, SwitchoverError
from workflows.execution.configuration_watch import SuspensionWatch
from workflows.execution.context import Run
from workflows.execution.dispatch import Dispatcher
from workflows.execution.execution import Conclusion, Execution
from workflows.execution.fetch_plan import make_plan
from workflows.execution.notices import Notices
from workflows.model.decisions import VERBS, Verb, parse_decision
from workflows.model.outcome import Outcome
from workflows.model.progress import Progress
from workflows.model.request import AnyRequest, BaseRequest
from workflows.planning.plan import Plan
from workflows.ports.planning import PlanningPort
from workflows.run.inbox import Inbox
from workflows.run.progress_tracker import ProgressTracker
from workflows.run.snapshot import outcome_of, progress_of
from workflows.run.state import RunState
from workflows.search_attributes import ESTATE, STAGE, STATE
from workflows.views.progress_markdown import details

NEXT_TASK = timedelta(milliseconds=1)


class BaseRun:
    """A run under way; a workflow adds the input that it takes."""

    def __init__(self) -> None:
        info = workflow.info()
        # The first run's id: the same for all its runs, also after a reset.
        self._state = RunState(info.first_execution_run_id, info.start_time)
        self._inbox = Inbox(self._state, workflow.now)
        self._tracker = ProgressTracker(self._state, workflow.now)
        self._notices = Notices(self._state)
        self._shown: tuple[str, str] = ("", "")
        self._set_handlers()

    async def carry_out(self, request: AnyRequest) -> Outcome:
        """Run what is requested, and return how it ended."""
        _require_own_id(request)
        beside = [asyncio.create_task(self._keep_shown())]
        beside.append(asyncio.create_task(self._work_off_signals()))
        work = asyncio.create_task(self._execute(request))
        while not work.done():
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                # Temporal cancels the run, not the work: waits end, effects finish.
                self._inbox.cancel()
            except SwitchoverError:
                break  # raised below
        for task in beside:
            task.cancel()
        self._show()
        return work.result()

    @workflow.query(name="status", description="Where the run is, and what it waits for")
    def status(self) -> Progress | None:
        """Return the progress; None until there is a plan."""
        return progress_of(self._state)

    @workflow.query(name="plan", description="What is done, in which sequence, on which estate")
    def plan(self) -> Plan | None:
        """Return the plan as it is executed; None until there is one."""
        return self._state.plan

    async def _execute(self, request: AnyRequest) -> Outcome:
        plan = await make_plan(request)
        self._tracker.begin_run(plan, request.reason)
        self._inbox.activate()
        dispatcher = Dispatcher(plan, self._state, request.accept)
        run = Run(plan, request, self._state, self._tracker, dispatcher)
        watch = SuspensionWatch(plan, self._state, self._tracker, self._inbox, self._notices)
        watching = asyncio.create_task(watch.keep())
        try:
            conclusion = await self._execution(run).run()
        except SwitchoverError as refusal:
            watching.cancel()
            await watch.leave()
            self._tracker.close("failed")
            await self._notices.notify_of_end("failed", str(refusal))
            raise
        watching.cancel()
        await watch.leave()
        return await self._close(conclusion)

    def _execution(self, run: Run) -> Execution:
        return Execution(run)

    async def _close(self, conclusion: Conclusion) -> Outcome:
        ending, message = conclusion.outcome, conclusion.message
        self._inbox.close()
        self._tracker.close(ending)
        outcome = outcome_of(self._state, ending, message, workflow.now())
        _, record = await asyncio.gather(
            self._notices.notify_of_end(ending, message), _save(outcome)
        )
        return outcome.model_copy(update={"record": record})

    def _set_handlers(self) -> None:
        """Receive every verb as a signal and as an update of the same name."""
        for verb in VERBS:
            # By name only so that the Web UI lists them: `worker.senders` sends a batch to any.
            workflow.set_signal_handler(verb, self._inbox.receive_signals)
            self._set_update_handler(verb)

        def receive(_: str, batch: Sequence[RawValue]) -> None:
            [signals] = workflow.payload_converter().from_payloads([one.payload for one in batch])
            self._inbox.receive_signals(signals)

        workflow.set_dynamic_signal_handler(receive)

    def _set_update_handler(self, verb: Verb) -> None:
        def update(*given: Any) -> str:  # noqa: ANN401 - whatever was sent
            *inputs, sender = given
            return self._inbox.receive(verb, parse_decision(inputs), "update", sender)

        def validate(*given: Any) -> None:  # noqa: ANN401 - whatever was sent
            try:
                objection = self._inbox.objection(verb, parse_decision(given[:-1]))
            except BadInput as error:
                objection = str(error)
            if objection is not None:
                # A retry by the client itself cannot help.
                raise ApplicationError(objection, type=BadInput.__name__, non_retryable=True)

        workflow.set_update_handler(verb, update, validator=validate)

    async def _work_off_signals(self) -> None:
        """Work off in tasks of their own what one workflow task could not."""
        while True:
            await workflow.wait_condition(lambda: self._inbox.is_behind)
            await workflow.sleep(NEXT_TASK)
            self._inbox.work_off()

    async def _keep_shown(self) -> None:
        """Show the state and notify of new questions whenever the state has changed."""
        while True:
            version = self._state.version
            self._show()
            self._notices.notify_of_questions()
            await workflow.wait_condition(lambda: self._state.version != version)  # noqa: B023

    def _show(self) -> None:
        """Show the state in the Web UI and in the list of runs."""
        progress = progress_of(self._state)
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


async def _save(outcome: Outcome) -> str | None:
    """Have the outcome written outside Temporal; None if no worker could."""
    config = activity_options.with_summary(activity_options.SAVE, "save the outcome")
    try:
        return await workflow.execute_activity_method(PlanningPort.save_outcome, outcome, **config)
    except ActivityError as error:
        workflow.logger.warning("the outcome is in Temporal only: %s", error.cause)
        return None


def _require_own_id(request: BaseRequest) -> None:
    """The workflow id is the estate's lock: Temporal runs one workflow of an id at a time."""
    wanted, used = f"switchover-{request.estate}", workflow.info().workflow_id
    if used != wanted:
        raise BadInput(
            f"the workflow id of a {workflow.info().workflow_type.lower()} of {request.estate} is "
            f"{wanted}, not {used}; "
            "start it again under that id"
        )
