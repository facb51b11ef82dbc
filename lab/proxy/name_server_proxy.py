"""A proxy for DNS over TCP that can hold, refuse or garble single messages.

The product asks name servers over TCP only.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.tsig

from lab.environment.load_balancers.dns import KEY
from lab.keys import tsig_secret
from lab.layout import DNS_PORT
from lab.node.request_hook import RequestEvent

NAME_SERVER_PROXY_PORT = DNS_PORT + 1

Admit = Callable[[RequestEvent], Awaitable[bool]]


@dataclass
class NameServerProxy:
    """All messages to one name server; it signs a refusal as the server would."""

    place: str
    address: str
    passes: Admit
    refuses: bool = field(default=False, init=False)
    """Whether updates are answered ``REFUSED`` and are not carried out."""
    garbles: bool = field(default=False, init=False)
    """Whether half of every answer is missing."""

    async def listen(self) -> asyncio.Server:
        """Take connections."""
        return await asyncio.start_server(
            self._connect, self.address, NAME_SERVER_PROXY_PORT, reuse_address=True
        )

    def heal(self) -> None:
        """Answer as the name server does."""
        self.refuses = self.garbles = False

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):  # either side has closed
            while (answer := await self._answer(await _message(reader))) is not None:
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        writer.close()

    async def _answer(self, wire: bytes) -> bytes | None:
        """Carry one request out; None where it is dropped."""
        keys = {dns.name.from_text(KEY): dns.tsig.Key(KEY, tsig_secret())}
        request = dns.message.from_wire(wire, keyring=keys)
        text = _text(request)
        if not await self.passes(RequestEvent("before", self.place, "dns", text)):
            return None
        if self.refuses and request.opcode() is dns.opcode.UPDATE:
            refusal = dns.message.make_response(request)
            refusal.set_rcode(dns.rcode.REFUSED)
            return refusal.to_wire()
        answer = await self._asked(wire)
        if not await self.passes(RequestEvent("after", self.place, "dns", text)):
            return None
        return answer[: len(answer) // 2] if self.garbles else answer

    async def _asked(self, wire: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self.address, DNS_PORT)
        try:
            writer.write(struct.pack("!H", len(wire)) + wire)
            return await _message(reader)
        finally:
            writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    return await reader.readexactly(length)


def _text(request: dns.message.Message) -> str:
    """Say what is asked, or what an update changes: records with addresses, and other kinds."""
    if request.opcode() is not dns.opcode.UPDATE:
        return "; ".join(map(_record, request.question))
    return "update " + "; ".join(map(_record, request.authority))


def _record(rrset: dns.rrset.RRset) -> str:
    addresses = " ".join(one.address for one in rrset if hasattr(one, "address"))
    kind = dns.rdatatype.to_text(rrset.rdtype)
    return f"{rrset.name} {kind} {addresses}".rstrip()
