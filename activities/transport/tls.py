"""Verify the certificate of an HTTPS server, by CA or by fingerprint."""

import hashlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from workflows.errors import AccessRefused

Trace = Callable[[str, dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Trust:
    """What an HTTPS client verifies: *context* as its ``verify``, *extensions* on every request."""

    context: ssl.SSLContext
    extensions: dict[str, Trace] = field(default_factory=dict)


def trust(place: str, ca: str | None, fingerprint: str | None) -> Trust:
    """Trust a file of CA certificates, or exactly one certificate; AccessRefused if unreadable."""
    if fingerprint is None:
        try:
            return Trust(ssl.create_default_context(cafile=ca))
        except OSError as fault:  # ssl.SSLError is one
            raise AccessRefused(
                f"{place}: the worker cannot use the CA file {ca} ({fault}); check the file"
            ) from fault
    # Not the default one: reading the system's CAs takes longer than the whole request.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the pin below is the verification
    return Trust(context, {"trace": _pinned(place, fingerprint)})


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
