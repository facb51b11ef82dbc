"""Observe one run from outside, and decide as an operator would."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError

from lab import records
from lab.campaigns.crash.points import is_turn
from lab.layout import Layout
from lab.polling import holds_within
from lab.product_driver import STATE, Handle
from workflows.model.stages import Procedure

POLL_SECONDS = 0.05
QUESTION_POLL_SECONDS = 0.5
WORKER_EVENTS = frozenset(
    {EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED}
)
"""Events that only a running worker causes; an activity's start comes with its end."""
MAX_DECISIONS = 5
"""After so many decisions a run is given up."""
OPERATOR = "operator of the crash campaign"


@dataclass(frozen=True)
class OperatorDecision:
    """A decision that an operator had to make."""

    at: float
    stage: str

    def __str__(self) -> str:
        return f"retry of {self.stage}"


@dataclass
class RunObserver:
    """Everything that can be seen of one run from outside while it runs."""

    layout: Layout
    handle: Handle
    progress: list[float] = field(default_factory=list)
    """When a worker extended the history, or an effect happened."""
    requests: list[float] = field(default_factory=list)
    """When a request reached the estate: the only sign of a wait for clients."""
    events: int = 0
    decisions: list[OperatorDecision] = field(default_factory=list)
    ended: asyncio.Future[str] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """The outcome; the error of an attack that failed, so that the wait for the run ends."""
    on_event: Callable[[int], None] = lambda _: None
    procedure: Procedure = "switchover"
    on_turn: Callable[[str, str], None] = lambda _, __: None
    _effects: int = 0

    @property
    def changed(self) -> bool:
        """Whether the run has changed the estate."""
        return self._effects > 0

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """Everything that has to run meanwhile, each until it is cancelled."""
        return [self._follow_history(), self._follow_effects(), self._decide()]

    async def _follow_history(self) -> None:
        """Read the history; while the server is down, try again."""
        while True:
            try:
                async for event in self.handle.fetch_history_events(wait_new_event=True):
                    if event.event_id > self.events:
                        self.events = event.event_id
                        if event.event_type in WORKER_EVENTS:
                            self.progress.append(event.event_time.ToNanoseconds() / 1e9)
                        self.on_event(event.event_id)
            except RPCError:
                pass
            await asyncio.sleep(POLL_SECONDS)

    async def _follow_effects(self) -> None:
        while True:
            effects = list(records.read(self.layout.effects))
            for entry in effects[self._effects :]:
                self.progress.append(entry["at"])
                if is_turn(self.procedure, entry["effect"], entry["service"]):
                    self.on_turn(entry["place"], entry["service"])
            self._effects = len(effects)
            await asyncio.sleep(POLL_SECONDS)

    async def _decide(self) -> None:
        """Answer every question with `retry`."""
        while True:
            await asyncio.sleep(QUESTION_POLL_SECONDS)
            try:
                run = await self.handle.describe()
                if run.typed_search_attributes.get(STATE) != "waiting_for_decision":
                    continue
                waiting = (await self.handle.query("status"))["waiting"]
                if waiting is None:
                    continue
                stage = waiting["stage"]
                await self.handle.signal("retry", {"stage": stage, "by": OPERATOR})
            except TemporalError:
                continue
            self.decisions.append(OperatorDecision(time.time(), stage))
            if len(self.decisions) >= MAX_DECISIONS:
                self.ended.set_result(f"given up after {MAX_DECISIONS} decisions")
                return
            await asyncio.sleep(4 * QUESTION_POLL_SECONDS)  # until its state shows the decision

    async def progress_after(self, start: float, timeout: float) -> bool:  # noqa: ASYNC109 - it returns
        """Wait for the next sign of a running worker; return whether it came in time."""
        return await holds_within(timeout, lambda: any(sign > start for sign in self.signs()))

    def signs(self) -> Iterator[float]:
        """When something happened that only a worker does, the latest first."""
        yield from reversed(self.progress)
        yield from reversed(self.requests)
