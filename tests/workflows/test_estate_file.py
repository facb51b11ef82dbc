"""Every mistake of an estate file is named by its line and key, and never with its value."""

import re
from pathlib import Path

import pytest

from workflows.estate_file import EstateMistakes, parse_estate
from workflows.model.load_balancers.dns import DnsLoadBalancer

FILE = Path(__file__).parents[2] / "docs/estate.example.yaml"
EXAMPLE = FILE.read_text(encoding="utf-8")
NAME = Path("production.yaml")


def mistakes(text: str | bytes) -> tuple[str, ...]:
    """Read a text that is no usable estate."""
    given = text.encode() if isinstance(text, str) else text
    with pytest.raises(EstateMistakes) as refused:
        parse_estate(given, NAME)
    return refused.value.mistakes


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("  grace: 120", "  grace: -5", "timing.grace: write a duration from 1 s to 24 hours"),
        ("  grace: 120", "  grace: 0.5", "timing.grace: write a duration from 1 s"),
        ("  grace: 120", "  grace: 1.5", "timing.grace: write whole seconds"),
        ("  grace: 120", "  grace: P9D", "timing.grace: write a duration from 1 s"),
        ("_grace: 120", "_grace: 29", "transaction_manager_grace: write a duration from 30 s"),
        ("drain_timeout: P1D", "drain_timeout: 0", "timing.drain_timeout: write a duration from"),
        ("takeover: 60", "takeover: -1", "timing.takeover: write a duration from 0 s"),
        ("  readings: 3", "  readings: 0", "timing.readings: write a number of at least 1"),
        ("storage_sample: 200", "storage_sample: 1000000", "limits.storage_sample: "),
        ("  clock: 5", "  clock: 0", "limits.clock: write a duration from 0.01 s"),
        ("[192.0.2.21]", "[fra.example.com]", "listen_on.0: write one IP address such as"),
        ("[192.0.2.21]", "[192.0.2.21/32]", "listen_on.0: write one IP address such as"),
        ("[192.0.2.21]", '[" 192.0.2.21"]', "listen_on.0: write one IP address such as"),
        ("[192.0.2.21]", "['::']", "listen_on.0: leave this key out where a node listens on all"),
        ("[192.0.2.21]", '["fe80::1%eth0"]', "without the name of an interface"),
        ("address: 192.0.2.61", "address: 192.0.2.61:22", "address: write a host name such as"),
        ("address: 192.0.2.61", "address: 192.0.2.261", "address: write a host name such as"),
        ("address: sftp.example", "address: sftp example", "address: write a host name such as"),
        ("frankfurt: 192.0.2.61", "frankfurt: edge1", "names.edge1.frankfurt: write one IP add"),
        ("    edge1: {", "    edge/1: {", "write a host name such as edge1"),
        ("[192.0.2.9, ", "[192.0.2.0/33, ", "ignored_peers.0: write an IP address such as"),
        ("    user: st ", '    user: " " ', "ssh.user: write a name without"),
        ("ssh: [22]", "ssh: []", "protocols.ssh: give at least 1"),
        ("ssh: [22]", "ssh: [70000]", "protocols.ssh.0: write a number of at most 65535"),
        ("reload: [sudo,", "reload: ['',", "reload.0: write a word that is not empty"),
        ("stop_all: [stop_all]", "stop_all: []", "stop_all: give at least 1"),
        ("env:ST_ADMIN_PASSWORD", "hunter2", "admin.password: a secret in clear does not belong"),
        ("kind: edge  ", "kind: hunter2", "kind: write 'server' or 'edge'"),
        ("  monitor_not_running:", "  sun_is_up:", "checks.sun_is_up: there is no such check"),
        ("name: production", "name: hunter2", "so write name: production or rename the file"),
        ("taeh: everywhere", "taeh: everywhere\ntaeh: by_kind", "the key taeh is given twice"),
        ("    port: 444", "\tport: 444", "this is not YAML"),
    ],
)
def test_a_mistake_is_named_by_its_line(old: str, new: str, sentence: str) -> None:
    """Also where the key stands in ``defaults``; the value, which may be a secret, is not shown."""
    assert old in EXAMPLE
    text = EXAMPLE.replace(old, new, 1)
    # A key that is given twice is named where it stands again.
    line = text[: text.index(new) + new.rfind("\n") + 1].count("\n") + 1
    found = [one for one in mistakes(text) if sentence in one]
    assert found, mistakes(text)
    assert found[0].startswith(f"line {line}"), found
    assert ("hunter2" in found[0]) is (old == "name: production")


