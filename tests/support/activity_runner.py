"""A workflow that executes one activity and returns how it ended, with a place for the activity."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError

from workflows import activity_options
from workflows.errors import Unreachable
from workflows.model.actions import StopGracefully
from workflows.model.estate import Timing
from workflows.ports.inputs import NodeInput


@workflow.defn
class ActionExecutor:
    """Runs one activity, and cancels it on a signal."""

    def __init__(self) -> None:
        self._cancelled = False

    @workflow.run
    async def run(
        self, kind: str, given: NodeInput[StopGracefully], unreachable_timeout: float
    ) -> str:
        """Return what the activity returned, or what it failed with."""
        timing = Timing(unreachable_timeout=timedelta(seconds=unreachable_timeout))
        wait = kind == "await_sessions"
        config = (
            activity_options.WAIT.copy()
            if wait
            else activity_options.command(timedelta(minutes=1), Timing())
        )
        given = given.model_copy(update={"timing": timing})
        config["activity_id"] = "the-action"
        doing = workflow.start_activity(kind, given, result_type=str, **config)
        ending = asyncio.create_task(self._cancel_on_signal(doing))
        try:
            return str(await doing)
        except ActivityError as error:
            return _text(error)
        finally:
            ending.cancel()

    @workflow.signal
    def cancel(self) -> None:
        """Cancel the activity."""
        self._cancelled = True

    async def _cancel_on_signal(self, doing: workflow.ActivityHandle[str]) -> None:
        await workflow.wait_condition(lambda: self._cancelled)
        doing.cancel()


def _text(error: ActivityError) -> str:
    cause = error.cause
    if isinstance(cause, CancelledError):
        return "cancelled"
    if isinstance(cause, ApplicationError):
        return f"{cause.type}, retryable: {not cause.non_retryable}: {cause.message}"
    return str(cause)


class Place:
    """A place that is slow, or does not answer, and counts attempts."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.attempts = 0
        self.interrupted = 0
        self.silent: list[bool] = []
        """For the next attempts: whether they fail to reach the node; later ones reach it."""

    @activity.defn(name="stop_gracefully")
    async def act(self, _: NodeInput[StopGracefully]) -> str:
        """Go on until it may end."""
        self.attempts += 1
        self.begun.set()
        try:
            while not self.may_end.is_set():
                activity.heartbeat()
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            self.interrupted += 1
            raise
        return "done"

    @activity.defn(name="await_sessions")
    async def wait(self, given: NodeInput[StopGracefully]) -> str:
        """Go on until it may end."""
        return await self.act(given)

    @activity.defn(name="start_protocol_server")
    async def reach(self, _: NodeInput[StopGracefully]) -> str:
        """End at once, where it answers at all."""
        self.attempts += 1
        if self.silent and not self.silent.pop(0):
            raise ApplicationError("it answers, and is not ready yet", type="NotYet")
        if self.may_end.is_set():
            return "done"
        raise Unreachable("server1: it does not answer") from ConnectionRefusedError("no")

    async def attempted(self, times: int) -> None:
        """Wait until it had this many attempts."""
        while self.attempts < times:  # noqa: ASYNC110 - several attempts, not one event
            await asyncio.sleep(0.05)
