"""How long a place may be silent, and an answer may take; a stalled worker is not charged.

Silence and slowness are two things. A place that shows no sign of life for the estate's
``reach_timeout`` is unreachable; one that does may take its ``answer_timeout`` for each answer.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from workflows.activity_options import ANSWERS_PER_READING
from workflows.model.estate import Timing

T = TypeVar("T")

TICK = 0.25
"""Seconds between two looks at what is awaited."""


@dataclass(frozen=True)
class TimeLimits:
    """Limits in seconds; those of an estate's timing."""

    reach: float
    answer: float

    @classmethod
    def of(cls, timing: Timing) -> "TimeLimits":
        """Return what an estate says."""
        return cls(timing.reach_timeout.total_seconds(), timing.answer_timeout.total_seconds())

    @property
    def contact(self) -> float:
        """How long it may take until a place has let the worker in, or answered a request."""
        return 2 * self.reach

    @property
    def reading(self) -> float:
        """How long a reading of a place may take, which consists of several answers."""
        return ANSWERS_PER_READING * self.answer


LIMITS = ContextVar("time limits", default=TimeLimits.of(Timing()))  # noqa: B039 - it is frozen
"""The limits of the estate that the current activity works on."""


class Stopwatch:
    """Measures what others take: while the worker's event loop stands still, at most one tick."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def time(self, work: Awaitable[T], limit: float) -> T:
        """Return what *work* returns; TimeoutError once it took longer than *limit* seconds."""
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
        try:
            while (remaining := limit - self.seconds) > 0:
                tick, began = min(TICK, remaining), loop.time()
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(task), tick)
                self.seconds += min(tick, loop.time() - began)
                if task.done():
                    return task.result()
            raise TimeoutError
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
