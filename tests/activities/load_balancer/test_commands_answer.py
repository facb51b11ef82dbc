"""What a site's own command answers is believed only where it is whole."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.load_balancer import commands_answer
from workflows.errors import OutcomeUnknown
from workflows.model.observations import Destination

ITEMS, CLUSTERS = ("pool sftp", "pool https"), ("one", "two")
DESTINATIONS: list[dict[str, object]] = [
    {"item": "pool sftp", "leads_to": "one", "seen": "10.1.1.2:22"},
    {"item": "pool https", "leads_to": None},
]
GOOD: dict[str, object] = {"destinations": DESTINATIONS}


def with_first(**changes: object) -> str:
    """Return the good answer with its first destination changed."""
    first, second = DESTINATIONS
    return json.dumps({"destinations": [{**first, **changes}, second]})


def with_finding(**changes: object) -> str:
    """Return the good answer with a finding."""
    finding = {"what": "a", "expected": "b", "advice": "c", **changes}
    return json.dumps({**GOOD, "findings": [finding]})


async def test_a_whole_answer_is_read() -> None:
    """What leads to no cluster, and shows nothing, is unknown; what is wrong keeps its words."""
    text = with_finding(what="pool https has no member")
    answer = await commands_answer.read(text.encode(), ITEMS, CLUSTERS)
    assert answer.as_destinations() == (
        Destination(item="pool sftp", seen="10.1.1.2:22", cluster="one"),
        Destination(item="pool https", seen=None, cluster=None),
    )
    assert answer.clusters == {"one", None}
    [finding] = answer.as_findings("lb1")
    assert (finding.name, finding.place, finding.seen, finding.expected, finding.advice) == (
        *("site_command_reports", "lb1", "pool https has no member"),
        *("b", "c"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it printed nothing"),
        (" \n\n", "it printed nothing"),
        ("Password: ", "it printed no JSON document (Expecting value"),
        (
            "usage: \x1b[31mlb",
            "no JSON document (Expecting value: line 1 column 1 (char 0)): usage",
        ),
        (json.dumps(GOOD)[:60], "it printed no JSON document"),
        (json.dumps(GOOD) + "\ndone", "it printed no JSON document (Extra data"),
        (json.dumps(GOOD) * 2, "it printed no JSON document (Extra data"),
        ('{"destinations": [], "destinations": []}', "it has one key twice"),
        ('{"destinations": NaN}', "NaN is no JSON"),
        ("[" * 5000, "it is nested deeper than 32 levels"),
        ("[]", "the document: Input should be an object"),
        ("{}", "destinations: Field required"),
        ('{"destinations": []}', "destinations: Tuple should have at least 1 item"),
        ('{"destinations": {}}', "destinations: Input should be a valid"),
        (with_first(leads_to=3), "destinations.0.leads_to: Input should be a valid string"),
        (with_first(leads_to=""), "destinations.0.leads_to: String should match"),
        (with_first(leads_to="three"), "the estate has no cluster three"),
        (with_first(seen="10.1.1.2\n:22"), "destinations.0.seen: Value error, write characters"),
        (with_first(seen="\x1b[31m"), "destinations.0.seen: Value error, write characters"),
        (with_first(seen=""), "destinations.0.seen: String should have at least 1 character"),
        (with_first(seen="a" * 301), "destinations.0.seen: String should have at most 300"),
        (with_first(colour="red"), "destinations.0.colour: Extra inputs are not permitted"),
        (with_first(item="pool ftp"), "it says nothing of pool sftp; the estate's items lack pool"),
        (with_first(item="pool https"), "it says nothing of pool sftp; it speaks twice of pool"),
        ('{"destinations": [{"item": "pool sftp"}]}', "destinations.0.leads_to: Field required"),
        (with_finding(advice=None), "findings.0.advice: Input should be a valid string"),
        (with_finding(severity="warns"), "findings.0.severity: Extra inputs"),
        (" " * 70_000 + json.dumps(GOOD), "it printed more than 65536 bytes"),
        (json.dumps({**GOOD, "findings": [{}] * 51}), "findings"),
    ],
)
async def test_an_answer_that_is_not_whole_says_nothing(text: str, message: str) -> None:
    """In one line that an operator can act on, without a character that a terminal would obey."""
    with pytest.raises(OutcomeUnknown) as unusable:
        await commands_answer.read(text.encode(), ITEMS, CLUSTERS)
    assert message in str(unusable.value)
    assert str(unusable.value).isprintable()
    assert len(str(unusable.value)) < 500


async def test_an_answer_that_is_no_text_says_nothing() -> None:
    """Whatever the encoding is."""
    with pytest.raises(OutcomeUnknown, match="it is no UTF-8"):
        await commands_answer.read(b'{"destinations": "\xff"}', ITEMS, CLUSTERS)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
async def test_whatever_is_printed_is_read_or_refused(text: bytes) -> None:
    """Nothing else is raised."""
    with pytest.raises(OutcomeUnknown):
        await commands_answer.read(text, ITEMS, CLUSTERS)
