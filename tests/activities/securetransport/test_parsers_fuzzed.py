"""Any answer of a machine or an API is read or refused; what was cut off is never complete."""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.configuration import cluster as clusters
from activities.configuration import lists, members
from activities.ledger.posix import parse_record
from activities.load_balancer import haproxy_config as haproxy
from activities.load_balancer import haproxy_facts, haproxy_servers, hosts_file
from activities.load_balancer.haproxy_facts import KnownNames
from activities.nodes import linux, linux_orphans
from activities.nodes.linux_facts import parse_digest, parse_facts
from activities.nodes.operating_system import SocketFilter
from activities.securetransport import admin_responses as answers
from activities.securetransport.scripts import SCRIPTS, parse_status
from activities.storage import sampling as samples
from tests.activities.nodes.test_linux_facts import WHOLE as FACTS
from tests.support import estates
from workflows.errors import OutcomeUnknown, SwitchoverError
from workflows.model.estate import Protocol
from workflows.model.results import Service, State

PLACE = "node"
NODE = estates.estate().node("cluster1-server1")
NOW = datetime(2026, 1, 1, tzinfo=UTC)

SOCKETS = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0100007F:1F56 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   1: 0100007F:1F56 0200007F:C350 01 00000000:00000000 00:00000000 00000000     0
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:1F57 00000000000000000000000000000000:0000 0A
end
"""
PROCESSES = f"clock 100 1700000000\npid sshd.pid 1700000100 {' '.join(['S', *['5'] * 40])}\nend\n"
DIGEST = f"{'a' * 64}  /opt/st/bin/taeh\n"
ORPHANS = "5.1700000000.5 /s/a.m_inproc\0006.1700000001.5 /s/b c.m_inproc\0end\n"
RECORD = """\
now 1700000010
may_change_until 0
claim run.stage.stop.1 ssh 77 boot 12345 1700000000 1700000060 late 0 -
living no
status 0 1700000005
output
sshd is stopping
end
"""
HAPROXY = "global\n  hard-stop-after 30s\nbackend b\n  stick-table type ip size 1m expire 30m\n"
HOSTS = "127.0.0.1 localhost\n10.0.0.1 edge1.dmz edge1 # one\n"
NAMES = {"edge1": {"one": "10.0.0.1", "two": "10.0.0.2"}}
_FILE = [b"file", b"k1", b"5 1700000000 whole", b"b" * 64 + b"  -", b"./a"]
_END = [b"end", b"", b"1700000100", b"", b""]


def coded(*fields: bytes) -> str:
    """Put a sample together as the script does."""
    return f"sample:\n{base64.b64encode(bytes(1).join([*fields, b'/done', b''])).decode()}\n"


def _servers(text: str) -> list[object]:
    own = {"b/a": {"one": "10.0.0.1:22", "two": "10.0.0.2:22"}}
    found = haproxy_servers.Configuration(text.encode(), own)
    return [*found.objections, *found.undone("/s"), *found.resolved, found.edits("two")]


SAMPLE, AGAIN = coded(*_FILE, *_END), coded(*_FILE)

TEXTS: dict[str, tuple[Callable[[str], object], str]] = {
    "sockets": (linux.parse_sockets, SOCKETS),
    "processes": (linux.parse_processes, PROCESSES),
    "digest": (parse_digest, DIGEST),
    "clock": (linux.parse_clock, "1700000000\n"),
    "orphans": (linux_orphans.parse_orphans, ORPHANS),
    "facts": (parse_facts, FACTS),
    "ledger": (lambda text: parse_record(text, PLACE), RECORD),
    "sample": (lambda text: samples.parse_sample(text, 100), SAMPLE),
    "again": (samples.parse_again, AGAIN),
    "status": (
        lambda text: parse_status(Service.SSH, text).require_known(PLACE),
        "sshd is alive\n",
    ),
    "haproxy": (lambda text: haproxy_facts.read(text, KnownNames({"edge1": {}})), HAPROXY),
    "haproxy line": (lambda text: haproxy.parse(f"backend x\n{text}\n"), "server a b:1 check"),
    "haproxy servers": (_servers, f"{HAPROXY}  server a 10.0.0.1:22\n"),
    "span": (haproxy.span, "30s"),
    "hosts": (lambda text: hosts_file.addresses(text.encode(), NAMES), HOSTS),
    "edits": (lambda text: hosts_file.edits(text.encode(), NAMES, "two"), HOSTS),
}
"""By what is read: its reader, and an answer that lacks nothing."""

ENDLESS = ("haproxy", "haproxy line", "haproxy servers", "span", "hosts", "edits")
"""Parsers of files without an end mark; their readers check that the file is complete."""

BODIES: dict[str, Callable[[Any], object]] = {
    "page": lambda body: answers.read(answers.Page, body, PLACE),
    "operated": lambda body: answers.read(answers.OperationResult, body, PLACE),
    "sessions": lambda body: [(s.began, str(s)) for s in answers.sessions(body, PLACE)],
    "service": lambda body: answers.service_status(body, PLACE),
    "servers": lambda body: answers.inactive_servers([body], Protocol.SSH, PLACE),
    "installed": lambda body: answers.read(answers.Installed, body, PLACE),
    "moment": answers.moment,
    "members": lambda body: members.parse_members(body, NODE),
    "zones": lambda body: members.parse_edges([{"edges": body}], PLACE),
    "events": lambda body: clusters.aged(1, [{"arrivalTime": body, "created": body}], NOW),
    "options": lambda body: answers.options([{"name": "a", "values": body}], PLACE),
    "items": lambda body: lists.named(body if isinstance(body, dict) else {}, ("name",), PLACE),
    "described": lambda body: answers.described(body if isinstance(body, dict) else {}),
}

KEYS = st.sampled_from(
    [
        *(
            "clusterNodes",
            "isCluster",
            "serverAddress",
            "ipAddresses",
            "ipAddress",
            "nodeName",
            "nodeIp",
            "edges",
            "title",
            "address",
            "name",
            "id",
        ),
        *("resultSet", "totalCount", "result", "status", "version", "updateLevel", "osType"),
        *("userName", "host", "protocol", "sessionCreationTime", "message", "isSuccessful"),
        *("values", "account", "folder", "application", "serverName", "isActive"),
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["Mon, 00 Jan 2026 99:00:00 +9999", "0001-01-01T00:00:00+14:00", "Running."]),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=12,
)


@st.composite
def garbled(draw: st.DrawFn, whole: str) -> str:
    """Draw an answer with lines lost, doubled, swapped, and some characters replaced."""
    lines = draw(
        st.lists(
            st.sampled_from(
                [
                    *whole.splitlines(),
                    "",
                    "end",
                    "busy",
                    "status x 9",
                    "pending x",
                    "free",
                    "unreadable b",
                ]
            )
        )
    )
    text = list("\n".join(lines) + draw(st.sampled_from(["", "\n", "\nend\n", "\0end\n"])))
    strange = st.sampled_from("\0²٣ -.9eE:/\\'\"\n") | st.characters()
    for _ in range(draw(st.integers(0, 4)) if text else 0):
        text[draw(st.integers(0, len(text) - 1))] = draw(strange)
    return "".join(text)


@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=settings().max_examples // 2)
@given(data=st.data())
def test_any_text_is_read_or_refused(name: str, data: st.DataObject) -> None:
    """Never a traceback, whatever was printed."""
    parse, whole = TEXTS[name]
    text = data.draw(st.text() | garbled(whole))
    with suppress(SwitchoverError):
        parse(text)


@pytest.mark.parametrize("name", [name for name in TEXTS if name not in ENDLESS])
def test_nothing_that_was_cut_off_is_whole(name: str) -> None:
    """An answer cut anywhere says nothing, or the same as the whole one: never less."""
    parse, whole = TEXTS[name]
    complete = parse(whole)
    for at in range(len(whole)):
        with suppress(OutcomeUnknown):
            assert parse(whole[:at]) == complete, whole[:at]


@pytest.mark.parametrize("name", BODIES)
@given(body=JSON)
def test_any_json_is_read_or_refused(name: str, body: object) -> None:
    """Never a traceback, whatever an API answers."""
    with suppress(SwitchoverError):
        BODIES[name](body)


@given(body=JSON, parts=st.lists(KEYS, max_size=3))
def test_any_json_inside_a_known_answer_is_read_or_refused(body: object, parts: list[str]) -> None:
    """Also where it is strange only further in."""
    for part in parts:
        body = {part: body}
        for read in BODIES.values():
            for given_ in (body, [body], {"clusterNodes": [body]}, {"resultSet": body}):
                with suppress(SwitchoverError):
                    read(given_)


@given(text=st.text(), service=st.sampled_from(sorted(SCRIPTS)))
def test_only_the_documented_words_are_a_state(text: str, service: Service) -> None:
    """Everything else is unknown, and unknown is no state."""
    seen = parse_status(service, text)
    assert seen.state is State.UNKNOWN or f"{SCRIPTS[service]} is " in text


@given(peer=st.text(), ignored=st.lists(st.text(), max_size=3))
def test_any_peer_is_ignored_or_not(peer: str, ignored: list[str]) -> None:
    """A session's host is whatever the API says."""
    SocketFilter((), tuple(ignored)).ignores(peer)


def test_a_page_that_shows_less_than_it_counts_is_json_all_the_same() -> None:
    """What is sent is what is read: no key of ours is needed beyond the documented ones."""
    body = json.loads('{"resultSet": {"totalCount": 2, "new": 1}, "result": [{"id": "a"}]}')
    page = answers.read(answers.Page, body, PLACE)
    assert (page.total, len(page.result)) == (2, 1)
    with pytest.raises(OutcomeUnknown):
        answers.read(answers.Page, {"resultSet": {"totalCount": -1}}, PLACE)
