"""What HAProxy's configuration does to a redirect is read as HAProxy reads it, or not at all."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.load_balancer import haproxy_config as haproxy
from activities.load_balancer import haproxy_facts
from activities.load_balancer.haproxy_facts import KnownNames, RedirectFacts
from workflows.errors import OutcomeUnknown

GOLDEN = Path(__file__).parent / "golden/haproxy"
NAMES = KnownNames(
    {
        "edge1": {"one": "203.0.113.5", "two": "198.51.100.5"},
        "edge2": {"one": "2001:db8::5", "two": "2001:db8::6"},
    },
    aliases={"edge1": frozenset({"edge1", "edge1.dmz"})},
    hosts={"old-edge": ("203.0.113.5",), "edge3": ("203.0.113.7",), "web": ("192.0.2.80",)},
    nodes=frozenset({"203.0.113.7"}),
    ports=frozenset({8022, 8443}),
)


def read(name: str) -> RedirectFacts:
    """Read a golden configuration."""
    return haproxy_facts.read((GOLDEN / f"{name}.cfg").read_bytes().decode(), NAMES)


def test_a_configuration_that_redirects_has_no_finding() -> None:
    """Names count in every spelling; other servers do not matter."""
    assert read("named") == RedirectFacts()


def test_addresses_and_pins_are_reported_with_their_place() -> None:
    """An address of either cluster, of either family, in any spelling."""
    assert read("axway") == RedirectFacts(
        by_address=(
            "backend ssh: server edge1 203.0.113.5:8022",
            "backend ssh: server edge2 198.51.100.5:8022",
            "backend https: server six [2001:db8:0::5]:8443",
            "backend https: server bare 2001:db8::5:8443",
        ),
        unused_names=("edge2",),
        sticky_tables=("backend ssh: 30m",),
        hard_stop_after=timedelta(minutes=30),
    )


def test_only_tables_that_pin_are_reported() -> None:
    """Wherever they stand; a table that merely counts pins no client, a peer serves no client."""
    assert read("tables") == RedirectFacts(
        sticky_tables=(
            "peers us, table pins: 1h",
            "backend https: no expiry",
            "table elsewhere: no expiry",
        ),
        hard_stop_after=timedelta(seconds=90),
    )


def test_odd_spelling_is_read_as_haproxy_does() -> None:
    """Quotes, backslashes, comments, conditions; what the environment puts in is not known."""
    assert read("strange") == RedirectFacts(
        unused_names=("edge2",),
        unlisted=('backend the ssh" one: server edge2 ${EDGE2}:8022',),
        hard_stop_after=timedelta(seconds=0.5),
    )
    assert haproxy.split(r"""a\ b "c \"d\" \q" 'e\' f\#g"" # "h""") == (
        "a b",
        'c "d" \\q',
        "e\\",
        "f#g",
    )
    assert haproxy.split("'' \"\"x") == ("", "x")


def facts(text: str) -> RedirectFacts:
    """Read a configuration in which both names are reached."""
    return haproxy_facts.read(
        f"{text}\nlisten rest\n server a edge1:22\n server b edge2:22\n", NAMES
    )


@pytest.mark.parametrize(
    ("servers", "unlisted"),
    [
        (["a edge1:8022", "b edge2:8022"], []),
        (["a edge1:8022", "b EDGE1.dmz.:8022"], []),  # another name of the same line
        (["a edge1:8022", "b web:80"], ["b web:80"]),
        (["a edge1:8022", "b 203.0.113.7:8022"], ["b 203.0.113.7:8022"]),
        (["a edge1:8022", "b web:80 check backup"], []),
        (["a web:80"], []),
        (["a old-edge:8022", "b web:80"], ["a old-edge:8022"]),
        (["a edge3"], ["a edge3"]),
        (["a edge3:8443 backup"], ["a edge3:8443"]),
        (["a edge3:444"], []),  # no port of clients: the administrators' page, perhaps
        (["a 203.0.113.7:8022"], ["a 203.0.113.7:8022"]),
    ],
)
def test_a_server_that_a_redirect_would_forget_is_reported(
    servers: list[str], unlisted: list[str]
) -> None:
    """Beside one of ours, or one that leads to a node by another name."""
    lines = "".join(f"\n server {server}" for server in servers)
    assert facts(f"backend ssh{lines}").unlisted == tuple(
        f"backend ssh: server {server}" for server in unlisted
    )


