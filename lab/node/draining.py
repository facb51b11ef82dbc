"""What all services that can be stopped gracefully have in common.

A pending stop refuses new work and completes when nothing is in flight, or at its timeout, when it
cuts what remains. The service itself keeps the time, even if the caller has ended. While
``completes_late`` (any text) is among the node's faults, it completes only at its timeout.
"""

import asyncio
import os
import signal
from abc import ABC, abstractmethod
from typing import Protocol

from lab.forking import Message
from lab.node.service import Context, Line


class Listener(Protocol):
    """What accepts the clients of a service."""

    def close(self) -> object:
        """Accept no more."""


class Draining(ABC):
    """A service that refuses new clients before it ends."""

    def __init__(self, context: Context, line: Line) -> None:
        self.context = context
        self.line = line
        self.in_flight: set[object] = set()
        self.admits = True
        """Whether new operations are let in."""
        self.listener: Listener | None = None
        self._deadline: asyncio.TimerHandle | None = None
        line.on("drain", self._drain)
        line.on("start", self._start_again)

    @abstractmethod
    async def open(self) -> None:
        """Listen."""

    async def come_up(self) -> None:
        """Listen, as far as a start brings that about."""
        await self.open()

    def close(self) -> None:
        """Listen no more; what is connected stays."""
        if self.listener:
            self.listener.close()
            self.listener = None

    @abstractmethod
    def disconnect(self) -> None:
        """End every session."""

    async def serve(self) -> None:
        """Serve until the process is ended."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._end)
        await asyncio.sleep(self.context.delay)
        if self.admits:  # a stop may have come before the first client could
            await self.come_up()
        self.line.send("ready")
        await asyncio.Event().wait()

    def begin(self, work: object) -> None:
        """Count something that a graceful stop waits for."""
        self.in_flight.add(work)

    def finish(self, work: object) -> None:
        """Count it no more; after the last one a pending stop completes."""
        self.in_flight.discard(work)
        self._complete_early()

    def _drain(self, message: Message) -> None:
        self.admits = False
        self.close()
        if self._deadline is None:
            loop = asyncio.get_running_loop()
            seconds = message.body["timeout"] / self._clock
            self._deadline = loop.call_later(seconds, self._complete)
        self._complete_early()

    @property
    def _clock(self) -> float:
        is_manager = self.context.service.name == "tm"
        return self.context.simulation.transaction_manager_clock if is_manager else 1.0

    def _complete_early(self) -> None:
        pending = self._deadline is not None and not self.in_flight
        if pending and self._ends_early:
            # The answer to the last operation is still to be sent.
            asyncio.get_running_loop().call_later(0.02, self._complete_if_idle)

    @property
    def _ends_early(self) -> bool:
        late = "completes_late" in self.context.faults
        return not late and self.context.simulation.graceful_stop_ends == "early"

    def _complete_if_idle(self) -> None:
        if not self.in_flight:
            self._complete()

    def _complete(self) -> None:
        self.line.send("completed", cut=len(self.in_flight))
        self._end()

    def _end(self) -> None:
        self.disconnect()
        os._exit(0)

    def _start_again(self, _: Message) -> None:
        """Accept clients again until the stop completes all the same."""
        if not self.admits:
            self.admits = True
            self._opening = asyncio.get_running_loop().create_task(self.come_up())
