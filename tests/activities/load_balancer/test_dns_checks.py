"""What would keep a zone from being redirected is found beforehand; nothing is changed."""

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import dns.exception
import dns.message
import pytest

from activities.load_balancer.activities import LoadBalancerActivities
from activities.load_balancer.dns import exchange
from activities.load_balancer.dns.driver import DnsDriver
from activities.load_balancer.driver import PlaceState
from activities.transport.ssh import Shell
from tests.activities.load_balancer.conftest import Inputs, dns_balancer
from tests.support.bind import NEEDS_BIND, POLICY, RECORDS, NameServer, one_server, two_servers
from tests.support.dns_wire import answering, framed
from tests.support.ssh_machines import SECRETS
from workflows.errors import SwitchoverError
from workflows.model.actions import ObserveTraffic, Redirect
from workflows.model.estate import Probe
from workflows.model.findings import Finding
from workflows.model.load_balancers.dns import DnsServer
from workflows.preflight.catalogue import BY_NAME

Observe = Callable[..., Awaitable[PlaceState]]
SOON = 0.3


@pytest.fixture
def observe(shell: Shell, client_probes: tuple[Probe, ...]) -> Observe:
    """Read the zone."""

    async def run(servers: list[dict[str, object]], **changes: object) -> PlaceState:
        balancer = dns_balancer(client_probes, servers, **changes)
        given = Inputs(balancer, ()).of(ObserveTraffic(host=balancer.name))
        return await DnsDriver(shell, SECRETS, balancer).observe(given)

    return run


def one(state: PlaceState, name: str) -> Finding:
    """Return the only finding, which is of this check."""
    assert [found.name for found in state.findings] == [name], state.findings
    [found] = state.findings
    assert found.severity is BY_NAME[name].severity
    assert found.expected
    assert found.advice
    return found


@NEEDS_BIND
async def test_a_zone_that_may_be_changed_has_no_finding(
    observe: Observe, name_server: NameServer
) -> None:
    """That is tried, and the zone stays exactly as it was."""
    before = name_server.serial
    state = await observe([name_server.key])
    assert (state.findings, state.not_read) == ((), {})
    [destination] = state.destinations
    assert (destination.item, destination.seen) == ("edge1.st.example.com", "10.1.0.1")
    assert destination.cluster == "one"
    assert name_server.serial == before
    assert name_server.ask("_switchover", "TXT") == set()


