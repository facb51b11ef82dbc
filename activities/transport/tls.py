"""Verify the certificate of an HTTPS server, by CA or by fingerprint."""

import asyncio
import hashlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from activities.transport.files import FILE_BYTES, read_file
from workflows.errors import AccessRefused

Trace = Callable[[str, dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Trust:
    """What an HTTPS client verifies: *context* as its ``verify``, *extensions* on every request."""

    context: ssl.SSLContext
    extensions: dict[str, Trace] = field(default_factory=dict)


async def trust(place: str, ca: str | None, fingerprint: str | None) -> Trust:
    """Trust a file of CA certificates, or exactly one certificate; AccessRefused if unreadable."""
    if fingerprint is None:
        return Trust(await verifying(place, ca))
    # Not the default one: reading the system's CAs takes longer than the whole request.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the pin below is the verification
    return Trust(context, {"trace": _pinned(place, fingerprint)})


async def verifying(place: str, ca: str | None) -> ssl.SSLContext:
    """Verify against a file of CA certificates, or without one against those of the system.

    Raises:
        AccessRefused: the file cannot be read, or holds no certificate.
    """
    if ca is None:
        # Reading the system's certificates takes longer than a whole request.
        return await asyncio.to_thread(ssl.create_default_context)
    try:
        # What stands between certificates may be a comment in any encoding.
        text = (await read_file(Path(ca), FILE_BYTES)).decode("ascii", errors="backslashreplace")
        # Never an empty text: the certificates of the system would be trusted instead.
        return await asyncio.to_thread(ssl.create_default_context, cadata=f"{text}\n")
    except OSError as fault:  # ssl.SSLError is one
        raise AccessRefused(
            f"{place}: the worker cannot use the CA file {ca} "
            f"({getattr(fault, 'strerror', None) or fault}); check the file"
        ) from fault


def _pinned(place: str, fingerprint: str) -> Trace:
    """Refuse any other certificate, after the handshake and before a byte of the request."""

    async def verify(event: str, detail: dict[str, Any]) -> None:
        if event != "connection.start_tls.complete":
            return
        stream = detail["return_value"]
        certificate = stream.get_extra_info("ssl_object").getpeercert(binary_form=True)
        shown = hashlib.sha256(certificate).hexdigest()
        if shown != fingerprint:
            await stream.aclose()
            raise AccessRefused(
                f"{place}: has the certificate {shown[:16]}..., expected {fingerprint[:16]}...; "
                "find out which server answers there before you change the fingerprint"
            )

    return verify
