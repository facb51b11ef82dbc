"""How HAProxy learns of other addresses is read from its configuration."""

from datetime import timedelta

import pytest

from activities.load_balancer.dns.host_scripts import parse
from activities.load_balancer.dns.resolvers import NameServer, ResolverFacts, read
from workflows.errors import OutcomeUnknown

NAMES = frozenset({"edge1.st.example.com"})
RESOLVERS = """\
resolvers site
  nameserver one 192.0.2.53:5353
  nameserver two [2001:db8::53]:53
  nameserver three tcp@192.0.2.54
resolvers others
  nameserver four 192.0.2.99:53
  hold valid 1h
"""
ASKS = "backend ssh\n server edge1 Edge1.st.example.com.:22 resolvers site\n"
STATE_FILE = "defaults\n load-server-state-from-file local\n"
AT_START = "backend ssh\n server edge1 edge1.st.example.com:22\n"


def test_the_name_servers_that_are_asked_are_read() -> None:
    """Of the sections that a server of ours names, once each; other sections do not matter."""
    assert read(RESOLVERS + ASKS, NAMES, reloads=False) == ResolverFacts(
        name_servers=(
            NameServer("192.0.2.53", 5353),
            NameServer("2001:db8::53", 53),
            NameServer("192.0.2.54", 53),
        ),
        hold=timedelta(seconds=10),
        hold_line="resolvers site has the default of hold valid",
    )


@pytest.mark.parametrize(
    ("hold", "seconds", "line"),
    [
        ("hold valid 1s", 1, "hold valid 1s"),
        ("hold obsolete 30s", 30, "hold obsolete 30s"),
        ("hold valid 2m\n hold obsolete 30s", 120, "hold valid 2m"),
        ("hold nx 1h", 10, "the default of hold valid"),
    ],
)
def test_how_long_an_old_address_is_held_is_read(hold: str, seconds: int, line: str) -> None:
    """One that is asked for, or one that is no longer in an answer; whichever is longer."""
    facts = read(f"resolvers site\n {hold}\n{ASKS}", NAMES, reloads=False)
    assert (facts.hold, facts.hold_line) == (
        timedelta(seconds=seconds),
        f"resolvers site has {line}",
    )


@pytest.mark.parametrize(
    ("configuration", "reloads", "kept"),
    [
        (RESOLVERS + ASKS, False, ()),
        (AT_START, False, ("has no resolvers, and the estate names no reload command",)),
        ("backend ssh\n server x other:22\n", False, ()),
        (f"defaults\n default-server init-addr libc\n{AT_START}", True, ()),
        (STATE_FILE + AT_START, True, ("keeps the address in the server state file",)),
        (f"defaults\n default-server init-addr none\n{AT_START}", True, ("has init-addr none",)),
        (f"{RESOLVERS}defaults\n default-server resolvers site\n{AT_START}", False, ()),
    ],
)
def test_a_server_that_keeps_its_address_is_found(
    configuration: str, kept: tuple[str, ...], *, reloads: bool
) -> None:
    """By its own options and those of its defaults, with or without a reload."""
    facts = read(configuration, NAMES, reloads=reloads)
    line = "backend ssh: server edge1 edge1.st.example.com:22"
    assert facts.kept == tuple(f"{line} {one}" for one in kept)


def test_a_time_that_is_none_is_unknown() -> None:
    """As in every part of a configuration."""
    with pytest.raises(OutcomeUnknown, match="'soon' is not a time"):
        read(f"resolvers site\n hold valid soon\n{ASKS}", NAMES, reloads=False)


def test_what_a_machine_prints_is_read_by_address() -> None:
    """Aliases, comments and whatever else it prints are no addresses."""
    text = (
        "10.9.9.9 before any name\n"
        "name edge1.st.example.com\n"
        "10.1.0.1      STREAM edge1.st.example.com\n10.1.0.1      DGRAM\n"
        "2001:DB8:0::1  STREAM\n"
        "alias.example.com.\n;; communications error\n\n"
        "name edge2\n"
    )
    assert parse(text) == {
        "edge1.st.example.com": frozenset({"10.1.0.1", "2001:db8::1"}),
        "edge2": frozenset(),
    }
