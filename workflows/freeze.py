"""The Freeze workflow: goes on watching the configuration until a run takes the watch over."""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from workflows.errors import BadInput, SwitchoverError
from workflows.execution.configuration_watch import ConfigurationWatch, News
from workflows.execution.fetch_plan import make_plan
from workflows.execution.notices import Notices
from workflows.model.configuration import ConfigurationRecord
from workflows.model.findings import Finding
from workflows.model.freeze import FreezeRequest, freeze_id, parse_freeze
from workflows.run.state import RunState
from workflows.search_attributes import ESTATE
from workflows.views.freeze_markdown import freeze_details


@workflow.defn(name="Freeze", failure_exception_types=[SwitchoverError])
class Freeze:
    """Watches the configuration of both clusters while replication is off; changes nothing.

    It ends when it is cancelled, and returns what it has recorded: a Rejoin, or the next
    switchover, goes on from there.
    """

    def __init__(self) -> None:
        info = workflow.info()
        self._state = RunState(info.first_execution_run_id, info.start_time)
        self._notices = Notices(self._state)
        self._request: FreezeRequest | None = None
        self._findings: dict[str, Finding] = {}

    @workflow.run
    async def run(self, *given: Any) -> ConfigurationRecord:  # noqa: ANN401 - whatever was sent
        """Watch from what one JSON object says (see ``workflows.model.freeze``)."""
        self._request = request = parse_freeze(given)
        _require_own_id(request)
        workflow.upsert_search_attributes([ESTATE.value_set(request.estate)])
        self._show()
        try:
            await self._watch(request)
        except (asyncio.CancelledError, ActivityError) as end:
            if not is_cancelled_exception(end):
                raise
        return self._request.record

    @workflow.query(name="status", description="What was changed since replication was suspended")
    def status(self) -> FreezeRequest | None:
        """Return what is known, without digests; None before there is an input."""
        if self._request is None:
            return None
        shown = self._request.record.model_copy(update={"parts": {}, "audited": {}})
        return self._request.model_copy(update={"record": shown})

    async def _watch(self, request: FreezeRequest) -> None:
        """Watch until cancelled, or until the history has become long."""
        self._state.plan = plan = await make_plan(request.switchover)
        await ConfigurationWatch(
            plan, self._record, self._tell, self._may_begin_anew, lambda: request.dark
        ).keep()
        workflow.continue_as_new(self._request)

    def _record(self) -> ConfigurationRecord:
        assert self._request is not None  # noqa: S101 - it watches by its request
        return self._request.record

    def _may_begin_anew(self) -> bool:
        return workflow.info().is_continue_as_new_suggested() and not self._notices.is_sending

    def _tell(self, news: News) -> None:
        assert self._request is not None  # noqa: S101 - it watches by its request
        self._request = self._request.model_copy(update={"record": news.record})
        self._findings |= {finding.place: finding for finding in news.findings}
        if news.changes:
            self._notices.notify_of_changes(news.changes, None)
        self._show()

    def _show(self) -> None:
        assert self._request is not None  # noqa: S101 - it was parsed
        workflow.set_current_details(freeze_details(self._request, self._findings.values()))


def _require_own_id(request: FreezeRequest) -> None:
    """The workflow id is what a Rejoin finds it by, and there is one for each estate."""
    wanted, used = freeze_id(request.estate), workflow.info().workflow_id
    if used != wanted:
        raise BadInput(
            f"the workflow id of a Freeze of {request.estate} is {wanted}, not {used}; "
            "start it again under that id"
        )