def test_all_mistakes_are_named_at_once() -> None:
    """An operator corrects a file once."""
    text = EXAMPLE.replace("grace: 120", "grace: -5").replace("[192.0.2.9, ", "[here, ")
    assert [one.partition(": ")[2].partition(":")[0] for one in mistakes(text)] == [
        "timing.grace",
        "timing.transaction_manager_grace",
        "ignored_peers.0",
    ]


def test_a_key_that_is_missing_is_named_where_it_belongs() -> None:
    """With the line of the mapping that needs it."""
    text = EXAMPLE.replace("        address: 192.0.2.22\n", "")
    [found] = mistakes(text)
    line = text[: text.index("- name: fra-server2")].count("\n") + 1
    assert found == f"line {line}: clusters.0.nodes.1.address: this key is missing"


def test_addresses_are_written_as_a_node_shows_them() -> None:
    """So that two spellings of one address are the same."""
    text = EXAMPLE.replace("[192.0.2.21]", '["2001:DB8::0:61", "::ffff:192.0.2.21"]')
    estate = parse_estate(text.encode(), NAME)
    assert estate.node("fra-server1").listen_on == ("2001:db8::61", "192.0.2.21")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "it holds no estate"),
        (b"- name\n", "it holds no estate"),
        (b"name: \xff\xfe", "it is not UTF-8 text"),
        (b"name: lab\nreason: \x07\n", "line 2: it has a character that no text has"),
        (b"[" * 20000, "line 1: there are more than 30 levels"),
    ],
)
def test_what_is_no_text_of_an_estate_is_one_mistake(text: bytes, sentence: str) -> None:
    """Whatever the file holds."""
    [found] = mistakes(text)
    assert sentence in found


def alternative(driver: str) -> str:
    """Return the example with the block of another load balancer driver, which it shows inside."""
    block = re.compile(r"^load_balancer:\n(?:(?:[ #].*)?\n)*?(?=\n# Where a zone)", re.MULTILINE)
    shown = re.search(
        rf"^# load_balancer:\n#   driver: {driver}\n(?:# .*\n)*", EXAMPLE, re.MULTILINE
    )
    assert shown, driver
    written = "".join(line.removeprefix("# ") for line in shown[0].splitlines(keepends=True))
    text, replaced = block.subn("", EXAMPLE, count=1)
    assert replaced
    return text.replace(shown[0], written)


def test_the_example_of_a_zone_is_an_estate() -> None:
    """As it stands in the file, without its marks; every key of the driver is there."""
    balancer = parse_estate(alternative("dns").encode(), NAME).load_balancer
    assert isinstance(balancer, DnsLoadBalancer)
    assert balancer.model_fields_set == set(DnsLoadBalancer.model_fields)
    assert {"reload", "configuration"} <= balancer.hosts[0].model_fields_set
    assert balancer.places == ("dns", "loadbalancer1")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("zone: st.", "zone: other.", "names.edge1.st.example.com is not in the zone other."),
        ("zone: st.", "zone: t.", "names.edge1.st.example.com is not in the zone t.example.com"),
        ("dublin: [198.51.100.61]", "paris: [198.51.100.61]", "needs addresses for each of dublin"),
        ("[192.0.2.62], dublin", "[198.51.100.62], dublin", "has the address 198.51.100.62 twice"),
        ("[192.0.2.61], dublin", "[], dublin", "give at least 1"),
        ("[192.0.2.61], dublin", "[ns.example.com], dublin", "write one IP address such as"),
        ("    edge2.st.", "    EDGE1.st.", "edge1.st.example.com is given twice"),
        ("record: _switchover", "record: edge1", "edge1.st.example.com is given twice"),
        ("record: _switchover.st", "record: _switchover", "is not in the zone st.example.com"),
        ("address: 198.51.100.53", "address: 192.0.2.53", "servers: 192.0.2.53:53 is given twice"),
        ("address: 198.51.100.53", "address: ns2.example.com", "write one IP address such as"),
        ("ttl_limit: 60", "ttl_limit: 86400", "write a duration from 1 s to 5 minutes"),
        ("hmac-sha256 ", "hmac-md5 ", "write 'hmac-sha256', 'hmac-sha384' or"),
        ("file:/etc/switchover/secrets/tsig", "c2VjcmV0", "a secret in clear does not belong"),
        ("  name: dns", "  name: loadbalancer1", "the name loadbalancer1 is given twice"),
    ],
)
def test_a_mistake_of_a_zone_is_named(old: str, new: str, sentence: str) -> None:
    """Before anything is asked of a name server."""
    text = alternative("dns")
    assert old in text
    assert any(sentence in one for one in mistakes(text.replace(old, new, 1))), mistakes(
        text.replace(old, new, 1)
    )
