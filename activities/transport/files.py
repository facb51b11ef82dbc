"""Read files of the worker's machine: regular ones, so many bytes at most, within some seconds."""

import errno
import os
import stat
from asyncio import wrap_future
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from activities.time_limits import Stopwatch

T = TypeVar("T")

READ_TIMEOUT = 5.0
"""Seconds: a file system that is away answers no call, however long one waits."""
SECRET_BYTES = 64 * 1024
FILE_BYTES = 1024 * 1024
"""Of any other file: an estate, CA certificates, known hosts."""

_RUNNING: dict[Hashable, Future[Any]] = {}
"""Who asks for what is being read shares that reading: a file system that is away holds one thread
for each file, however often it is asked for."""


class Outside(PermissionError):
    """The file, or what a link leads to, is not below a directory that is allowed."""


async def read_file(path: Path, most: int, below: Sequence[Path] | None = None) -> bytes:
    """Return the content of a regular file.

    Raises:
        Outside: it does not lead below one of these directories; whether it exists is not said.
        OSError: it cannot be read; ``strerror`` says why in words.
    """
    allowed = None if below is None else tuple(below)
    return await in_time((path, most, allowed), lambda: _content(path, most, allowed))


async def in_time(key: Hashable, work: Callable[[], T]) -> T:
    """Return what a call to the file system returns; TimeoutError if it takes too long.

    Calls with the same key do the same. One that never ends keeps its thread, which does not keep
    the worker from ending.
    """
    running = _RUNNING.get(key)
    if running is None:
        running = _RUNNING[key] = Future()
        running.set_running_or_notify_cancel()  # a caller that gives up cancels it for no other
        Thread(target=_run, args=(key, work, running), daemon=True).start()
    limit = Stopwatch()
    try:
        return await limit.time(wrap_future(running), READ_TIMEOUT)
    except TimeoutError as late:
        if late.errno is not None:  # the call itself says so
            raise
        reason = f"no answer within {READ_TIMEOUT:.0f} s; its file system may be away"
        raise TimeoutError(errno.ETIMEDOUT, reason) from None


def _run(key: Hashable, work: Callable[[], T], running: Future[T]) -> None:
    try:
        result = work()
    except BaseException as fault:  # noqa: BLE001 - it is raised where the result is awaited
        del _RUNNING[key]
        running.set_exception(fault)
    else:
        del _RUNNING[key]
        running.set_result(result)


def resolved(path: Path, below: Sequence[Path]) -> Path:
    """Return where a path really leads; Outside where that is not below one of these."""
    real = path.resolve()
    if not any(real.is_relative_to(directory.resolve()) for directory in below):
        raise Outside(errno.EACCES, "outside of the directories that are allowed")
    return real


def _content(path: Path, most: int, below: Sequence[Path] | None) -> bytes:
    real = path if below is None else resolved(path, below)
    # Without waiting: to open a pipe without a writer would never end.
    descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)  # whatever length it claims: others may write it
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"longer than {most // 1024} KiB")
    return content
