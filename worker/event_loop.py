"""The worker's event loop, which nothing that one place does keeps waiting."""

import asyncio
import gc
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from activities.transport import http

MAX_LOOKUPS = 100
"""Names that are looked up at a time."""
SWITCH_INTERVAL = 0.001
"""Seconds that a thread which computes keeps the loop waiting each time, if the loop let go."""


class WorkerLoop(asyncio.SelectorEventLoop):
    """Looks up names in threads of their own.

    The C library cannot be interrupted. Where a name server answers a byte now and then, a lookup
    takes hours; with the threads that all share, files and other work would wait for it, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lookups = ThreadPoolExecutor(MAX_LOOKUPS, thread_name_prefix="lookup")

    async def getaddrinfo(  # noqa: PLR0913 - the library's signature
        self,
        host: Any,  # noqa: ANN401 - the library's signature
        port: Any,  # noqa: ANN401 - the library's signature
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - the library's signature
        proto: int = 0,
        flags: int = 0,
    ) -> Any:  # noqa: ANN401 - the library's signature
        """Look up a name; one that is given up before a thread was free is not looked up."""
        asked = (host, port, family, type, proto, flags)
        return await self.run_in_executor(self._lookups, socket.getaddrinfo, *asked)


async def prepare() -> None:
    """Load what is loaded late, and let no garbage collection look at what stays for ever.

    A whole collection looks at everything that is in memory, and nothing runs meanwhile: with all
    modules for 60 ms, and one comes whenever an answer is long.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    await http.load()
    gc.collect()
    gc.freeze()
