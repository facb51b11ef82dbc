"""Translate SSH's errors into what an operator can do about them."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncssh
from asyncssh.constants import OPEN_REQUEST_SESSION_FAILED

from workflows.errors import AccessRefused, OutcomeUnknown, Unreachable
from workflows.model.estate import Machine
from workflows.model.text import printable

MAX_REASON = 300
"""Characters of an error's own text, part of which is the peer's."""


def reason(fault: BaseException) -> str:
    """Return what a library says of an error, without what a terminal would obey."""
    return printable(str(fault)[:MAX_REASON]).strip() or type(fault).__name__


class NoSession(Unreachable):
    """No channel was opened, so nothing was sent."""


_ACCESS = (
    asyncssh.PermissionDenied,
    asyncssh.HostKeyNotVerifiable,
    asyncssh.KeyImportError,
    asyncssh.KeyEncryptionError,
    asyncssh.IllegalUserName,
    asyncssh.KeyExchangeFailed,
    asyncssh.ProtocolNotSupported,
    asyncssh.PasswordChangeRequired,
)
_BROKEN = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What the library hands on where a message breaks the protocol in a way that it does not expect.
"""
FAILURES = (
    asyncssh.Error,
    asyncssh.ChannelListenError,
    asyncssh.PasswordChangeRequired,
    OSError,
    *_BROKEN,
)


@contextmanager
def before_sending(machine: Machine) -> Iterator[None]:
    """Translate errors that come before the command is sent."""
    try:
        yield
    except AccessRefused as refusal:
        raise AccessRefused(f"{machine.name}: {refusal}") from refusal
    except _ACCESS as refusal:
        raise AccessRefused(
            f"{machine.name}: no shell for {machine.ssh.user}@{machine.address}:{machine.ssh.port} "
            f"({reason(refusal)}); check key, host_key and the account"
        ) from refusal
    except FAILURES as fault:
        raise Unreachable(
            f"{machine.name}: {machine.address}:{machine.ssh.port} does not answer "
            f"({reason(fault)})"
        ) from fault


@contextmanager
def after_sending(machine: Machine) -> Iterator[None]:
    """Translate errors that come when the command may have begun."""
    try:
        yield
    except asyncssh.ChannelOpenError as refusal:
        if refusal.code == OPEN_REQUEST_SESSION_FAILED:
            # Also if the connection is lost while the server perhaps begins the command.
            raise OutcomeUnknown(f"{machine.name}: it is unknown whether a command began") from None
        raise NoSession(
            f"{machine.name}: its SSH server runs no command ({reason(refusal)}); "
            "check MaxSessions, and what the account may do"
        ) from refusal
    except FAILURES as fault:  # asyncssh.TimeoutError among them
        raise OutcomeUnknown(
            f"{machine.name}: the connection broke while a command ran ({reason(fault)})"
        ) from fault
