"""The keys with which a worker seals what it has read of an estate, and what its activities return.

A file holds one key a line, as hexadecimal numbers. The first seals, and all are accepted: to
change the key, write a new line before the others on every worker, and remove the last line when
the runs that began before have ended.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from worker.startup_errors import StartupError

KEY_BYTES = 32
MAX_FILE = 64 * 1024


class UnknownKey(Exception):
    """A seal was made with a key that this worker does not have."""


@dataclass(frozen=True)
class SealKeys:
    """The keys of a task queue; all of its workers have the same."""

    keys: Mapping[str, bytes] = field(repr=False)
    """By their ids, the newest first."""

    @property
    def current(self) -> str:
        """The id of the key that seals."""
        return next(iter(self.keys))

    def code(self, *parts: str, key: str | None = None) -> str:
        """Return the code of a sequence of texts; UnknownKey where the key is another worker's."""
        if (secret := self.keys.get(key or self.current)) is None:
            raise UnknownKey(key)
        text = json.dumps(parts).encode()
        return hmac.new(secret, text, hashlib.sha256).hexdigest()[:32]

    def made(self, code: str, *parts: str, key: str) -> bool:
        """Whether the code was made with this key, for these texts."""
        return hmac.compare_digest(code.encode(), self.code(*parts, key=key).encode())


def read_seal_keys(file: Path) -> SealKeys:
    """Read the keys; make the file with a first one where there is none.

    Raises:
        StartupError: the file cannot be used, or others can read it.
    """
    try:
        return _parsed(file)
    except FileNotFoundError:
        _create(file)
        return _parsed(file)


def shared_seal_keys(file: Path) -> SealKeys:
    """Read the keys that the main worker has made: those of another file nobody would believe.

    Raises:
        StartupError: there is no file, it cannot be used, or others can read it.
    """
    try:
        return _parsed(file)
    except FileNotFoundError:
        raise StartupError(
            f"--seal-keys: there is no {file}; copy the file from the main worker, which makes it "
            "when it is first started"
        ) from None


def _parsed(file: Path) -> SealKeys:
    text = _read(file)
    lines = text.split()
    digits = 2 * KEY_BYTES
    if not lines or not all(re.fullmatch(f"[0-9a-f]{{{digits}}}", line) for line in lines):
        raise StartupError(
            f"{file} holds no seal keys; write one key of {digits} hexadecimal digits a line, "
            "or move the file away: the worker then makes a new one"
        )
    keys = [bytes.fromhex(line) for line in lines]
    return SealKeys({hashlib.sha256(key).hexdigest()[:8]: key for key in keys})


def _read(file: Path) -> str:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as reading:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
                raise StartupError(
                    f"{file}: others may read the seal keys, or it is no file; "
                    f"run `chmod 600 {file}`, and change the key if others could read it"
                )
            return reading.read(MAX_FILE).decode("ascii")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as refusal:
        raise StartupError(f"{file}: the seal keys cannot be read ({refusal})") from refusal


def _create(file: Path) -> None:
    """Make the file with one key: of workers that start side by side, the first does."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="ascii") as writing:
                writing.write(f"{secrets.token_hex(KEY_BYTES)}\n")
                writing.flush()
                os.fsync(writing.fileno())
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            Path(draft).unlink()
    except OSError as refusal:
        raise StartupError(f"{file}: the seal keys cannot be written ({refusal})") from refusal
