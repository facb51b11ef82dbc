"""How a call of a script reaches the machine, and how its answer reaches the script.

On Unix a FIFO takes the calls, and each script waits at a FIFO of its own. On Windows, which has
none, each call is a connection.
"""

import os
import selectors
import signal
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lab.layout import CALL_PORT, NodeLayout
from lab.node import scripts

CALL_BYTES = 1 << 16
END_OF_SESSION = b"session"
"""Instead of an answer: the script ends what started it, and itself."""


@dataclass(frozen=True)
class ScriptAnswer:
    """What a script prints and how it exits."""

    code: int
    text: str

    @property
    def stream(self) -> int:
        """Refusals go to standard error."""
        return 2 if self.code else 1


@dataclass(frozen=True)
class ScriptCall(ABC):
    """A script that was started and waits for its answer."""

    script: str
    arguments: tuple[str, ...]

    @abstractmethod
    def answer(self, answer: ScriptAnswer) -> None:
        """Let the script print and exit; it may have ended."""

    @abstractmethod
    def kill(self) -> None:
        """End the script before it could answer."""

    @abstractmethod
    def kill_session(self) -> None:
        """End the script, and what started it."""

    @abstractmethod
    def waits(self) -> bool:
        """Whether it still waits: neither answered nor ended."""


Receive = Callable[[ScriptCall], None]


def take_calls(node: NodeLayout, selector: selectors.BaseSelector, receive: Receive) -> None:
    """Let the selector take the calls of a machine's scripts from now on."""
    if node.windows:
        _Listener(node, selector, receive)
    else:
        _Fifo(node, selector, receive)


@dataclass(frozen=True)
class _FifoCall(ScriptCall):
    pid: int
    run: Path

    def answer(self, answer: ScriptAnswer) -> None:
        reply = self.run / f"reply.{self.pid}"
        line = answer.text.replace("\\", "\\\\").replace("\n", "\\n")
        with suppress(OSError):
            handle = os.open(reply, os.O_WRONLY | os.O_NONBLOCK)
            os.write(handle, f"{answer.code} {answer.stream} {line}\n".encode())
            os.close(handle)
        reply.unlink(missing_ok=True)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        (self.run / f"reply.{self.pid}").unlink(missing_ok=True)

    def kill_session(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(os.getpgid(self.pid), signal.SIGKILL)
        (self.run / f"reply.{self.pid}").unlink(missing_ok=True)

    def waits(self) -> bool:
        return (self.run / f"reply.{self.pid}").exists()


class _Fifo:
    def __init__(
        self, node: NodeLayout, selector: selectors.BaseSelector, receive: Receive
    ) -> None:
        self._run = scripts.run_directory(node)
        self._receive = receive
        self._rest = b""
        fifo = self._run / "supervisor"
        fifo.unlink(missing_ok=True)
        os.mkfifo(fifo, 0o600)
        # For writing, too: or else it would read as ended whenever no script has it open.
        self._handle = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        selector.register(self._handle, selectors.EVENT_READ, self._read)

    def _read(self) -> None:
        *lines, self._rest = (self._rest + os.read(self._handle, CALL_BYTES)).split(b"\n")
        for line in lines:
            pid, script, *arguments = _words(line)
            given = tuple(word for word in arguments if word)
            self._receive(_FifoCall(script, given, int(pid), self._run))


@dataclass(frozen=True)
class _Connection(ScriptCall):
    connection: socket.socket

    def answer(self, answer: ScriptAnswer) -> None:
        self._end(f"{answer.code}\n{answer.text}".encode())

    def kill(self) -> None:
        self._end(b"")

    def kill_session(self) -> None:
        self._end(END_OF_SESSION)

    def _end(self, last: bytes) -> None:
        with suppress(OSError):  # it may have ended
            self.connection.sendall(last)
            # A service that was started meanwhile has the connection open, too.
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def waits(self) -> bool:
        if self.connection.fileno() < 0:
            return False
        try:
            return bool(self.connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False


class _Listener:
    def __init__(
        self, node: NodeLayout, selector: selectors.BaseSelector, receive: Receive
    ) -> None:
        self._selector = selector
        self._receive = receive
        self._begun: dict[socket.socket, bytes] = {}
        self._listener = socket.create_server((node.address, CALL_PORT), backlog=64)
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._begun[connection] = b""
        self._selector.register(connection, selectors.EVENT_READ, partial(self._read, connection))

    def _read(self, connection: socket.socket) -> None:
        got = b""
        with suppress(ConnectionResetError):
            got = connection.recv(CALL_BYTES)
        self._begun[connection] += got
        line, end, _ = self._begun[connection].partition(b"\n")
        if got and not end:
            return
        self._selector.unregister(connection)
        del self._begun[connection]
        if end:
            script, *arguments = _words(line)
            self._receive(_Connection(script, tuple(arguments), connection))
        else:  # it was killed before it had said all
            connection.close()


def _words(line: bytes) -> list[str]:
    return line.decode(errors="replace").split(scripts.SEPARATOR)
