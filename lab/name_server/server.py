"""Serve one zone over UDP and TCP: ``python -m lab.name_server.server SETTINGS``.

The settings are a JSON file: ``zone`` (a file, see ``Zone.to_json``), ``address``, ``port``,
``keys`` (by name: a secret in base64), and for the lab's record ``effects``, ``place`` and
``clusters`` (by name in the zone: the addresses that it has on each cluster).
"""

import asyncio
import json
import struct
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rdtypes.ANY.TSIG
import dns.rrset
import dns.tsig
import dns.update
from dns.rcode import Rcode
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

from lab import records
from lab.atomic import replace_file
from lab.name_server.zone import Refused, Zone

MAX_UDP = 512
IDLE_SECONDS = 10.0
"""How long a connection may say nothing."""
TSIG_ERRORS: Mapping[type[Exception], Rcode] = {
    dns.message.UnknownTSIGKey: Rcode.BADKEY,
    dns.tsig.BadKey: Rcode.BADKEY,
    dns.tsig.BadAlgorithm: Rcode.BADKEY,
    dns.tsig.BadSignature: Rcode.BADSIG,
    dns.tsig.BadTime: Rcode.BADTIME,
}


class NameServer:
    """Answers questions about a zone, and makes updates of it that one of its keys signs."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._file = Path(settings["zone"])
        self._keys = {
            dns.name.from_text(name): dns.tsig.Key(name, secret, "hmac-sha256")
            for name, secret in settings["keys"].items()
        }

    @property
    def zone(self) -> Zone:
        """The zone as its file has it: the lab's reset writes it, too."""
        return Zone.from_json(self._file.read_text(encoding="utf-8"))

    def answer(self, wire: bytes) -> dns.message.Message | None:
        """Answer one message; None where it is no message at all."""
        try:
            message = dns.message.from_wire(wire, keyring=self._keys)
        except tuple(TSIG_ERRORS) as wrong:
            return _unsigned(wire, TSIG_ERRORS[type(wrong)])
        except (dns.exception.DNSException, ValueError, struct.error):
            return None
        response = dns.message.make_response(message)
        response.flags |= dns.flags.AA
        response.flags &= ~dns.flags.RA
        match message.opcode():
            case dns.opcode.QUERY:
                self._look_up(message, response)
            case dns.opcode.UPDATE:
                response.set_rcode(self._update(message))
            case _:
                response.set_rcode(Rcode.NOTIMP)
        return response

    def _look_up(self, query: dns.message.Message, response: dns.message.Message) -> None:
        zone = self.zone
        if len(query.question) != 1 or not zone.contains(query.question[0].name):
            response.flags &= ~dns.flags.AA
            response.set_rcode(Rcode.REFUSED)
            return
        name, rdtype = query.question[0].name, query.question[0].rdtype
        for kind in (rdtype, RdataType.CNAME):
            if (rrset := zone.rrset(name, kind)) is not None:
                response.answer.append(rrset)
                return
        response.authority.append(zone.soa)
        if not zone.exists(name):
            response.set_rcode(Rcode.NXDOMAIN)

    def _update(self, message: dns.message.Message) -> Rcode:
        if not message.had_tsig or not isinstance(message, dns.update.UpdateMessage):
            return Rcode.REFUSED
        zone = self.zone
        before = self._cluster(zone)
        try:
            changed = zone.update(message)
        except Refused as refusal:
            return refusal.rcode
        if changed:
            # On the disk before the answer: what was answered is never lost.
            replace_file(self._file, zone.to_json())
            self._record(before, self._cluster(zone))
        return Rcode.NOERROR

    def _record(self, before: str, after: str) -> None:
        """Leave the effect of an update that the product made."""
        records.append(
            Path(self._settings["effects"]),
            place=self._settings["place"],
            service="traffic",
            effect="redirect",
            to=after,
            changed=after != before,
            by="update",
        )

    def _cluster(self, zone: Zone) -> str:
        """Return where all names lead; "" where they do not lead to one cluster."""
        clusters: Mapping[str, Mapping[str, list[str]]] = self._settings["clusters"]
        found = {
            next((c for c, own in given.items() if sorted(own) == zone.addresses(name)), "")
            for name, given in clusters.items()
        }
        return found.pop() if len(found) == 1 else ""


def _unsigned(wire: bytes, error: Rcode) -> dns.message.Message:
    """Return the answer to a message whose signature is not accepted (RFC 8945, section 5.2).

    For a wrong time, too, which other servers sign.
    """
    query = dns.message.from_wire(wire, keyring=False)
    response = dns.message.make_response(query)
    response.set_rcode(Rcode.NOTAUTH)
    assert query.tsig is not None
    asked = query.tsig[0]
    other = struct.pack("!HI", 0, int(time.time())) if error is Rcode.BADTIME else b""
    rdata = dns.rdtypes.ANY.TSIG.TSIG(  # type: ignore[no-untyped-call]
        *(RdataClass.ANY, RdataType.TSIG, asked.algorithm, asked.time_signed, asked.fudge),
        *(b"", query.id, error, other),
    )
    response.tsig = dns.rrset.from_rdata(query.tsig.name, 0, rdata)
    response.want_tsig_sign = False
    return response


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        response = self._server.answer(data)
        if response is None:
            return
        wire = response.to_wire(max_size=65535)
        if len(wire) > MAX_UDP:
            for section in response.sections[1:]:
                section.clear()
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        self._transport.sendto(wire, addr)


async def serve(settings: Mapping[str, Any]) -> None:
    """Serve until cancelled."""
    server = NameServer(settings)
    address, port = settings["address"], settings["port"]

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    wire = await reader.readexactly(length)
                response = server.answer(wire)
                if response is None:
                    return
                writer.write(response.to_wire(prepend_length=True))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # whoever asked has gone
        finally:
            writer.close()

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Datagrams(server), local_addr=(address, port)
    )
    try:
        async with await asyncio.start_server(stream, address, port) as listening:
            await listening.serve_forever()
    finally:
        transport.close()


if __name__ == "__main__":
    [_, file] = sys.argv
    asyncio.run(serve(json.loads(Path(file).read_text(encoding="utf-8"))))
