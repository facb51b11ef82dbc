"""Collect what a command prints while it comes, and end it where that is too much."""

import asyncio
from dataclasses import dataclass

import asyncssh

MAX_ANSWER = 1 << 20
"""Bytes of an answer, with everything that a login shell prints besides."""
MAX_LIST = 16 << 20
"""Bytes of an answer that lists or quotes what a site has: sockets, files, a configuration."""
MAX_LINES = 150_000
"""Of any answer: each costs a hundred bytes or more where lines are told apart."""
MAX_HELD = 32 << 20
"""Bytes that all answers of one machine may have in memory together, while they come."""
WINDOW = 1 << 18
"""Bytes that a machine may send of one answer before the worker has asked for more."""

_LINE_ENDS = b"\0\n\v\f\r\x1c\x1d\x1e\x85\xa8\xa9"
"""Bytes with which a line can end, for any parser; the last three end characters that do."""


@dataclass
class Held:
    """How many bytes of one machine's answers are in memory."""

    bytes: int = 0


class Answer(asyncssh.SSHClientSession[bytes]):
    """What one command prints, and its exit status."""

    def __init__(self, limit: int, held: Held) -> None:
        self.out = b""
        self.err = b""
        self.status: int | None = None
        self.excess = ""
        """What there was too much of; then the rest was not read."""
        self.ended = asyncio.get_running_loop().create_future()
        """Done when the machine has closed the channel, or is not listened to any more."""
        self.closed = False
        """Whether the machine has closed the channel, or opened none."""
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._parts: dict[bool, list[bytes]] = {False: [], True: []}
        self._limit, self._size, self._held = limit, 0, held

    @property
    def opened(self) -> bool:
        """Whether the machine has opened the channel."""
        return self._channel is not None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Note the channel."""
        self._channel = chan

    def session_started(self) -> None:
        """Send nothing on standard input."""
        assert self._channel is not None  # noqa: S101 - the library has called connection_made
        self._channel.write_eof()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Keep what comes, until it is too much."""
        if self.ended.done():
            return
        self._size += len(data)
        self._held.bytes += len(data)
        self._parts[datatype is not None].append(data)
        if self._size > self._limit:
            self._refuse(f"more than {self._limit} bytes")
        elif self._held.bytes > MAX_HELD:
            self._refuse(f"more than {MAX_HELD} bytes, together with answers beside it")

    def eof_received(self) -> bool:
        """Wait for the exit status, which may come later."""
        return True

    def exit_status_received(self, status: int) -> None:
        """Note it."""
        self.status = status

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the library's signature
        """End, whatever the reason: without an exit status the answer is not whole."""
        self.closed = True
        self._end()

    def leave(self) -> None:
        """Join what came; what still comes is not kept.

        The channel stays open: the command of a given-up attempt may be at work, and write.
        """
        self._end()
        if not self.excess:
            self.out, self.err = (b"".join(self._parts[error]) for error in (False, True))
            lines = self._size - sum(
                len(text.translate(None, _LINE_ENDS)) for text in (self.out, self.err)
            )
            if lines > MAX_LINES:
                self.excess, self.out, self.err = f"more than {MAX_LINES} lines", b"", b""
        self._parts.clear()
        self._held.bytes -= self._size
        self._size = 0

    def _refuse(self, excess: str) -> None:
        self.excess = excess
        for parts in self._parts.values():
            parts.clear()
        if self._channel is not None:
            self._channel.abort()
        self._end()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
