"""How does an attempt behave when it is to be cancelled, or when its place does not answer?"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from worker.unreachable_budget import UnreachableBudget
from workflows.errors import OutcomeUnknown, Unreachable
from workflows.ports.drain import DrainPort
from workflows.ports.inputs import ActionInput

WAITS = frozenset(
    wait.__name__
    for wait in (DrainPort.await_in_flight_events, DrainPort.await_sessions, DrainPort.await_queue)
)
"""What ends at once when it is cancelled: nothing happens anywhere because of it."""


class AttemptInterceptor(Interceptor):
    """Every attempt's manners, the same for all hands.

    * A cancel request never interrupts an effect: its attempt goes on to its own end.
    * A place that does not answer is tried for as long as the errand's timing says, no longer.
    """

    def __init__(self, grace: timedelta = timedelta()) -> None:
        self._grace = grace
        self._patience = UnreachableBudget()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Stand between the engine and the hands."""
        return _Attempts(next, self._grace, self._patience)


class _Attempts(ActivityInboundInterceptor):
    def __init__(
        self, following: ActivityInboundInterceptor, grace: timedelta, patience: UnreachableBudget
    ) -> None:
        super().__init__(following)
        self._grace = grace
        self._patience = patience

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401 - the SDK's
        info, given = activity.info(), input.args[0] if input.args else None
        key, began = (info.workflow_run_id or "", info.activity_id), self._patience.now()
        try:
            result = await self._attempt(info.activity_type, input)
        except Unreachable as silence:
            if isinstance(given, ActionInput):
                limit = given.timing.unreachable_timeout
                self._patience.spend(key, began, limit, silence)
            raise
        except BaseException:
            self._patience.renew(key)
            raise
        self._patience.renew(key)
        return result

    async def _attempt(self, kind: str, given: ExecuteActivityInput) -> Any:  # noqa: ANN401 - any result
        attempt = self.next.execute_activity(given)
        return await (attempt if kind in WAITS else _to_its_end(attempt, self._grace))


async def _to_its_end(attempt: Coroutine[Any, Any, Any], grace: timedelta) -> Any:  # noqa: ANN401 - any result
    """Finish an attempt although its cancel was requested; whatever else interrupts it still does.

    Raises:
        OutcomeUnknown: the worker left before an attempt that was to be cancelled had ended.
    """
    task = asyncio.ensure_future(attempt)
    farewell: asyncio.Task[None] | None = None
    try:
        while True:
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                if task.done():
                    return _ended(task)
                if not _was_requested():
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                    raise
                # The engine tells an activity once that it is cancelled, and then not any more that
                # its worker leaves: that has to be watched for.
                farewell = farewell or asyncio.create_task(_interrupt_with_worker(task, grace))
    finally:
        if farewell is not None:
            farewell.cancel()


def _was_requested() -> bool:
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested and not details.worker_shutdown


def _ended(task: asyncio.Future[Any]) -> Any:  # noqa: ANN401 - any result
    if task.cancelled():
        raise OutcomeUnknown(
            "the worker was stopped while this was being done; what was begun goes on, "
            "and whoever asks for it again finds it"
        )
    return task.result()


async def _interrupt_with_worker(task: asyncio.Future[Any], grace: timedelta) -> None:
    await activity.wait_for_worker_shutdown()
    await asyncio.sleep(grace.total_seconds())
    task.cancel()
