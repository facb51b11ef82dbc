"""An estate file that is an attack is refused in a sentence, soon, and takes nothing along."""

import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support import estates
from workflows.errors import BadInput
from workflows.estate_file import MAX_SHOWN_MISTAKES, EstateMistakes, parse_estate
from workflows.estate_yaml import MAX_BYTES, MAX_LENGTH
from workflows.model.decisions import parse_decision
from workflows.model.estate import Estate
from workflows.model.objections import objections_in
from workflows.model.request import parse_request

EXAMPLE = (Path(__file__).parents[2] / "docs/estate.example.yaml").read_text(encoding="utf-8")
NAME = Path("production.yaml")


def mistakes(text: str | bytes) -> tuple[str, ...]:
    """Read a text that is no usable estate."""
    given = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    with pytest.raises(EstateMistakes) as refused:
        parse_estate(given, NAME)
    return refused.value.mistakes


LAUGHS = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
MERGES = "a0: &a0 {k: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 10)
)
MANY_KEYS = "".join(f"k{n}: 1\n" for n in range(24_000))
DEFAULTS = "defaults: {" + "".join(f"k{n}: 1, " for n in range(5000)) + "}\n"
NODES = "clusters: [{nodes: [" + "{}, " * 5000 + "]}]\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("#" * (MAX_BYTES + 1), "it is larger than 256 KiB"),
        ("- " * 5000, "line 1: there are more than 30 levels"),
        ("a: " + "{a: " * 5000, "line 1: there are more than 30 levels"),
        (LAUGHS, "there are more than 20000 keys and values"),
        (MERGES, "there are more than 20000 keys and values"),
        (MANY_KEYS, "there are more than 20000 keys and values"),
        ("a: &a [*a]", "line 1: this alias is inside of what it stands for"),
        ("a: &a {<<: *a}", "line 1: this alias is inside of what it stands for"),
        ("a: &a {b: {c: [*a]}}", "line 1: this alias is inside of what it stands for"),
        (f"name: {'x' * (MAX_LENGTH + 1)}", "line 1: write at most 4096 characters"),
        ('a: !!int ""', "line 1: a tag, which begins with !, has no meaning here"),
        ("a: !!timestamp x", "line 1: a tag, which begins with !, has no meaning here"),
        ("a: !!python/object/apply:os.system [id]", "line 1: a tag, which begins with !"),
        (f"name: {'1:' * 2000}1.5", "this is not YAML"),
        ("name: 0b_", "this is not YAML"),
        ("name: 2001-12-14t21:59:43+99:99", "this is not YAML"),
        ("1: x", "line 1: a key is a text"),
        ("on: x", "line 1: a key is a text"),
        ("2026-01-01: x", "line 1: a key is a text"),
        ('"<<": 1\n"<<": 2', "line 2: the key << is given twice"),
        ('"\\u202e\\x1b": 1\n"\\u202e\\x1b": 2', "line 2: the key    is given twice"),
        ("name: a\0b", "line 1: it has a character that no text has"),
        (b"\xff\xfen\0a\0", "it is not UTF-8 text"),
        ("a: 1\n---\na: 2\n", "line 2, column 1: this is not YAML"),
        (DEFAULTS + NODES, "defaults: there are more than 100 keys"),
    ],
)
def test_what_only_costs_is_refused_soon(text: str | bytes, sentence: str) -> None:
    """However little stands for however much, it is over in a moment."""
    began = time.process_time()
    [said] = mistakes(text)
    assert sentence in said
    assert time.process_time() - began < 3


def test_many_mistakes_are_not_all_named() -> None:
    """The first are, and how many more there are."""
    text = EXAMPLE + "".join(f"\nunknown{n}: 1" for n in range(5000))
    said = mistakes(text)
    assert len(said) == MAX_SHOWN_MISTAKES + 1
    assert said[-1] == f"and {5000 - MAX_SHOWN_MISTAKES} more mistakes"


def test_a_mistake_is_shown_on_one_line() -> None:
    """A key is somebody's text, too: a terminal is not to obey it, and a log not to be forged."""
    for key in ("\\x1b[2J", "a\\nb", "\\u202e", "x" * 1000):
        said = mistakes(f'{EXAMPLE}\ntiming2: 1\nwebhook2: {{}}\n"{key}": 1\n')
        assert len(said) > 2
        assert all(one.isprintable() and len(one) < 300 for one in said)


