"""Shield effects from cancellation, and end attempts at a place that does not answer."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities import concealment
from activities.time_limits import LIMITS, TimeLimits
from worker.unreachable_budget import UnreachableBudget
from workflows.errors import OutcomeUnknown, Unreachable
from workflows.model import actions
from workflows.ports.configuration import ConfigurationPort
from workflows.ports.inputs import ActionInput
from workflows.ports.routes import ROUTES

WAITS = frozenset(
    (
        *(ROUTES[wait].activity.__name__ for wait in (*actions.WAITS, actions.AwaitDelivery)),
        ConfigurationPort.watch_configuration.__name__,
    )
)
"""Activities that end at once when cancelled: they change nothing."""


class AttemptInterceptor(Interceptor):
    """What every activity does alike.

    * A cancel request never interrupts an effect: its attempt goes on to its own end.
    * A place that does not answer is retried for the estate's ``unreachable_timeout`` only.
    """

    def __init__(self, grace: timedelta = timedelta()) -> None:
        self._grace = grace
        self._budget = UnreachableBudget()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Wrap every activity."""
        return _Attempts(next, self._grace, self._budget)


class _Attempts(ActivityInboundInterceptor):
    def __init__(
        self, following: ActivityInboundInterceptor, grace: timedelta, budget: UnreachableBudget
    ) -> None:
        super().__init__(following)
        self._grace = grace
        self._budget = budget

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401 - the SDK's
        info, given = activity.info(), input.args[0] if input.args else None
        concealment.begin_attempt(given.model_dump_json() if isinstance(given, BaseModel) else "")
        if isinstance(given, ActionInput):
            LIMITS.set(TimeLimits.of(given.timing))
        key, started = (info.workflow_run_id or "", info.activity_id), self._budget.now()
        try:
            result = await self._attempt(info.activity_type, input)
        except Unreachable as unreachable:
            if isinstance(given, ActionInput):
                limit = given.timing.unreachable_timeout
                self._budget.spend(key, started, limit, unreachable)
            raise
        except BaseException:
            self._budget.renew(key)
            raise
        self._budget.renew(key)
        return result

    async def _attempt(self, kind: str, given: ExecuteActivityInput) -> Any:  # noqa: ANN401 - any result
        attempt = self.next.execute_activity(given)
        return await (attempt if kind in WAITS else _to_completion(attempt, self._grace))


async def _to_completion(attempt: Coroutine[Any, Any, Any], grace: timedelta) -> Any:  # noqa: ANN401 - any result
    """Finish an attempt although its cancel was requested; other interruptions still end it.

    Raises:
        OutcomeUnknown: the worker stopped before the attempt ended.
    """
    task = asyncio.ensure_future(attempt)
    at_shutdown: asyncio.Task[None] | None = None
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
                # Temporal cancels an activity only once: this watches for a later worker shutdown.
                at_shutdown = at_shutdown or asyncio.create_task(
                    _interrupt_with_worker(task, grace)
                )
    finally:
        if at_shutdown is not None:
            at_shutdown.cancel()


def _was_requested() -> bool:
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested and not details.worker_shutdown


def _ended(task: asyncio.Future[Any]) -> Any:  # noqa: ANN401 - any result
    if task.cancelled():
        raise OutcomeUnknown(
            "the worker was stopped during this action; what was begun on the machine goes on, "
            "and the next attempt finds it"
        )
    return task.result()


async def _interrupt_with_worker(task: asyncio.Future[Any], grace: timedelta) -> None:
    await activity.wait_for_worker_shutdown()
    await asyncio.sleep(grace.total_seconds())
    task.cancel()
