"""Begin a fault when the product acts on its place, and end it when the run has noticed.

The run's state is read before every further request to the place, and at intervals.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from lab.fault_injection.fault import Fault
from lab.fault_injection.jump_host import method_at
from lab.fault_injection.methods import Method
from lab.node.request_hook import RequestEvent
from lab.proxy.proxies import Proxies
from lab.proxy.request_id import Request
from workflows.model.stages import StageName

Noticed = Callable[[], Awaitable[bool]]
POLL_SECONDS = 0.1


class Trigger:
    """One fault, waiting for its event."""

    def __init__(self, fault: Fault, proxies: Proxies, noticed: Noticed) -> None:
        self.fault = fault
        self.began_at: float | None = None
        self.healed_at: float | None = None
        self._proxies = proxies
        self._noticed = noticed
        self._method: Method = method_at(proxies, fault.stage, fault.place)

    def arm(self) -> None:
        """Wait for the request; in stage 0 the fault begins before the first connection."""
        self._proxies.request_monitor.hook = self.hook
        if self.fault.stage is StageName.CHECK_PREREQUISITES:
            self._begin()

    async def hook(self, event: RequestEvent, _: Request) -> bool:
        """Return whether this request may proceed."""
        if not self._method.concerns(event) or self.healed_at is not None:
            return True
        if self.began_at is not None:
            if event.when == "before" and await self._noticed():
                self.heal()
                return True
        elif self._method.acts(event) and event.when == self._when:
            self._begin()
        return not self._stops(event)

    async def follow(self) -> None:
        """End the fault when the run has noticed it."""
        while self.healed_at is None:
            await asyncio.sleep(POLL_SECONDS)
            if self.began_at is not None and await self._noticed():
                self.heal()

    def heal(self) -> None:
        """Restore the place."""
        self._method.heal()
        if self.began_at is not None and self.healed_at is None:
            self.healed_at = time.time()

    async def end(self) -> None:
        """Restore the place, whatever happened."""
        self._proxies.request_monitor.hook = None
        self.heal()

    @property
    def _when(self) -> str:
        """An unknown state is read after the action."""
        return "after" if self.fault.kind == "unknown" else "before"

    def _begin(self) -> None:
        self.began_at = time.time()
        match self.fault.kind:
            case "refused":
                self._method.refuse()
            case "unreachable":
                self._method.cut()
            case "unknown":
                self._method.confuse()
            case "lost":
                self._method.lose()

    def _stops(self, event: RequestEvent) -> bool:
        """Whether a request neither has its effect nor is answered."""
        if self.began_at is None or event.when == "after":
            return False
        cut = self.fault.kind == "unreachable"
        return cut or (self._method.drops and self._method.acts(event))
