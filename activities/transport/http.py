"""Receive the answer of an HTTP server within bounds, and translate what goes wrong."""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpcore
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
READ_SIZE = 8 << 10
"""Bytes that are processed without a break for others: hundreds of the shortest answers "100".
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


def transport(context: ssl.SSLContext, socket: Path | None = None) -> httpx.AsyncHTTPTransport:
    """Connect by TCP, or to a Unix socket, and leave the others on the loop their time."""
    path = str(socket) if socket else None
    made = httpx.AsyncHTTPTransport(verify=context, uds=path, trust_env=False)
    # httpx offers no way to name a backend: it reads 64 KiB, and runs through them at once.
    made._pool = httpcore.AsyncConnectionPool(  # noqa: SLF001 - see above
        ssl_context=context, uds=path, network_backend=_Portions()
    )
    return made


async def load() -> None:
    """Load what the library loads with the first request, which would stop the loop then."""
    await _Portions().sleep(0)


async def receive(
    response: httpx.Response, place: str, limit: int, hold: Callable[[int], None] = lambda _: None
) -> HttpAnswer:
    """Read the rest of an answer; OutcomeUnknown if it is longer than *limit* bytes, or compressed.

    How long it may take is the caller's business. *hold* is told how many bytes each part has.
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
        hold(len(part))
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


class _Portions(httpcore.AnyIOBackend):
    """Connects as the library does; what a server sends is handed over in small portions."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Portioned(
            await super().connect_tcp(host, port, timeout, local_address, socket_options)
        )

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Portioned(await super().connect_unix_socket(path, timeout, socket_options))


class _Portioned(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the library's signature
        await asyncio.sleep(0)  # what is there already is read without waiting
        return await self._stream.read(min(max_bytes, READ_SIZE), timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the library's signature
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
    ) -> httpcore.AsyncNetworkStream:
        try:
            return _Portioned(await self._stream.start_tls(ssl_context, server_hostname, timeout))
        except BaseException:  # the library leaves the connection open if it is cancelled
            await self.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - the library's signature
        return self._stream.get_extra_info(info)
