"""Record every request to the estate and ask a hook whether it may proceed."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lab.layout import Layout
from lab.node.request_hook import DROP, RequestEvent, hook_socket
from lab.proxy.request_id import Request

RequestHook = Callable[[RequestEvent, Request], Awaitable[bool]]
"""Return whether the request may proceed."""

MAX_EVENT_BYTES = 1 << 20


@dataclass
class Occurrences:
    """When and how often a request came."""

    first: float
    """When it first came, in seconds since the epoch."""
    times: int = 1


@dataclass
class RequestMonitor:
    """Records every request of a lab, and asks the hook before and after it is carried out."""

    layout: Layout
    hook: RequestHook | None = None
    requests: dict[Request, Occurrences] = field(default_factory=dict)
    request_times: list[float] = field(default_factory=list)
    """When each request came."""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen on the lab's socket."""
        hook_socket(self.layout).unlink(missing_ok=True)
        socket = str(hook_socket(self.layout))
        server = await asyncio.start_unix_server(self._answer, socket, limit=MAX_EVENT_BYTES)
        try:
            yield
        finally:
            server.close()
            hook_socket(self.layout).unlink(missing_ok=True)

    def forget(self) -> None:
        """Clear the record."""
        self.requests.clear()
        self.request_times.clear()

    async def passes(self, event: RequestEvent) -> bool:
        """Return whether the request may proceed; the hook may wait first."""
        request = Request.of(event, self.layout.root)
        if event.when == "before":
            now = time.time()
            self.request_times.append(now)
            if seen := self.requests.get(request):
                seen.times += 1
            else:
                self.requests[request] = Occurrences(now)
        return self.hook is None or await self.hook(event, request)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if line := await reader.readline():
                goes = await self.passes(RequestEvent(**json.loads(line)))
                writer.write(b"go\n" if goes else DROP)
        finally:
            writer.close()