GLOBAL = "global\n server-state-file /state\n"
LOADS = "load-server-state-from-file"
LOADED = f"{LOADS} global"
KEPT = "keeps the address in the server state file"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"{GLOBAL}defaults\n {LOADED}\nbackend ssh\n server a edge1:22", KEPT),
        (f"{GLOBAL}backend ssh\n server a edge1:22\n {LOADED}", KEPT),
        (f"{GLOBAL}defaults a\n {LOADED}\ndefaults b from a\nlisten ssh\n server a edge1:22", KEPT),
        (f"{GLOBAL}defaults a\n {LOADED}\ndefaults b\nlisten ssh\n server a edge1:22", None),
        (f"{GLOBAL}defaults a\n {LOADED}\ndefaults b\nlisten ssh from a\n server a edge1:22", KEPT),
        (f"backend ssh\n {LOADED}\n server a edge1:22", None),  # from no file
        (f"backend ssh\n {LOADS} local\n server a edge1:22", KEPT),
        (f"{GLOBAL}defaults\n {LOADED}\nbackend ssh\n {LOADS} none\n server a edge1:22", None),
        (f"{GLOBAL}defaults\n {LOADED}\nbackend ssh\n server a edge1:22 init-addr libc,none", None),
        (f"{GLOBAL}defaults\n {LOADED}\nbackend ssh\n server a web:22", None),  # none of ours
        ("backend ssh\n server a edge1:22 init-addr last,libc,none", None),
        ("backend ssh\n server a edge1:22 init-addr none", "has init-addr none"),
        ("backend ssh\n server a edge1:22 init-addr last", "has init-addr last"),
        (
            "defaults\n default-server init-addr 10.1.0.1,libc\nbackend ssh\n server a edge1:22",
            "has init-addr 10.1.0.1,libc",
        ),
        ("backend ssh\n default-server init-addr none\n server a edge1:22 init-addr libc", None),
        ("backend ssh\n server a edge1:22\n default-server init-addr none", None),
        (
            "backend ssh\n server a edge1:22 check resolvers dns init-addr libc",
            "asks the name servers of resolvers dns",
        ),
        (
            "defaults\n default-server resolvers dns\nbackend ssh\n server-template a 2 edge1:22",
            "asks the name servers of resolvers dns",
        ),
        ("resolvers dns\n nameserver a 192.0.2.53:53\nbackend ssh\n server a edge1:22", None),
    ],
)
def test_what_keeps_a_reload_from_asking_the_hosts_file_is_reported(
    text: str, kept: str | None
) -> None:
    """Of our servers, with every setting that they take over from their section and defaults."""
    found = [one for one in facts(text).kept_addresses if "listen rest" not in one]
    assert [one.endswith(kept or "nothing") for one in found] == ([] if kept is None else [True])


@pytest.mark.parametrize(
    "statement", [r"server edge1 \x65dge1:22", r"hard-stop-after 1\x68", r"server edge1 edge1:22\t"]
)
def test_an_escape_that_could_change_the_answer_is_unknown(statement: str) -> None:
    """Such characters are not read; in a statement that does not matter they are no obstacle."""
    with pytest.raises(OutcomeUnknown, match="line 2 of the configuration has an escape"):
        haproxy_facts.read(f"backend ssh\n {statement}\n", NAMES)
    harmless = "backend ssh\n tcp-check send PING\\r\\n\n server edge1 edge1:22\n"
    assert haproxy_facts.read(harmless, NAMES) == RedirectFacts(unused_names=("edge2",))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty", "no frontend"),
        ("comments", "no frontend"),
        ("global_only", "no frontend"),
        ("headless", "line 1 of the configuration belongs to no section"),
        ("cut", "cut off"),
        ("quote", "line 2 of the configuration has a quote or a backslash without its end"),
        ("backslash", "line 3 of the configuration has a quote or a backslash without its end"),
        ("strong_quote", "line 2 of the configuration has a quote or a backslash without its end"),
        ("max_reloads", "mworker-max-reloads 'few' is not a number"),
        ("no_time", "'soon' is not a time"),
        ("missing_time", "'' is not a time"),
        ("long_time", "longer than HAProxy allows"),
        ("json", "line 1"),
    ],
)
def test_what_haproxy_would_not_take_settles_nothing(name: str, says: str) -> None:
    """A file that is empty, cut or something else is not a healthy one."""
    with pytest.raises(OutcomeUnknown, match=says):
        read(name)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250", 0.25), ("7us", 7e-6), ("3ms", 0.003), ("2s", 2), ("2m", 120), ("1h", 3600)],
)
def test_times_have_haproxys_units(text: str, seconds: float) -> None:
    """Milliseconds where there is none."""
    assert haproxy.span(text) == timedelta(seconds=seconds)
    assert haproxy.span("2d") == timedelta(days=2)


@given(words=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"))))
def test_quoted_words_come_back_whole(words: list[str]) -> None:
    """Whatever stands in them."""
    quoted = [word.replace("\\", "\\\\").replace('"', '\\"') for word in words]
    assert haproxy.split(" ".join(f'"{word}"' for word in quoted)) == tuple(words)
