"""What HAProxy's configuration does to a redirect is read as HAProxy reads it, or not at all."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.load_balancer import haproxy_config as haproxy
from activities.load_balancer.haproxy_config import RedirectFacts
from workflows.errors import OutcomeUnknown

GOLDEN = Path(__file__).parent / "golden/haproxy"
NAMES = {
    "edge1": {"one": "203.0.113.5", "two": "198.51.100.5"},
    "edge2": {"one": "2001:db8::5", "two": "2001:db8::6"},
}


def read(name: str) -> RedirectFacts:
    """Read a golden configuration."""
    return haproxy.read((GOLDEN / f"{name}.cfg").read_bytes().decode(), NAMES)


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
        unused_names=("edge2",), hard_stop_after=timedelta(seconds=0.5)
    )
    assert haproxy.split(r"""a\ b "c \"d\" \q" 'e\' f\#g"" # "h""") == (
        "a b",
        'c "d" \\q',
        "e\\",
        "f#g",
    )
    assert haproxy.split("'' \"\"x") == ("", "x")


@pytest.mark.parametrize(
    "statement", [r"server edge1 \x65dge1:22", r"hard-stop-after 1\x68", r"server edge1 edge1:22\t"]
)
def test_an_escape_that_could_change_the_answer_is_unknown(statement: str) -> None:
    """Such characters are not read; in a statement that does not matter they are no obstacle."""
    with pytest.raises(OutcomeUnknown, match="line 2 of the configuration has an escape"):
        haproxy.read(f"backend ssh\n {statement}\n", NAMES)
    harmless = "backend ssh\n tcp-check send PING\\r\\n\n server edge1 edge1:22\n"
    assert haproxy.read(harmless, NAMES) == RedirectFacts(unused_names=("edge2",))


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
