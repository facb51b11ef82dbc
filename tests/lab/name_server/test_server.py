"""The lab's name server answers as RFC 1035 and RFC 2136 say."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.tsig
import dns.update
import pytest
from dns.rcode import Rcode

from lab import records
from lab.keys import tsig_secret
from lab.name_server.server import serve
from lab.name_server.zone import Zone
from tests.support.bind import free_port
from tests.support.polling import eventually

ZONE = "st.example.com"
EDGE = f"edge1.{ZONE}"
LINES = (
    "@ 30 SOA ns1 admin 7 3600 600 86400 30",
    "@ 30 NS ns1",
    "edge1 30 A 10.1.0.1",
    "edge1 30 AAAA 2001:db8::1",
    "alias 30 CNAME edge1",
)
KEY = dns.tsig.Key("switchover", tsig_secret(), "hmac-sha256")
Change = Callable[[dns.update.UpdateMessage], object]


class Site:
    """A running server."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    @property
    def zone(self) -> Zone:
        """Its zone, as it is on the disk."""
        return Zone.from_json((self.folder / "zone.json").read_text())

    async def ask(self, name: str, kind: str, over: str = "tcp") -> dns.message.Message:
        """Ask one question."""
        question = dns.message.make_query(name, kind)
        exchange = getattr(dns.asyncquery, over)
        answer = await exchange(question, "127.0.0.1", 5, self.port)
        assert isinstance(answer, dns.message.Message)
        return answer

    async def update(self, change: Change, key: dns.tsig.Key | None = KEY) -> Rcode:
        """Send one update."""
        update = dns.update.UpdateMessage(ZONE, keyring=key)
        change(update)
        answer = await dns.asyncquery.tcp(update, "127.0.0.1", 5, self.port)
        return answer.rcode()

    @property
    def effects(self) -> list[tuple[str, bool]]:
        """What the lab has recorded."""
        found = records.read(self.folder / "effects.jsonl")
        return [(one["to"], one["changed"]) for one in found]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A server of one zone."""
    (tmp_path / "zone.json").write_text(Zone(ZONE, LINES).to_json())
    port = free_port()
    settings = {
        "zone": str(tmp_path / "zone.json"),
        "address": "127.0.0.1",
        "port": port,
        "keys": {"switchover": tsig_secret()},
        "effects": str(tmp_path / "effects.jsonl"),
        "place": "dns",
        "clusters": {EDGE: {"one": ["10.1.0.1", "2001:db8::1"], "two": ["10.2.0.1"]}},
    }
    serving = asyncio.create_task(serve(json.loads(json.dumps(settings))))

    async def listening() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await eventually(listening)
    yield Site(tmp_path, port)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


@pytest.mark.parametrize("over", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("name", "kind", "rcode", "found"),
    [
        ("edge1.st.example.com", "A", Rcode.NOERROR, ["10.1.0.1"]),
        ("EDGE1.st.example.com", "AAAA", Rcode.NOERROR, ["2001:db8::1"]),
        ("edge1.st.example.com", "TXT", Rcode.NOERROR, []),
        ("nothing.st.example.com", "A", Rcode.NXDOMAIN, []),
        ("alias.st.example.com", "A", Rcode.NOERROR, ["edge1"]),
        ("st.example.com", "SOA", Rcode.NOERROR, ["ns1 admin 7 3600 600 86400 30"]),
        ("example.org", "A", Rcode.REFUSED, []),
    ],
)
async def test_a_question_is_answered(  # noqa: PLR0913, PLR0917 - columns
    site: Site, over: str, name: str, kind: str, rcode: Rcode, found: list[str]
) -> None:
    """With authority for its own zone, and for no other."""
    answer = await site.ask(name, kind, over)
    assert answer.rcode() is rcode
    assert bool(answer.flags & dns.flags.AA) is (rcode is not Rcode.REFUSED)
    shown = [
        rdata.to_text(origin=site.zone.origin, relativize=True)
        for rrset in answer.answer
        for rdata in rrset
    ]
    assert shown == found


async def test_a_long_answer_needs_tcp(site: Site) -> None:
    """Over UDP it is cut, and says so."""

    def add(update: dns.update.UpdateMessage) -> None:
        for number in range(60):
            update.add("edge1", 30, "A", f"10.3.0.{number}")

    assert await site.update(add) is Rcode.NOERROR
    assert (await site.ask("edge1.st.example.com", "A", "udp")).flags & dns.flags.TC
    whole = await site.ask("edge1.st.example.com", "A")
    assert len(whole.answer[0]) == 61


async def test_an_update_is_made_whole_and_recorded(site: Site) -> None:
    """Its effect is on the disk before the answer; one that changes nothing leaves no trace."""

    def to_two(update: dns.update.UpdateMessage) -> None:
        update.present("edge1", "A", "10.1.0.1")
        update.replace("edge1", 60, "A", "10.2.0.1")
        update.delete("edge1", "AAAA")

    assert await site.update(to_two) is Rcode.NOERROR
    assert (site.zone.addresses(EDGE), site.zone.serial) == (["10.2.0.1"], 8)
    assert site.effects == [("two", True)]
    assert await site.update(to_two) is Rcode.NXRRSET
    assert await site.update(lambda u: u.add("edge1", 60, "A", "10.2.0.1")) is Rcode.NOERROR
    assert site.zone.serial == 8
    assert site.effects == [("two", True)]


@pytest.mark.parametrize(
    ("change", "rcode"),
    [
        (lambda u: u.present("edge1"), Rcode.NOERROR),
        (lambda u: u.present("nothing"), Rcode.NXDOMAIN),
        (lambda u: u.absent("edge1"), Rcode.YXDOMAIN),
        (lambda u: u.absent("nothing"), Rcode.NOERROR),
        (lambda u: u.present("edge1", "A"), Rcode.NOERROR),
        (lambda u: u.present("edge1", "TXT"), Rcode.NXRRSET),
        (lambda u: u.absent("edge1", "A"), Rcode.YXRRSET),
        (lambda u: u.absent("edge1", "TXT"), Rcode.NOERROR),
        (lambda u: u.present("edge1", "A", "10.1.0.1"), Rcode.NOERROR),
        (lambda u: u.present("edge1", "A", "10.1.0.1", "10.1.0.2"), Rcode.NXRRSET),
        (lambda u: u.present("edge1.example.org.", "A"), Rcode.NOTZONE),
        (lambda u: u.add("edge1.example.org.", 30, "A", "10.1.0.1"), Rcode.NOTZONE),
        (lambda u: u.add("alias", 30, "A", "10.1.0.1"), Rcode.NOERROR),
        (lambda u: u.add("edge1", 30, "CNAME", "alias"), Rcode.NOERROR),
        (lambda u: u.delete("@"), Rcode.NOERROR),
        (lambda u: u.delete("edge1", "A", "10.9.9.9"), Rcode.NOERROR),
    ],
)
async def test_what_an_update_requires(site: Site, change: Change, rcode: Rcode) -> None:
    """Each prerequisite of the RFC; what may not be changed stays, and nothing else happens."""
    before = site.zone.to_json()
    assert await site.update(change) is rcode
    assert site.zone.to_json() == before


async def test_only_a_key_of_the_server_updates(site: Site) -> None:
    """An unknown one, a wrong secret, a wrong algorithm, and none are refused."""
    change: Change = lambda u: u.delete("edge1")  # noqa: E731 - as the others
    other = dns.tsig.Key("other", tsig_secret(), "hmac-sha256")
    wrong = dns.tsig.Key("switchover", b"wrong", "hmac-sha256")
    with pytest.raises(dns.tsig.PeerBadKey):
        await site.update(change, other)
    with pytest.raises(dns.tsig.PeerBadSignature):
        await site.update(change, wrong)
    assert await site.update(change, None) is Rcode.REFUSED
    assert site.zone.addresses(EDGE)


async def test_rubbish_ends_the_connection(site: Site) -> None:
    """And nothing else."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"\x00\x05hello")
    assert await reader.read() == b""
    writer.close()
    assert (await site.ask("edge1.st.example.com", "A")).answer
