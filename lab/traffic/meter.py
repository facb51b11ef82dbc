"""Record the result of every operation of a client.

``traffic.jsonl`` has one line for each, written at its end: ``{"at", "begin", "end", "client",
"account", "protocol", "operation", "name", "sha256", "ok", "message"}``. Operations: ``connect list
put get young_get``; ``young_get`` reads back a file that is younger than the storage delay, which
is measured, not promised. An application's ``drop`` into an inbox is recorded, too.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import httpx

from lab import records

OPERATION_TIMEOUT = 60.0
"""Seconds until an operation that hangs has failed; longer than the slowest transfer takes."""


class Unexpected(Exception):
    """The server answered, and the answer is wrong."""


class SessionFailed(Exception):
    """An operation failed and stands in the record; its session is over."""


@dataclass(frozen=True)
class ClientIdentity:
    """One client."""

    client: str
    account: str
    protocol: str


@dataclass
class Operation:
    """One thing that a client tries."""

    operation: str
    name: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Meter:
    """Writes the record of one client."""

    record: Path
    client: ClientIdentity

    @asynccontextmanager
    async def measured(self, operation: Operation) -> AsyncIterator[None]:
        """Record how the operation inside ends; raise SessionFailed if it fails."""
        begin = time.time()
        try:
            async with asyncio.timeout(OPERATION_TIMEOUT):
                yield
        except (asyncssh.Error, httpx.HTTPError, OSError, Unexpected) as fault:
            message = f"{type(fault).__name__}: {fault}".strip()
            self._write(operation, begin, message)
            raise SessionFailed(message) from fault
        self._write(operation, begin, "")

    def _write(self, operation: Operation, begin: float, message: str) -> None:
        end = time.time()
        failure = {"ok": not message, "message": message}
        times = {"begin": begin, "end": end}
        records.append(self.record, **times, **vars(self.client), **vars(operation), **failure)
