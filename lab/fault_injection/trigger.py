"""When does a planted fault strike, and when is it healed?

It strikes when the product acts on its place in its stage, so that nothing before is touched. It
lasts until the run shows that it has noticed: before every further request to the place, and
besides every so often, the run is looked at.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from lab.fault_injection.fault import Fault
from lab.fault_injection.methods import Way, way
from lab.node.request_hook import Moment
from lab.proxy.proxies import Lines
from lab.proxy.request_id import Request
from workflows.model.stages import StageName

Noticed = Callable[[], Awaitable[bool]]
LOOKS_EVERY = 0.1


class Trap:
    """One fault, waiting for its moment."""

    def __init__(self, fault: Fault, lines: Lines, noticed: Noticed) -> None:
        self.fault = fault
        self.struck_at: float | None = None
        self.healed_at: float | None = None
        self._lines = lines
        self._noticed = noticed
        self._way: Way = way(lines, fault.stage, fault.place)

    def set(self) -> None:
        """Be ready; what is only looked at is faulty at once, before its first connection."""
        self._lines.gatekeeper.spring = self.spring
        if self.fault.stage is StageName.CHECK_PREREQUISITES:
            self._strike()

    async def spring(self, moment: Moment, _: Request) -> bool:
        """Be asked about every request; whether it may go on."""
        if moment.place != self.fault.place or self.healed_at is not None:
            return True
        if self.struck_at is not None:
            if moment.when == "before" and await self._noticed():
                self.heal()
                return True
        elif self._way.acts(moment) and moment.when == self._when:
            self._strike()
        return not self._stops(moment)

    async def follow(self) -> None:
        """Heal it when the run has noticed; ends then."""
        while self.healed_at is None:
            await asyncio.sleep(LOOKS_EVERY)
            if self.struck_at is not None and await self._noticed():
                self.heal()

    def heal(self) -> None:
        """Let everything be as it was."""
        self._way.heal()
        if self.struck_at is not None and self.healed_at is None:
            self.healed_at = time.time()

    async def end(self) -> None:
        """Leave nothing behind, whatever happened."""
        self._lines.gatekeeper.spring = None
        self.heal()

    @property
    def _when(self) -> str:
        """What cannot be understood is what is read once it has been done."""
        return "after" if self.fault.kind == "unknown" else "before"

    def _strike(self) -> None:
        self.struck_at = time.time()
        match self.fault.kind:
            case "refused":
                self._way.refuse()
            case "unreachable":
                self._way.cut()
            case "unknown":
                self._way.confuse()
            case "lost":
                self._way.lose()

    def _stops(self, moment: Moment) -> bool:
        """Whether a request neither has its effect nor is answered."""
        if self.struck_at is None or moment.when == "after":
            return False
        cut = self.fault.kind == "unreachable"
        return cut or (self._way.swallows and self._way.acts(moment))
