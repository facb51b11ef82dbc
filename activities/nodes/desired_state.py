"""The states that an action can bring about on a node, and how each is read."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from activities.nodes.service_status import ListedPort, ServiceStatusReader
from activities.runtime.heartbeat import sleep
from activities.securetransport import scripts as securetransport
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.service_state import ObservedState
from workflows.errors import CommandFailed, OutcomeUnknown, SwitchoverError, Unreachable
from workflows.model.estate import Node
from workflows.model.results import Service, State
from workflows.model.text import listed

POLL_INTERVAL = timedelta(seconds=0.5)
"""Between two readings of a state that is expected soon."""


@dataclass(frozen=True)
class Mismatch:
    """Why a desired state does not hold, or why that is unknown."""

    message: str
    unknown: bool = False
    silent: tuple[ListedPort, ...] = ()
    """Where all that is wanted runs: the listed ports on which nothing listens all the same."""

    def error(self, message: str) -> SwitchoverError:
        """Return the error to raise when nothing more precise is known."""
        return (OutcomeUnknown if self.unknown else CommandFailed)(message)


@dataclass(frozen=True)
class DesiredState:
    """A state that an action is to bring about."""

    mismatch: Callable[[], Awaitable[Mismatch | None]]
    """None where the state holds."""
    already_message: str
    done_message: str

    async def wait(self, limit: timedelta) -> Mismatch | None:
        """Poll until it holds or the limit expires; return the last mismatch."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + limit.total_seconds()
        while (mismatch := await self.mismatch()) is not None:
            if clock() >= deadline:
                return mismatch
            await sleep(POLL_INTERVAL)
        return None


@dataclass(frozen=True)
class DesiredStates:
    """The desired states of one node."""

    status: ServiceStatusReader
    node: Node

    def running(self, service: Service) -> DesiredState:
        """One service runs, and listens on every port that the estate lists for it."""
        messages = f"{service} runs", f"{service} started"
        return self._services((service,), lambda observed: observed.running, *messages)

    def admin_answering(self, admin: AdminClient) -> DesiredState:
        """The admin service runs, and its API answers: that may take much longer (section 3)."""
        runs = self.running(Service.ADMIN)

        async def mismatch() -> Mismatch | None:
            if (down := await runs.mismatch()) is not None:
                return down
            try:
                await admin.get(self.node, "version")
            except (Unreachable, OutcomeUnknown) as silence:
                return Mismatch(f"its API does not answer ({silence})", unknown=True)
            return None

        return self._state(mismatch, "the admin API answers", "the admin service started")

    def all_running(self) -> DesiredState:
        """Everything runs and listens as the estate expects; the Monitor is handled separately."""

        def as_it_should_be(observed: ObservedState) -> bool:
            return observed.running or observed.state is State.DISABLED  # by an administrator

        services = tuple(securetransport.expected(self.node) - {Service.MONITOR})
        messages = "all services run", "all services started"
        return self._services(services, as_it_should_be, *messages)

    def stopped(self, service: Service) -> DesiredState:
        """One service is down."""
        messages = f"{service} was stopped already", f"{service} stopped"
        return self._services((service,), lambda observed: observed.down, *messages)

    def nothing_running(self) -> DesiredState:
        """Neither a process nor a port of SecureTransport remains.

        No status script can tell: they need admin, which is stopped with the rest (section 3).
        """

        async def mismatch() -> Mismatch | None:
            remaining = (await self.status.process_evidence(self.node)).of_all(self.node)
            return Mismatch(f"still running: {', '.join(remaining)}") if remaining else None

        return self._state(mismatch, "nothing was running", "everything stopped")

    def _services(
        self,
        services: tuple[Service, ...],
        holds: Callable[[ObservedState], bool],
        already: str,
        done: str,
    ) -> DesiredState:
        async def mismatch() -> Mismatch | None:
            states = await self.status.states(self.node, services)
            return _first(states, holds) or await self._silent(states)

        return self._state(mismatch, already, done)

    async def _silent(self, states: Mapping[Service, ObservedState]) -> Mismatch | None:
        """Return the mismatch of services that run without listening: a daemon, not its servers."""
        running = {service for service, observed in states.items() if observed.running}
        silent = await self.status.silent_ports(self.node, running)
        if not silent:
            return None
        daemons = listed(sorted({str(port.protocol) for port in silent}))
        message = f"{daemons} runs, and nothing listens on {listed(map(str, silent))}"
        return Mismatch(message, silent=silent)

    def _state(
        self, mismatch: Callable[[], Awaitable[Mismatch | None]], already: str, done: str
    ) -> DesiredState:
        place = f"on {self.node.name}"
        return DesiredState(mismatch, f"{already} {place}", f"{done} {place}")


def _first(
    states: Mapping[Service, ObservedState], holds: Callable[[ObservedState], bool]
) -> Mismatch | None:
    """Return the mismatch of the first service, by name, that is not as desired."""
    for service in sorted(states):
        observed = states[service]
        if not holds(observed):
            message = f"{service} is {observed.state} ({observed.text})"
            return Mismatch(message, unknown=observed.state is State.UNKNOWN)
    return None
