"""Read the worker's private keys, and the host keys that it knows."""

import asyncio
import logging
from functools import lru_cache
from pathlib import Path

import asyncssh
from asyncssh.public_key import CERT_TYPE_USER, SSHOpenSSHCertificate

from activities.transport.files import FILE_BYTES, read_file
from activities.transport.secrets import Secrets
from workflows.errors import AccessRefused
from workflows.model.text import listed

NEEDS_BCRYPT = "requires bcrypt"
"""A part of asyncssh's text where OpenSSH's own encryption cannot be undone."""
REVOKED = b"@revoked"

_LOG = logging.getLogger(__name__)


async def private_key(secrets: Secrets, reference: str, passphrase: str | None) -> asyncssh.SSHKey:
    """Return the private key that a reference leads to, decrypted with another one's secret.

    Raises:
        AccessRefused: it is no private key, or the passphrase is missing or another one.
        BadInput: a reference leads to no secret.
    """
    text = await secrets.read(reference) + "\n"
    secret = None if passphrase is None else await secrets.read(passphrase)
    try:
        # OpenSSH's encryption is slow on purpose.
        return await asyncio.to_thread(asyncssh.import_private_key, text, secret)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as refusal:
        raise AccessRefused(_unusable(str(refusal), reference, passphrase)) from refusal


async def certificate(
    secrets: Secrets, reference: str, key: asyncssh.SSHKey
) -> asyncssh.SSHCertificate:
    """Return the certificate of a private key that a reference leads to.

    Raises:
        AccessRefused: it is none, of another key, for hosts, or not valid now.
        BadInput: the reference leads to no secret.
    """
    text = await secrets.read(reference) + "\n"
    try:
        found = asyncssh.import_certificate(text)
    except (asyncssh.KeyImportError, ValueError) as refusal:
        raise AccessRefused(
            f"{reference} is no certificate that the worker can read ({refusal}); name the file "
            "that ends with -cert.pub"
        ) from refusal
    if not isinstance(found, SSHOpenSSHCertificate):
        raise AccessRefused(f"{reference} is no certificate in OpenSSH's format; name one that is")
    if found.key.public_data != key.public_data:
        raise AccessRefused(
            f"the certificate {reference} belongs to another key; name the one that was signed "
            "for this key"
        )
    try:
        # Which principals an account has, its server decides: their names may differ from it.
        found.validate(CERT_TYPE_USER, None)
    except ValueError as refusal:
        raise AccessRefused(
            f"the certificate {reference} cannot be used now ({refusal}); have the key signed "
            "again, for a user, or correct the worker's clock"
        ) from refusal
    return found


def _unusable(refusal: str, reference: str, passphrase: str | None) -> str:
    if "Passphrase must be specified" in refusal:
        return (
            f"the private key {reference} is encrypted, and the estate gives no passphrase for it; "
            "write `passphrase: env:NAME` or `passphrase: file:PATH` beside `key`"
        )
    if NEEDS_BCRYPT in refusal:
        return (
            f"the private key {reference} is encrypted in OpenSSH's own format, which the worker "
            "reads only with the Python package bcrypt; install it, or write the key in another "
            "format: ssh-keygen -p -m PEM -f FILE"
        )
    if "decrypt" in refusal or "passphrase" in refusal:
        return f"the passphrase {passphrase} does not decrypt the private key {reference}"
    return f"{reference} is no private key that the worker can read ({refusal})"


async def known_hosts(file: str) -> asyncssh.SSHKnownHosts:
    """Return what a known_hosts file says, without the lines that cannot be read.

    Raises:
        AccessRefused: the file, or a line that revokes a key, cannot be read.
    """
    try:
        content = await read_file(Path(file), FILE_BYTES)
    except OSError as fault:
        raise AccessRefused(
            f"the worker cannot read {file} ({fault.strerror}); "
            "without it no host key can be verified"
        ) from fault
    return await asyncio.to_thread(_parsed, file, content)


@lru_cache(maxsize=16)
def _parsed(file: str, content: bytes) -> asyncssh.SSHKnownHosts:
    """Parse one content of a file once, so that what was skipped is said once, too."""
    known, skipped = asyncssh.import_known_hosts(""), list[str]()
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            # A comment may be in any encoding; host and key are ASCII, and asyncssh takes no more.
            known.load(line.decode("ascii", errors="backslashreplace"))
        except ValueError as strange:
            if line.lstrip().startswith(REVOKED):
                raise AccessRefused(
                    f"line {number} of {file} revokes a key, and cannot be read; correct the line"
                ) from strange
            skipped.append(str(number))
    if skipped:
        _LOG.warning("%s: skipped what cannot be read: line %s", file, listed(skipped))
    return known
