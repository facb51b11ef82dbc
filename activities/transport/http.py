"""Receive the answer of an HTTP server within bounds, and translate what goes wrong."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from workflows.errors import AccessRefused, OutcomeUnknown, SwitchoverError, Unreachable
from workflows.model.text import printable

PLAIN = {"Accept-Encoding": "identity"}
"""Header of every request: a compressed answer would be a thousand times as long as it seems."""
MAX_SHOWN = 400
"""Characters of an answer that an operator is shown."""
CHUNKS_AT_ONCE = 64
"""So many parts of an answer, which may be a byte each, are joined before others have their turn.
"""


@dataclass(frozen=True)
class HttpAnswer:
    """A whole answer."""

    status: int
    body: bytes
    date: str
    """The sender's clock, as it says; empty where it does not."""

    @property
    def text(self) -> str:
        """The beginning, for an operator to read."""
        return printable(self.body[:MAX_SHOWN].decode("utf-8", "replace")).strip()


async def receive(response: httpx.Response, place: str, limit: int) -> HttpAnswer:
    """Read the rest of an answer; OutcomeUnknown if it is longer than *limit* bytes, or compressed.

    How long it may take is the caller's business.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        raise OutcomeUnknown(
            f"{place}: the answer is encoded as {printable(encoding[:40])}, which was not asked "
            "for; find out what answers there"
        )
    parts, size = [], 0
    async for part in response.aiter_raw():
        parts.append(part)
        size += len(part)
        if size > limit:
            raise OutcomeUnknown(
                f"{place}: the answer is longer than {limit} bytes, and the rest was not read; "
                "find out what answers there"
            )
        if len(parts) % CHUNKS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return HttpAnswer(response.status_code, b"".join(parts), response.headers.get("Date", ""))


def bracketed(address: str) -> str:
    """Return an address as a URL needs it."""
    return f"[{address}]" if ":" in address else address


@contextmanager
def translated(place: str, lost: type[SwitchoverError]) -> Iterator[None]:
    """Translate httpx's errors; *lost* is raised if the request may have arrived."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as fault:
        if isinstance(_root(fault), ssl.SSLCertVerificationError):
            raise AccessRefused(
                f"{place}: its certificate cannot be verified ({_shown(_root(fault))}); "
                "check ca or fingerprint, and which server answers there"
            ) from fault
        raise Unreachable(
            f"{place}: HTTPS does not answer ({_shown(fault) or 'no answer'})"
        ) from fault
    except (httpx.HTTPError, TimeoutError) as fault:
        raise lost(
            f"{place}: the HTTPS connection broke ({_shown(fault) or type(fault).__name__})"
        ) from fault


def _shown(fault: BaseException) -> str:
    """Return what a library says of an error: it may quote what the peer sent."""
    return printable(str(fault)[:MAX_SHOWN])


def _root(fault: BaseException) -> BaseException:
    """Return the first cause: httpx wraps the TLS library's error twice."""
    while (inner := fault.__cause__ or fault.__context__) is not None:
        fault = inner
    return fault
