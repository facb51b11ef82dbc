"""How far has an attacked run come, and does it ask for someone?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from lab import records
from lab.layout import Layout
from lab.product_driver import STATE

POLL_SECONDS = 0.05
QUESTION_POLL_SECONDS = 0.5
WORKER_EVENTS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
    }
)
"""Events that nothing but a working worker brings about; an activity's start comes with its end."""
MAX_DECISIONS = 5
"""Decisions of one run: what has not helped by then never will."""
OPERATOR = "the nemesis's operator"


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
    handle: WorkflowHandle[Any, Any]
    steps: list[float] = field(default_factory=list)
    """When a worker brought the history on, or an effect happened."""
    requests: list[float] = field(default_factory=list)
    """When a request reached the estate: all that is seen of a wait for clients."""
    events: int = 0
    decisions: list[OperatorDecision] = field(default_factory=list)
    ended: asyncio.Future[str] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """The outcome; an error where an attack itself went wrong, so that nobody waits for more."""
    on_event: Callable[[int], None] = lambda _: None
    on_drain: Callable[[str, str], None] = lambda _, __: None
    _effects: int = 0

    def looks(self) -> list[Coroutine[Any, Any, None]]:
        """Everything that has to run meanwhile, each until it is cancelled."""
        return [self._follow_history(), self._follow_effects(), self._decide()]

    async def _follow_history(self) -> None:
        """Never ends; a server that is away is asked again."""
        while True:
            try:
                async for event in self.handle.fetch_history_events(wait_new_event=True):
                    if event.event_id > self.events:
                        self.events = event.event_id
                        if event.event_type in WORKER_EVENTS:
                            self.steps.append(event.event_time.ToNanoseconds() / 1e9)
                        self.on_event(event.event_id)
            except RPCError:
                pass
            await asyncio.sleep(POLL_SECONDS)

    async def _follow_effects(self) -> None:
        while True:
            effects = list(records.read(self.layout.effects))
            for entry in effects[self._effects :]:
                self.steps.append(entry["at"])
                if entry["effect"] == "drain":
                    self.on_drain(entry["place"], entry["service"])
            self._effects = len(effects)
            await asyncio.sleep(POLL_SECONDS)

    async def _decide(self) -> None:
        """Do what an operator would who has looked: have it tried again."""
        while True:
            await asyncio.sleep(QUESTION_POLL_SECONDS)
            try:
                seen = await self.handle.describe()
                if seen.typed_search_attributes.get(STATE) != "waiting_for_decision":
                    continue
                waiting = (await self.handle.query("status"))["waiting"]
                if waiting is None:
                    continue
                stage = waiting["stage"]
                await self.handle.signal("retry", {"stage": stage, "by": OPERATOR})
            except RPCError:
                continue
            self.decisions.append(OperatorDecision(time.time(), stage))
            if len(self.decisions) >= MAX_DECISIONS:
                self.ended.set_result(f"given up after {MAX_DECISIONS} decisions")
                return
            await asyncio.sleep(4 * QUESTION_POLL_SECONDS)  # until it shows that it goes on

    async def sign_after(self, event: float, within: float) -> bool:
        """Wait for the next sign of a working worker; whether one came in time."""
        deadline = time.time() + within
        while time.time() < deadline:
            if any(sign > event for sign in self.signs()):
                return True
            await asyncio.sleep(POLL_SECONDS)
        return False

    def signs(self) -> Iterator[float]:
        """When something happened that only a working worker does, the latest first."""
        yield from reversed(self.steps)
        yield from reversed(self.requests)
