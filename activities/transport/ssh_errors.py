"""Translate SSH's errors into what an operator can do about them."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncssh
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED, OPEN_REQUEST_SESSION_FAILED

from activities.time_limits import LIMITS
from workflows.errors import AccessRefused, BadInput, OutcomeUnknown, Unreachable
from workflows.model.estate import Machine
from workflows.model.machines import JumpHost, SshLogin
from workflows.model.text import printable

MAX_REASON = 300
"""Characters of an error's own text, part of which is the peer's."""


def reason(fault: BaseException) -> str:
    """Return what a library says of an error, without what a terminal would obey."""
    return printable(str(fault)[:MAX_REASON]).strip() or type(fault).__name__


class NoSession(Unreachable):
    """No channel was opened, so nothing was sent."""


class JumpRefused(AccessRefused):
    """A jump host refuses; the message names it. Who asked for the connection adds for whom."""


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
    except (AccessRefused, Unreachable) as failure:  # of a key, or of a jump host
        kind = AccessRefused if isinstance(failure, AccessRefused) else Unreachable
        raise kind(f"{machine.name}: {failure}") from failure
    except _ACCESS as refusal:
        raise AccessRefused(
            f"{machine.name}: no shell for {machine.ssh.user}@{machine.address}:{machine.ssh.port} "
            f"({reason(refusal)}); check key, {_certificate(machine.ssh)}host_key and the account"
        ) from refusal
    except FAILURES as fault:
        raise Unreachable(
            f"{machine.name}: {machine.address}:{machine.ssh.port} does not answer "
            f"({reason(fault)})"
        ) from fault


@contextmanager
def at_jump_host(hop: JumpHost) -> Iterator[None]:
    """Translate errors of the login to a jump host: nothing was sent to whom it leads to."""
    try:
        yield
    except JumpRefused:  # by a jump host before it
        raise
    except AccessRefused as refusal:
        raise JumpRefused(f"the jump host {hop.place}: {refusal}") from refusal
    except BadInput as mistake:  # a reference to no secret
        raise BadInput(f"the jump host {hop.place}: {mistake}") from mistake
    except _ACCESS as refusal:
        raise JumpRefused(
            f"the jump host {hop.place} does not let {hop.user} in ({reason(refusal)}); check "
            f"user, key, {_certificate(hop)}host_key and the account there, in the estate"
        ) from refusal
    except TimeoutError as silence:
        raise Unreachable(
            f"the jump host {hop.place} did not let {hop.user} in within "
            f"{LIMITS.get().contact:g} s; find out on it what the login waits for"
        ) from silence
    except FAILURES as fault:
        raise Unreachable(
            f"the jump host {hop.place} does not answer ({reason(fault)}); check that it is up, "
            "and its address and port in the estate"
        ) from fault


@contextmanager
def beyond_jump_host(hop: JumpHost, destination: str) -> Iterator[None]:
    """Translate what a jump host says where it does not lead on."""
    try:
        yield
    except asyncssh.ChannelOpenError as refusal:
        if refusal.code == OPEN_ADMINISTRATIVELY_PROHIBITED:
            raise JumpRefused(
                f"the jump host {hop.place} refuses to forward connections of {hop.user} to "
                f"{destination} ({reason(refusal)}); allow it in its sshd_config "
                "(AllowTcpForwarding, PermitOpen)"
            ) from refusal
        raise Unreachable(
            f"the jump host {hop.place} has no connection to {destination} ({reason(refusal)}); "
            "check that it is up, and the way to it from the jump host"
        ) from refusal


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


def _certificate(login: SshLogin) -> str:
    return "" if login.certificate is None else "certificate (its principals too), "