def test_numbers_that_are_none_are_refused() -> None:
    """Infinite, no number at all, or longer than any."""
    for number in (".inf", ".nan", "1.0e+400", f"0x{'f' * 4000}", "9" * 4000):
        assert (
            "timing.grace: " in mistakes(EXAMPLE.replace("  grace: 120", f"  grace: {number}"))[0]
        )


TEXTS = {
    "defaults.ssh.user": "st",
    "defaults.ssh.key": "file:/key",
    "defaults.ledger": "/ledger",
    "defaults.filedrivehome": "/opt/st",
    "defaults.host_key": "ssh-ed25519 AAAA comment",
    "defaults.alias": "alias",
    "defaults.stop_all": ["stop_all"],
    "defaults.boot_id": "/boot",
    "clusters.0.name": "cluster1",
    "clusters.0.storage": "/storage",
    "clusters.0.storage_markers": "markers",
    "clusters.0.nodes.0.address": "192.0.2.1",
    "clusters.0.nodes.0.name": "name",
    "clusters.0.database.address": "db.example.com",
    "clusters.0.database.database": "st",
    "clusters.0.database.user": "st",
    "clusters.0.database.password": "env:DB",
    "load_balancer.hosts.0.hosts_file": "/etc/hosts",
    "load_balancer.hosts.0.reload": ["reload"],
    "load_balancer.probes.0.user": "probe",
    "load_balancer.probes.0.host_key": "ssh-ed25519 AAAA",
    "replication.links.0.publication": "pub",
    "replication.links.0.subscription": "sub",
    "replication.links.0.name": "link",
    "replication.local_tables": ["audit.*"],
    "approvals.approvers": ["ann"],
    "change_window.timezone": "UTC",
    "webhook.url": "file:/url",
}
STRIPPED = {"approvals.approvers", "defaults.host_key", "load_balancer.probes.0.host_key"}
"""Outer blanks are taken off: a public key that was copied from its file ends with a newline."""
HIDDEN = ("\n", "\r", "\t", "\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\u200b", "\ud800")


@pytest.mark.parametrize("path", TEXTS)
def test_a_text_with_what_nobody_sees_is_refused(path: str) -> None:
    """Inside, and the blank before or behind that makes two names of one."""
    good = TEXTS[path]
    for hidden in HIDDEN:
        text = good[0] if isinstance(good, list) else good
        for bad in (f"{text[:1]}{hidden}{text[1:]}", f"{text}{hidden}"):
            if path in STRIPPED and bad.strip() == text:
                continue
            said = refusal(path, [bad] if isinstance(good, list) else bad)
            assert path.rpartition(".")[2] in said, (hidden, said)
            assert said.isprintable()
    if path not in STRIPPED:
        blank = [f"{good[0]} "] if isinstance(good, list) else f"{good} "
        assert path.rpartition(".")[2] in refusal(path, blank)


def refusal(path: str, value: object) -> str:
    """Return what is said about an estate with another text at a dotted path."""
    given = estates.written()
    given.setdefault("approvals", {})
    given.setdefault("change_window", {"begins": "22:00", "ends": "23:00"})
    given.setdefault("webhook", {"url": "env:A", "secret": "env:B"})
    place: Any = given
    *parents, last = path.split(".")
    for part in parents:
        place = place[int(part)] if part.isdigit() else place[part]
    place[last] = value
    with pytest.raises(ValidationError) as refused:
        Estate.model_validate(given)
    return objections_in(refused.value)


def test_a_directory_of_a_region_is_no_time_zone() -> None:
    """Also where the zones' files say so in their own way."""
    for zone in ("Europe", "../UTC", "/etc/passwd", "x" * 300, "Europe/Nowhere"):
        assert "timezone" in refusal("change_window.timezone", zone)


def test_a_reason_is_shown_on_one_line() -> None:
    """A newline in it keeps nobody from aborting; nor can it forge a line, or turn one around."""
    decision = parse_decision([{"by": "ann", "reason": " because\n\x1b[2J\u202eof it\n"}])
    assert decision.reason == "because  [2J of it"
    request = {"estate": "lab", "source": "cluster1", "target": "cluster2", "reason": "a\r\nb"}
    assert parse_request([request]).reason == "a  b"
    for changes in (
        {"estate": "lab\n"},
        {"estate": "../lab"},
        {"approvers": ["a\u202eb"]},
        {"accept": {"a b": "reason"}},
        {"accept": {"clock": "\x1b"}},
        {"reason": "\ud800"},
        {"plan_hash": "../../plan"},
        {"\x1b[2J": 1},
        {f"key{n}": 1 for n in range(1000)},
    ):
        with pytest.raises(BadInput) as refused:
            parse_request([{**request, **changes}])
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 3000
