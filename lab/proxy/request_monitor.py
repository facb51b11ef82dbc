"""Record every request to the estate and ask a hook whether it may proceed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lab.layout import Layout
from lab.node.request_hook import DROP, RequestEvent, gate
from lab.proxy.request_id import Request

RequestHook = Callable[[RequestEvent, Request], Awaitable[bool]]
"""What happens at a event: whether the request may go on."""

_LONGEST = 1 << 20


@dataclass
class Seen:
    """What is known of a request."""

    first: float
    """When it first came, in seconds since the epoch."""
    times: int = 1


@dataclass
class RequestMonitor:
    """Is asked about every request of a lab, before and after; writes all of them down."""

    layout: Layout
    hook: RequestHook | None = None
    requests: dict[Request, Seen] = field(default_factory=dict)
    request_times: list[float] = field(default_factory=list)
    """When each request came."""

    @asynccontextmanager
    async def on_duty(self) -> AsyncIterator[None]:
        """Listen on the lab's gate."""
        gate(self.layout).unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._hear, str(gate(self.layout)), limit=_LONGEST)
        try:
            yield
        finally:
            server.close()
            gate(self.layout).unlink(missing_ok=True)

    def forget(self) -> None:
        """Begin a new record."""
        self.requests.clear()
        self.request_times.clear()

    async def passes(self, event: RequestEvent) -> bool:
        """Say whether it may happen, after whatever is to happen first."""
        request = Request.of(event, self.layout.root)
        if event.when == "before":
            now = time.time()
            self.request_times.append(now)
            if seen := self.requests.get(request):
                seen.times += 1
            else:
                self.requests[request] = Seen(now)
        return self.hook is None or await self.hook(event, request)

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if line := await reader.readline():
                goes = await self.passes(RequestEvent(**json.loads(line)))
                writer.write(b"go\n" if goes else DROP)
        finally:
            writer.close()
