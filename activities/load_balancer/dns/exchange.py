"""Exchange one DNS message with one server, and translate what goes wrong.

Always over TCP, also for questions: an answer is whole, no stranger can forge one from afar, and
the protocol bounds its length (64 KiB).
"""

import asyncio
import binascii
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.tsig
import dns.update

from activities.time_limits import LIMITS
from workflows.errors import AccessRefused, BadInput, OutcomeUnknown, SwitchoverError, Unreachable
from workflows.model.load_balancers.dns import DnsServer, TransactionKey
from workflows.model.text import printable

MAX_REASON = 200
"""Characters of an error's own text, part of which is the peer's."""
SIGNATURE_ERRORS = {
    dns.tsig.PeerBadKey: "does not know this key (BADKEY)",
    dns.tsig.PeerBadSignature: "does not accept its signature (BADSIG): the secrets differ",
    dns.tsig.PeerBadTime: "has another time (BADTIME): its clock or the worker's is wrong",
    dns.tsig.PeerBadTruncation: "wants a longer signature (BADTRUNC)",
}
_BROKEN = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What the library hands on where a message breaks the protocol in a way that it does not expect.
"""
FAILURES = (dns.exception.DNSException, EOFError, OSError, struct.error, *_BROKEN)


async def ask(server: DnsServer, question: dns.message.QueryMessage) -> dns.message.Message:
    """Return the answer to a question.

    Raises:
        Unreachable: the server does not answer.
        OutcomeUnknown: what it answered cannot be used.
    """
    return await _exchange(server, question, Unreachable)


async def send(server: DnsServer, update: dns.update.UpdateMessage) -> dns.rcode.Rcode:
    """Send a signed update, and return what the server answered.

    Raises:
        Unreachable: nothing was sent.
        AccessRefused: the server did not accept the signature, so it changed nothing.
        OutcomeUnknown: it was sent, and there is no usable answer.
    """
    answer = await _exchange(server, update, OutcomeUnknown)
    if answer.rcode() == dns.rcode.NOERROR and not answer.had_tsig:
        raise OutcomeUnknown(f"{server}: its answer to an update is not signed")
    return answer.rcode()


async def _exchange(
    server: DnsServer, message: dns.message.Message, lost: type[SwitchoverError]
) -> dns.message.Message:
    limits = LIMITS.get()
    backend = dns.asyncbackend.get_default_backend()
    family = dns.inet.af_for_address(server.address)
    with translated(server, Unreachable, Unreachable):
        async with asyncio.timeout(limits.reach):
            connection = await backend.make_socket(  # type: ignore[no-untyped-call] # dnspython gives it no types
                family, socket.SOCK_STREAM, destination=(server.address, server.port)
            )
    async with connection:
        with translated(server, lost, OutcomeUnknown):
            # Bytes that trickle in are no sign of life: this limits the whole answer.
            async with asyncio.timeout(limits.contact):
                answer = await dns.asyncquery.tcp(message, server.address, sock=connection)
            if answer.flags & dns.flags.TC:
                raise OutcomeUnknown(f"{server}: its answer is cut off, also over TCP")
            return answer


@contextmanager
def translated(
    server: DnsServer, silent: type[SwitchoverError], strange: type[SwitchoverError]
) -> Iterator[None]:
    """Translate the library's errors: of a *silent* server, and of one that answers *strange*ly."""
    try:
        yield
    except tuple(SIGNATURE_ERRORS) as refusal:
        raise AccessRefused(f"{server} {SIGNATURE_ERRORS[type(refusal)]}") from refusal
    except (dns.exception.Timeout, TimeoutError) as silence:
        raise silent(f"{server} does not answer DNS over TCP in time") from silence
    except (OSError, EOFError) as fault:
        raise silent(f"{server} does not answer DNS over TCP ({_shown(fault)})") from fault
    except FAILURES as fault:
        raise strange(f"{server} gave an answer that cannot be used ({_shown(fault)})") from fault


def signing_key(key: TransactionKey, secret: str) -> dns.tsig.Key:
    """Return the key that signs updates; BadInput where its secret is no base64."""
    try:
        decoded = binascii.a2b_base64(secret.strip(), strict_mode=True)
    except ValueError as unreadable:
        raise BadInput(
            f"{key.secret}: the secret of the key {key.name} is not base64; "
            "write it as the name server's configuration has it"
        ) from unreadable
    if not decoded:
        raise BadInput(f"{key.secret}: the secret of the key {key.name} is empty")
    return dns.tsig.Key(dns.name.from_text(key.name), decoded, key.algorithm)


def _shown(fault: BaseException) -> str:
    return printable(str(fault)[:MAX_REASON]).strip() or type(fault).__name__
