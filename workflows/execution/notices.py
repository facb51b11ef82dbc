"""Notify the estate's webhook of questions, of configuration changes, and of a run's end."""

import asyncio
from collections.abc import Sequence
from typing import Literal

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityConfig

from workflows.activity_options import NOTIFY, NOTIFY_END, with_summary
from workflows.model.configuration import ConfigurationChange
from workflows.model.outcome import Notice
from workflows.model.progress import PendingQuestion
from workflows.model.stages import StageName
from workflows.model.text import listed
from workflows.ports.notifications import NoticeInput, NotificationPort
from workflows.run.state import RunState

MAX_CHANGES_SAID = 20
"""Configuration changes that one notice names."""


class Notices:
    """Sends notices; the run does not wait for those of its questions and of changes."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._questions: list[PendingQuestion] = []
        self._sending: list[asyncio.Task[None]] = []

    def notify_of_questions(self) -> None:
        """Send a notice of each question that was asked since the last call."""
        known = {id(question) for question in self._questions}
        for question in self._state.questions:
            if id(question) not in known:
                notice = self._notice(
                    "waiting", question.stage, question.message, answers=question.answers
                )
                sending = _send(notice, NOTIFY, f"notify that {question.stage} waits")
                self._sending.append(asyncio.create_task(sending))
        self._questions = [*self._state.questions]

    def notify_of_changes(
        self, changes: Sequence[ConfigurationChange], stage: StageName | None
    ) -> None:
        """Send a notice of what was changed while replication is suspended."""
        found = listed(map(str, changes), MAX_CHANGES_SAID, "; ")
        message = f"the configuration was changed while replication is suspended: {found}"
        sending = _send(self._notice("changed", stage, message), NOTIFY, "notify of changes")
        self._sending = [task for task in self._sending if not task.done()]
        self._sending.append(asyncio.create_task(sending))

    @property
    def is_sending(self) -> bool:
        """Whether a notice is not delivered yet."""
        return not all(task.done() for task in self._sending)

    async def notify_of_end(self, outcome: str, message: str) -> None:
        """Cancel the notices that are not sent yet, and send one of the outcome."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        notice = self._notice("ended", self._state.current_stage, message, outcome=outcome)
        await _send(notice, NOTIFY_END, "notify that the run has ended")

    def _notice(
        self,
        kind: Literal["waiting", "ended", "changed"],
        stage: StageName | None,
        message: str,
        answers: tuple[str, ...] = (),
        outcome: str | None = None,
    ) -> NoticeInput | None:
        plan, info = self._state.plan, workflow.info()
        if plan is None or plan.estate.webhook is None:
            return None
        notice = Notice(
            kind=kind,
            at=workflow.now(),
            procedure=plan.procedure,
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
        seals = plan.seals.of(["webhook"])
        return NoticeInput(webhook=plan.estate.webhook, notice=notice, seals=seals)


async def _send(given: NoticeInput | None, options: ActivityConfig, summary: str) -> None:
    if given is None:
        return
    options = with_summary(options, summary)
    try:
        await workflow.execute_activity_method(NotificationPort.notify, given, **options)
    except ActivityError as error:
        workflow.logger.warning("the webhook did not accept a notice: %s", error.cause)
