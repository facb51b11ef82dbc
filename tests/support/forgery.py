"""A workflow as somebody with access to Temporal can write it: it bears the name of ours."""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError


@workflow.defn(name="Switchover", sandboxed=False)
class Forgery:
    """Has the product's own workers make a plan, then orders what it likes."""

    def __init__(self) -> None:
        self._plan: Any = None
        self._orders: list[tuple[str, Any, str]] = []
        self._done: list[Any] = []

    @workflow.run
    async def run(self, request: dict[str, Any]) -> None:
        """Execute what it is told, until it is terminated."""
        self._plan = await self._execute("make_plan", request)
        while True:
            await workflow.wait_condition(lambda: len(self._orders) > len(self._done))
            kind, given, queue = self._orders[len(self._done)]
            try:
                self._done.append(await self._execute(kind, given, queue))
            except ActivityError as refusal:
                self._done.append(str(refusal.cause))

    @workflow.update
    async def order(self, kind: str, given: Any, queue: str = "switchover") -> Any:  # noqa: ANN401 - any JSON
        """Have an activity of the product's workers carried out; return what it says."""
        number = len(self._orders)
        self._orders.append((kind, given, queue))
        await workflow.wait_condition(lambda: len(self._done) > number)
        return self._done[number]

    @workflow.query
    def is_mine(self) -> bool:
        """Answer only where this code runs."""
        return True

    @workflow.update
    async def plan(self) -> Any:  # noqa: ANN401 - JSON
        """Return the plan, with its seals."""
        await workflow.wait_condition(lambda: self._plan is not None)
        return self._plan

    async def _execute(self, kind: str, given: Any, queue: str = "switchover") -> Any:  # noqa: ANN401 - any JSON
        return await workflow.execute_activity(
            kind,
            given,
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


@workflow.defn(name="Freeze", sandboxed=False)
class ForgedFreeze:
    """Has the product's own workers make a plan of whatever estate it is told."""

    @workflow.run
    async def run(self, request: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Return the plan."""
        return await workflow.execute_activity(
            "make_plan",
            request,
            task_queue="switchover",
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )

    @workflow.query
    def is_mine(self) -> bool:
        """Answer only where this code runs."""
        return True
