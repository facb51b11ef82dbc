"""The clients: partners that keep transferring files.

Short sessions, long ones with pauses between files, large slow transfers, and frequent short
connections, which make the gap of a redirect measurable. A third of the clients use HTTPS. Each has
an account of its own, and remembers every file it has uploaded.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import asyncssh
import httpx

from lab.layout import account
from lab.traffic.meter import ClientIdentity, Meter, Operation, SessionFailed, Unexpected
from lab.traffic.sessions import CHUNK, Gateway, Session, digest

Behaviour = Literal["short", "long", "large", "caller"]
BEHAVIOURS: tuple[Behaviour, ...] = (
    *("large", "long", "short", "short", "long"),
    *("large", "short", "long", "short", "caller"),
)
"""Clients take them in turn. A fifth of them has large transfers, and one is always in flight: the
first one of every second such client is half as long, so that not all pause at the same time."""
PAUSES: dict[Behaviour, tuple[float, float]] = {
    "short": (1.5, 3.5),
    "long": (0.2, 0.4),
    "large": (0.2, 0.4),
    "caller": (0.2, 0.4),
}
"""Seconds between two sessions: at least, at most."""
SLOW_SECONDS = (20.0, 25.0)
"""How long a large transfer takes."""
OLD_AFTER = 2.0
"""Seconds after which a file has surely reached the other cluster's storage."""


@dataclass(frozen=True)
class Uploaded:
    """A file of ours that the server has taken."""

    name: str
    sha256: str
    at: float


@dataclass
class Client:
    """One partner with one account."""

    number: int
    gateway: Gateway
    finishing: asyncio.Event
    """Set when every client shall end its session quickly and begin no other."""
    series: str = ""
    """A part of every file's name."""
    uploads: list[Uploaded] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.number)
        self.behaviour = BEHAVIOURS[self.number % len(BEHAVIOURS)]
        self.protocol = "http" if self.number % 3 == 0 else "ssh"
        self.account = account(self.number + 1)
        who = ClientIdentity(f"client{self.number:03d}", self.account, self.protocol)
        self._meter = Meter(self.gateway.layout.traffic, who)

    async def run(self) -> None:
        """Have one session after the other."""
        await self._pause(self._chance.uniform(0, 3))
        while not self.finishing.is_set():
            with suppress(SessionFailed):  # it is in the record
                await self._visit()
            await self._pause(self._chance.uniform(*PAUSES[self.behaviour]))

    async def _visit(self) -> None:
        async with self._meter.measured(Operation("connect")):
            enter = self.gateway.https if self.protocol == "http" else self.gateway.sftp
            session = await enter(self.account)
        try:
            match self.behaviour:
                case "short":
                    await self._short(session)
                case "long":
                    await self._long(session)
                case "large":
                    await self._large(session)
                case "caller":
                    await self._list(session)
        finally:
            with suppress(asyncssh.Error, httpx.HTTPError, OSError):  # the visit is over
                await session.close()

    async def _short(self, session: Session) -> None:
        await self._list(session)
        await self._put(session, self._content(2))
        await self._get_some(session)

    async def _long(self, session: Session) -> None:
        for _ in range(self._chance.randint(4, 6)):
            await self._put(session, self._content(1))
            await self._pause(self._chance.uniform(0.7, 1.2))
            await self._get_some(session)
            await self._pause(self._chance.uniform(0.7, 1.2))

    async def _large(self, session: Session) -> None:
        seconds = self._chance.uniform(*SLOW_SECONDS)
        if not self.sent and self.number % len(BEHAVIOURS):
            seconds /= 2
        if (own := self._old()) and self.sent % 3 == 0:
            self.sent += 1
            await self._get(session, Operation("get", own[-1].name, own[-1].sha256), seconds)
        else:
            await self._put(session, self._content(24), seconds)

    async def _list(self, session: Session) -> None:
        async with self._meter.measured(Operation("list")):
            expected = {file.name for file in self._old()}
            if missing := expected - await session.names():
                raise Unexpected(f"{len(missing)} files are not listed, {min(missing)} for one")

    async def _put(self, session: Session, content: bytes, seconds: float = 0) -> None:
        name = f"{self.account}-{self.series}{self.sent:04d}.dat"
        self.sent += 1
        async with self._meter.measured(Operation("put", name, digest(content))):
            await session.put(name, self._paced(content, seconds))
        self.uploads.append(Uploaded(name, digest(content), time.time()))

    async def _get_some(self, session: Session) -> None:
        old = self._old()
        if old and self._chance.random() < 0.9:  # noqa: PLR2004 - a tenth reads what is young
            chosen = self._chance.choice(old)
            await self._get(session, Operation("get", chosen.name, chosen.sha256))
        elif self.uploads:
            chosen = self.uploads[-1]
            young = time.time() - chosen.at < OLD_AFTER
            word = "young_get" if young else "get"
            await self._get(session, Operation(word, chosen.name, chosen.sha256))

    async def _get(self, session: Session, operation: Operation, seconds: float = 0) -> None:
        async with self._meter.measured(operation):
            parts = [part async for part in self._slowed(session.get(operation.name), seconds)]
            if digest(b"".join(parts)) != operation.sha256:
                raise Unexpected("another content came back")

    def _old(self) -> list[Uploaded]:
        return [file for file in self.uploads if time.time() - file.at > OLD_AFTER]

    def _content(self, chunks: int) -> bytes:
        return self._chance.randbytes(chunks * CHUNK - self._chance.randrange(CHUNK))

    async def _paced(self, content: bytes, seconds: float) -> AsyncIterator[bytes]:
        parts = range(0, len(content), CHUNK)
        for start in parts:
            yield content[start : start + CHUNK]
            if seconds:
                await self._pause(seconds / len(parts))

    async def _slowed(self, parts: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
        async for part in parts:
            yield part
            if seconds:
                await self._pause(seconds / 24)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.finishing.wait()
