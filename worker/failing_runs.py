"""Watch for runs whose workflow task fails, and notify their estates' webhooks.

Such a run, or a Freeze, cannot notify anybody itself, whatever is the reason: a bug, code that does
not fit its history, a worker whose thread is stuck. So each worker asks Temporal about all of them.
"""

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError

from activities.estate_files import read_estate
from activities.transport.secrets import Secrets
from activities.webhook import SignedWebhook
from workflows.errors import SwitchoverError
from workflows.model.freeze import parse_freeze
from workflows.model.outcome import Notice
from workflows.model.request import AnyRequest, parse_any
from workflows.model.stages import StageName
from workflows.model.task_queues import TASK_QUEUE
from workflows.planning.procedures import plan_for
from workflows.ports.notifications import NoticeInput
from workflows.search_attributes import STAGE
from workflows.task_failure import attempts, task_failure

logger = logging.getLogger(__name__)

INTERVAL = 20.0
"""Seconds between two looks at the open runs."""
FAILS = 3
"""The attempt of a workflow task that is no second try after a worker has died."""
MAX_RUNS = 200
OPEN_RUNS = (
    "WorkflowType IN ('Switchover', 'Rejoin', 'Freeze') AND ExecutionStatus = 'Running' "
    f"AND TaskQueue = '{TASK_QUEUE}'"
)
CONSEQUENCES = {
    "Freeze": "the Freeze cannot continue: {}; nothing watches the configuration until it does"
}
"""By the type of the workflow: what its failure means to an operator."""
OF_A_RUN = "the run cannot continue: {}; commands on nodes go on, and nothing new begins"


class FailingRuns:
    """Says once of each run why it cannot continue, in the log and to the webhook."""

    def __init__(self, client: Client, estates: Path, secrets: Secrets) -> None:
        self._client, self._estates = client, estates
        self._webhook = SignedWebhook(secrets)
        self._said: dict[str, str] = {}
        """By the id of a run: what was said of it."""

    async def watch(self) -> None:
        """Look again and again, until cancelled; what keeps it from looking is in the log, once."""
        kept_from = ""
        while True:
            try:
                await self.look()
                kept_from = ""
            except RPCError as refusal:
                if refusal.message != kept_from:
                    logger.warning("failing runs cannot be looked for: %s", refusal.message)
                kept_from = refusal.message
            await asyncio.sleep(INTERVAL)

    async def look(self) -> None:
        """Look at every open run once."""
        failing: dict[str, str] = {}
        async for run in self._client.list_workflows(OPEN_RUNS, limit=MAX_RUNS):
            handle = self._client.get_workflow_handle(run.id, run_id=run.run_id)
            if attempts(await handle.describe()) < FAILS:
                continue
            events = [event async for event in handle.fetch_history_events()]
            if (failure := task_failure(events)) is None:
                continue
            failing[run.run_id] = failure
            if self._said.get(run.run_id) != failure:
                await self._say(run, events, failure)
        self._said = failing

    async def _say(self, run: WorkflowExecution, events: list[HistoryEvent], failure: str) -> None:
        consequence = CONSEQUENCES.get(run.workflow_type, OF_A_RUN).format(failure)
        message = (
            f"{consequence}; the section 'A run that cannot continue' of docs/operating.md says "
            "what helps"
        )
        logger.error("%s: %s", run.id, message)
        try:
            request = await self._request(run, events)
            estate = await read_estate(self._estates, request.estate)
            plan, webhook = plan_for(estate, request), estate.webhook
            if webhook is None:
                return
            notice = Notice(
                kind="failing",
                at=datetime.now(UTC),
                procedure=plan.procedure,
                estate=request.estate,
                source=plan.source,
                target=plan.target,
                workflow_id=run.id,
                run_id=run.run_id,
                stage=_stage(run),
                message=message,
            )
            await self._webhook.notify(NoticeInput(webhook=webhook, notice=notice))
        except SwitchoverError as refusal:
            logger.warning("%s: no notice was sent: %s", run.id, refusal)

    async def _request(self, run: WorkflowExecution, events: list[HistoryEvent]) -> AnyRequest:
        started = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
        [first] = [event for event in events if event.event_type == started]
        payloads = first.workflow_execution_started_event_attributes.input.payloads
        given = await self._client.data_converter.decode(payloads)
        return parse_freeze(given).switchover if run.workflow_type == "Freeze" else parse_any(given)


def _stage(run: WorkflowExecution) -> StageName | None:
    """Return the stage that the run has shown last."""
    shown = run.typed_search_attributes.get(STAGE)
    return StageName(shown) if shown in list(StageName) else None
