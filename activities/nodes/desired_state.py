"""Which states of a node can be wished for, and what speaks against saying that they hold?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.heartbeat import sleep
from activities.securetransport import scripts as securetransport
from activities.securetransport.service_state import ObservedState
from workflows.errors import CommandFailed, OutcomeUnknown, SwitchoverError
from workflows.model.estate import Node
from workflows.model.results import Service, State

POLL_INTERVAL = timedelta(seconds=0.5)
"""Between two looks at a state that should come about soon."""


@dataclass(frozen=True)
class Mismatch:
    """Why a wished state does not hold, or why nobody can tell."""

    message: str
    unknown: bool = False

    def error(self, words: str) -> SwitchoverError:
        """Return what to raise when nothing better is known."""
        return (OutcomeUnknown if self.unknown else CommandFailed)(words)


@dataclass(frozen=True)
class DesiredState:
    """A state that an effect is to bring about."""

    objection: Callable[[], Awaitable[Mismatch | None]]
    """None where the state holds."""
    patience: timedelta
    """How long it may take once the command has ended."""
    already: str
    done: str

    async def wait(self) -> Mismatch | None:
        """Look until it holds or the patience is over; return the last objection."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self.patience.total_seconds()
        while (objection := await self.objection()) is not None:
            if clock() >= deadline:
                return objection
            await sleep(POLL_INTERVAL)
        return None


@dataclass(frozen=True)
class DesiredStates:
    """The wishes for one node, with the patience that they get."""

    survey: ServiceStatusReader
    node: Node
    patience: timedelta

    def running(self, service: Service) -> DesiredState:
        """DesiredState one service up."""
        return self._up((service,), f"{service} runs on {self.node.name}", f"{service} started")

    def all_running(self) -> DesiredState:
        """Everything is up that the estate expects there; the Monitor is a matter of its own."""
        services = tuple(securetransport.expected(self.node) - {Service.MONITOR})
        return self._up(services, f"all runs on {self.node.name}", "everything started")

    def stopped(self, service: Service) -> DesiredState:
        """DesiredState one service down."""

        async def objection() -> Mismatch | None:
            seen = await self.survey.states(self.node, (service,))
            return _first(seen, lambda sighting: sighting.down)

        return self._wish(objection, f"{service} was stopped already", f"{service} stopped")

    def nothing_left(self) -> DesiredState:
        """DesiredState that neither process nor port of SecureTransport is left.

        No script can tell: they need admin, which is stopped with the rest (section 3).
        """

        async def objection() -> Mismatch | None:
            left = (await self.survey.traces(self.node)).of_all(self.node)
            return Mismatch(f"{', '.join(left)} is still there") if left else None

        return self._wish(objection, "nothing ran any more", "everything stopped")

    def _up(self, services: tuple[Service, ...], already: str, done: str) -> DesiredState:
        async def objection() -> Mismatch | None:
            seen = await self.survey.states(self.node, services)
            # What an administrator disabled cannot be wished up by anyone.
            several = len(services) > 1
            return _first(seen, lambda s: s.running or (several and s.state is State.DISABLED))

        return self._wish(objection, already, done)

    def _wish(
        self, objection: Callable[[], Awaitable[Mismatch | None]], already: str, done: str
    ) -> DesiredState:
        place = f" on {self.node.name}"
        return DesiredState(
            objection,
            self.patience,
            already.removesuffix(place) + place,
            done + place,
        )


def _first(
    seen: Mapping[Service, ObservedState], holds: Callable[[ObservedState], bool]
) -> Mismatch | None:
    """The first service, in a stable order, whose state is not as wished."""
    for service in sorted(seen):
        sighting = seen[service]
        if not holds(sighting):
            words = f"{service} is {sighting.state} ({sighting.text})"
            return Mismatch(words, unknown=sighting.state is State.UNKNOWN)
    return None