@NEEDS_BIND
@pytest.mark.parametrize(
    ("tsig", "seen"),
    [
        ({"name": "unknown"}, "does not know this key (BADKEY)"),
        ({"secret": "env:PROBE"}, "the secret of the key switchover is not base64"),
        ({"secret": "env:OTHER"}, "does not accept its signature (BADSIG)"),
        ({"secret": "env:NOWHERE"}, "the worker's environment has no NOWHERE"),
        ({"algorithm": "hmac-sha512"}, "does not know this key (BADKEY)"),
    ],
)
async def test_a_key_that_is_not_accepted_is_found(
    tsig: dict[str, str],
    seen: str,
    observe: Observe,
    name_server: NameServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With what the server says of it; where traffic goes is known all the same."""
    monkeypatch.setitem(SECRETS._variables, "OTHER", "b3RoZXI=")
    key = {"name": "switchover", "secret": "env:TSIG"} | tsig
    state = await observe([name_server.key], tsig=key)
    assert seen in one(state, "zone_not_changeable").seen
    assert state.destinations[0].cluster == "one"


@NEEDS_BIND
async def test_a_clock_that_is_wrong_is_found(
    observe: Observe, name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signatures have their time."""
    hour_ago = SimpleNamespace(time=lambda: time.time() - 3600)
    monkeypatch.setattr(dns.message, "time", hour_ago)
    state = await observe([name_server.key])
    assert "has another time (BADTIME)" in one(state, "zone_not_changeable").seen


@NEEDS_BIND
@pytest.mark.parametrize(
    "policy",
    ["grant site zonesub ANY;", POLICY.replace("A AAAA", "AAAA"), POLICY.replace("TXT", "SRV")],
    ids=["no name", "no A record", "no record of operations"],
)
async def test_a_right_that_is_missing_is_found(
    policy: str, observe: Observe, tmp_path: Path
) -> None:
    """Each that a redirect needs, by an update without effect."""
    with one_server(tmp_path / "named", policy=policy) as server:
        found = one(await observe([server.key]), "zone_not_changeable")
        assert "answers REFUSED" in found.seen
        assert server.serial == 10


@NEEDS_BIND
async def test_a_secondary_is_no_server_for_updates(observe: Observe, tmp_path: Path) -> None:
    """Where it stands first, it refuses them."""
    with two_servers(tmp_path) as servers:
        state = await observe([servers.secondary.key, servers.primary.key])
        assert f":{servers.secondary.port} " in one(state, "zone_not_changeable").seen


@NEEDS_BIND
@pytest.mark.parametrize(
    ("records", "seen"),
    [
        ("edge1 CNAME other\nother A 10.1.0.1\n", "is an alias of other.st.example.com"),
        ("edge1 TXT nothing\n", "edge1.st.example.com has no address"),
        ("* A 10.1.0.1\n", "a wildcard answers for edge1.st.example.com"),
        ("edge1 NS ns.example.org.\n", "is a name of another zone"),
        ("edge1 A 10.1.0.1\n* TXT here\n", "a wildcard answers for _switchover.st.example.com"),
    ],
    ids=["alias", "nothing", "wildcard", "delegated", "wildcard for the record"],
)
async def test_a_name_without_addresses_of_its_own_is_found(
    records: str, seen: str, observe: Observe, tmp_path: Path
) -> None:
    """It could not be changed as the estate says."""
    zone = RECORDS.replace("edge1 A 10.1.0.1\nother A 192.0.2.7\n", records)
    with one_server(tmp_path / "named", records=zone) as server:
        state = await observe([server.key])
        assert seen in one(state, "names_without_addresses").seen


@NEEDS_BIND
@pytest.mark.parametrize(
    ("records", "changes", "check", "seen"),
    [
        ("edge1 86400 A 10.1.0.1\n", {}, "redirect_too_slow", "up to 24 hours to reach every"),
        ("edge1 86400 A 10.1.0.1\n", {}, "redirect_too_slow", "has a TTL of 86400 s"),
        ("edge1 90 A 10.1.0.1\n", {}, "redirect_slow", "up to 90 s to reach every resolver"),
        ("edge1 90 A 10.1.0.1\n", {"ttl_limit": 90}, None, ""),
        (
            "edge1 9 A 10.1.0.1\n",
            {
                "ttl_limit": 29,
                "names": {
                    "edge1.st.example.com": {
                        "one": ["10.1.0.1"],
                        "two": ["10.2.0.1", "2001:db8::2"],
                    }
                },
            },
            "redirect_slow",
            "that edge1.st.example.com has no AAAA record is remembered for 30 s",
        ),
    ],
)
async def test_what_resolvers_may_keep_is_known_beforehand(  # noqa: PLR0913, PLR0917 - columns
    records: str,
    changes: dict[str, object],
    check: str | None,
    seen: str,
    observe: Observe,
    tmp_path: Path,
) -> None:
    """A TTL, and for how long they remember that there is no address (RFC 2308)."""
    zone = RECORDS.replace("edge1 A 10.1.0.1\n", records)
    with one_server(tmp_path / "named", records=zone) as server:
        state = await observe([server.key], **changes)
        if check is None:
            assert state.findings == ()
        else:
            assert seen in one(state, check).seen


@NEEDS_BIND
async def test_a_server_that_differs_is_found(observe: Observe, tmp_path: Path) -> None:
    """It is behind, has other addresses, or is silent."""
    with two_servers(tmp_path, notified=False) as servers:
        assert (await observe(servers.keys)).findings == ()
        port = servers.secondary.port
        servers.primary.change("other A 192.0.2.8")
        found = one(await observe(servers.keys), "zone_servers_differ")
        assert found.seen == f"127.0.0.1:{port} has the serial 10, before 11"
        servers.primary.change("edge1 A 10.2.0.1")
        found = one(await observe(servers.keys), "zone_servers_differ")
        assert found.seen == f"127.0.0.1:{port} says that edge1.st.example.com has 10.1.0.1"
        servers.secondary.stop()
        found = one(await observe(servers.keys), "zone_servers_differ")
        assert found.seen.startswith(f"127.0.0.1:{port} does not answer DNS over TCP")


@NEEDS_BIND
async def test_a_server_without_the_zone_is_found(
    observe: Observe, name_server: NameServer
) -> None:
    """As the first one, nothing is known; the address of a wrong server is a common mistake."""
    names = {"edge1.other.example.com": {"one": ["10.1.0.1"], "two": ["10.2.0.1"]}}
    state = await observe([name_server.key], zone="other.example.com", names=names)
    assert "answers REFUSED to SOA other.example.com" in one(state, "reading_unusable").seen
    assert state.destinations == ()


def question_of(message: bytes) -> bytes:
    """Return an answer to a question: the same words, and that it is one, with authority."""
    return message[:2] + bytes([message[2] | 0x84, 0]) + message[4:]


async def silent(_: bytes) -> bytes:
    """Answer nothing, and end."""
    return b""


async def nonsense(_: bytes) -> bytes:
    """Answer as another protocol does."""
    return b"HTTP/1.1 400 Bad Request\r\n\r\n" * 2000


async def stranger(message: bytes) -> bytes:
    """Answer another question."""
    return framed(struct.pack("!H", 1) + question_of(message)[2:])


async def cut(message: bytes) -> bytes:
    """Say that the answer was cut off."""
    answer = bytearray(question_of(message))
    answer[2] |= 0x02
    return framed(bytes(answer))


async def huge(message: bytes) -> bytes:
    """Answer with as much as there can be, all of it rubbish."""
    return framed(question_of(message)[:12] + b"\xc0\x0c" * 32000)


async def loops(message: bytes) -> bytes:
    """Answer with a name that leads to itself."""
    return framed(question_of(message)[:12] + b"\xc0\x0c\x00\x06\x00\x01")


async def half(message: bytes) -> bytes:
    """End in the middle."""
    return framed(question_of(message))[:9]


@pytest.mark.parametrize("answer", [silent, nonsense, stranger, cut, huge, loops, half])
async def test_an_answer_that_is_none_is_no_answer(
    answer: Callable[[bytes], Awaitable[bytes]], observe: Observe
) -> None:
    """Whatever a server sends: one finding, and nothing is guessed."""
    async with answering(answer) as port:
        state = await observe([{"address": "127.0.0.1", "port": port}])
        assert state.destinations == ()
        [found] = state.findings
        assert found.name in {"load_balancer_unreachable", "reading_unusable"}
        assert f"127.0.0.1:{port}" in found.seen
        assert found.seen.isprintable()


async def test_a_server_that_never_ends_is_given_up(
    observe: Observe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that trickle in are no sign of life."""
    limits = SimpleNamespace(get=lambda: SimpleNamespace(reach=SOON, contact=SOON))
    monkeypatch.setattr(exchange, "LIMITS", limits)
    ended = False

    async def trickle(message: bytes) -> bytes:
        nonlocal ended
        await asyncio.sleep(60)
        ended = True
        return framed(message)

    async with answering(trickle) as port:
        began = time.monotonic()
        state = await observe([{"address": "127.0.0.1", "port": port}])
        assert time.monotonic() - began < 10
        assert "in time" in one(state, "load_balancer_unreachable").seen
    assert not ended


def _errors(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(deeper for one in kind.__subclasses__() for deeper in _errors(one))]


@pytest.mark.parametrize("kind", [*_errors(dns.exception.DNSException), EOFError, OSError])
def test_every_foreign_error_has_a_meaning(kind: type[Exception]) -> None:
    """No error of the library gets past the border as it is."""
    made = kind.__new__(kind)
    Exception.__init__(made, "broken")
    made.__dict__.update(kwargs={}, fmt=None, msg="broken")
    server = DnsServer(address="192.0.2.1")
    with (
        pytest.raises(SwitchoverError),
        exchange.translated(server, SwitchoverError, SwitchoverError),
    ):
        raise made


def test_previews_name_every_record(
    load_balancers: LoadBalancerActivities, client_probes: tuple[Probe, ...]
) -> None:
    """Of both families, also those that are removed."""
    names = {
        "edge1.st.example.com": {
            "one": ["10.1.0.1", "2001:db8::1"],
            "two": ["10.2.0.1", "10.2.0.2"],
        }
    }
    balancer = dns_balancer(client_probes, [{"address": "192.0.2.53"}], names=names)
    given = Inputs(balancer, ()).of(Redirect(host="dns", to="two", back_to="one"))
    assert tuple(load_balancers.preview(given)) == (
        "edge1.st.example.com A 10.2.0.1",
        "edge1.st.example.com A 10.2.0.2",
        "edge1.st.example.com AAAA: no record",
        "_switchover.st.example.com TXT: the operation and its time",
    )
