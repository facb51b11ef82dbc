"""The protocol between a protocol server and a Transaction Manager.

Over TCP, one stream for each client session: a question, then its answer, each a JSON object and a
payload with their lengths in front. A Server uses its own Transaction Manager, an Edge any of its
cluster; a stream whose Transaction Manager is down or refuses new work goes to the next.
"""

import asyncio
import json
import random
import struct
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from lab.layout import STREAMING_PORT

_LENGTHS = struct.Struct(">II")


class NoTransactionManager(Exception):
    """None of the Transaction Managers this node may use can be reached."""


class Refused(Exception):
    """The Transaction Manager could not do that; the message says why."""


@dataclass(frozen=True)
class Frame:
    """One question or answer."""

    head: dict[str, Any] = field(default_factory=dict)
    payload: bytes = b""


async def receive(reader: asyncio.StreamReader) -> Frame:
    """Read one frame; raises EOFError when the other side has closed."""
    head, payload = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
    content = await reader.readexactly(head + payload)
    return Frame(json.loads(content[:head]), content[head:])


async def send(writer: asyncio.StreamWriter, frame: Frame) -> None:
    """Write one frame."""
    head = json.dumps(frame.head).encode()
    writer.write(_LENGTHS.pack(len(head), len(frame.payload)) + head + frame.payload)
    await writer.drain()


class _Link:
    """One connection to one Transaction Manager: a question at a time."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = asyncio.Lock()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._closed = False

    async def ask(self, question: Frame) -> Frame | None:
        """Return the answer; None if there is no answer."""
        async with self._lock:
            try:
                if self._reader is None or self._writer is None:
                    self._reader, self._writer = await asyncio.open_connection(
                        self._address, STREAMING_PORT, limit=1 << 20
                    )
                await send(self._writer, question)
                return await receive(self._reader)
            except (OSError, EOFError):
                return None
            finally:
                if self._closed:  # meanwhile
                    self.close()

    def close(self) -> None:
        """Leave; the Transaction Manager gives up what is still open."""
        self._closed = True
        if self._writer:
            self._writer.close()


class Stream:
    """One client session's way to a Transaction Manager, connected when first needed.

    Only an open file is bound to the Transaction Manager that opened it.
    """

    def __init__(self, node: str, protocol: str, addresses: tuple[str, ...]) -> None:
        self._who = {"node": node, "protocol": protocol}
        # Every session begins elsewhere, so that all Servers get work.
        self._addresses = random.sample(addresses, len(addresses))
        self._link: _Link | None = None
        self._numbers = count(1)
        self._files: dict[int, tuple[_Link, int]] = {}

    async def ask(self, operation: str, payload: bytes = b"", **fields: Any) -> Frame:  # noqa: ANN401 - JSON
        """Return the answer; raises Refused and NoTransactionManager."""
        question = Frame({**self._who, **fields, "operation": operation}, payload)
        if "file" in fields:
            answer = await self._ask_about_file(question)
        else:
            answer = await self._ask_any(question)
        if error := answer.head.get("error"):
            raise Refused(error)
        return answer

    def close(self) -> None:
        """Leave; what is still open is given up."""
        for link in {self._link, *(link for link, _ in self._files.values())} - {None}:
            assert link
            link.close()
        self._link = None
        self._files.clear()

    async def _ask_any(self, question: Frame) -> Frame:
        for _ in range(len(self._addresses) + 1):  # the first one may have restarted
            link = self._link = self._link or _Link(self._addresses[0])
            answer = await link.ask(question)
            if answer is not None and not answer.head.get("draining"):
                return self._numbered(link, answer) if "file" in answer.head else answer
            self._move_on(link)
        raise NoTransactionManager("no Transaction Manager can be reached")

    async def _ask_about_file(self, question: Frame) -> Frame:
        number = question.head["file"]
        if number not in self._files:
            raise Refused("no such open file")
        link, theirs = self._files[number]
        answer = await link.ask(Frame({**question.head, "file": theirs}, question.payload))
        if question.head["operation"] in ("close", "abort"):
            self._files.pop(number, None)
            self._close_unused(link)
        if answer is None:
            raise NoTransactionManager("the Transaction Manager has ended")
        return answer

    def _numbered(self, link: _Link, opened: Frame) -> Frame:
        number = next(self._numbers)
        self._files[number] = link, opened.head["file"]
        return Frame({"file": number})

    def _move_on(self, link: _Link) -> None:
        if self._link is link:
            self._link = None
            self._addresses.append(self._addresses.pop(0))
        self._close_unused(link)

    def _close_unused(self, link: _Link) -> None:
        # A Transaction Manager that drains still ends the transfers it has.
        if link is not self._link and all(link is not used for used, _ in self._files.values()):
            link.close()
