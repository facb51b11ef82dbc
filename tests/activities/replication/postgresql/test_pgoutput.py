"""Replication messages are read whole and as documented, or not at all."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.replication.postgresql.pgoutput import Reader
from activities.replication.postgresql.row_changes import Row, RowChange
from workflows.errors import OutcomeUnknown

# As PostgreSQL 18 sends them for:
# CREATE TABLE account (name text PRIMARY KEY, note text, updated timestamptz)
ACCOUNT = (
    b"R\0\0\x40\0public\0account\0d\0\3"
    b"\1name\0\0\0\0\x19\xff\xff\xff\xff"
    b"\0note\0\0\0\0\x19\xff\xff\xff\xff"
    b"\0updated\0\0\0\4\xa0\xff\xff\xff\xff"
)
INSERT = b"I\0\0\x40\0N\0\3t\0\0\0\2p1t\0\0\0\3newn"
UPDATE = b"U\0\0\x40\0N\0\3t\0\0\0\2p1ut\0\0\0\4soon"
RENAME = b"U\0\0\x40\0K\0\3t\0\0\0\2p1nnN\0\3t\0\0\0\2p2t\0\0\0\3newn"
LONG_KEY = b"U\0\0\x40\0K\0\3t\0\0\0\2p1nnN\0\3ut\0\0\0\3newn"
DELETE = b"D\0\0\x40\0K\0\3t\0\0\0\2p1nn"
TRUNCATE = b"T\0\0\0\1\0\0\0\x40\0"
P1, P2 = (Row("public.account", (("name", name),)) for name in ("p1", "p2"))
WRITES = {
    "insert": (INSERT, (RowChange(P1, {"name": "p1", "note": "new", "updated": None}),)),
    "update": (UPDATE, (RowChange(P1, {"name": "p1", "updated": "soon"}),)),
    "rename": (
        RENAME,
        (RowChange(P1, None), RowChange(P2, {"name": "p2", "note": "new", "updated": None})),
    ),
    "long key": (LONG_KEY, (RowChange(P1, {"note": "new", "updated": None}),)),
    "delete": (DELETE, (RowChange(P1, None),)),
    "truncate": (TRUNCATE, (RowChange(Row("public.account"), None),)),
}


@pytest.fixture
def reader() -> Reader:
    """A reader that knows the table."""
    return prepared()


def prepared() -> Reader:
    """Return a reader that knows the table."""
    reader = Reader()
    assert reader.changes(ACCOUNT) == ()
    return reader


@pytest.mark.parametrize("kind", WRITES)
def test_every_write_names_its_rows(reader: Reader, kind: str) -> None:
    """By their keys, with their new values; a renamed row is two."""
    message, expected = WRITES[kind]
    assert reader.changes(message) == expected


@pytest.mark.parametrize("message", [b"B" + bytes(20), b"C" + bytes(25), b"O", b"Y", b"M"])
def test_what_writes_no_row_is_passed_over(reader: Reader, message: bytes) -> None:
    """Transactions' ends, types, origins and messages change no row."""
    assert reader.changes(message) == ()


def test_what_a_side_received_is_not_its_own(reader: Reader) -> None:
    """A transaction that names its origin was written elsewhere; the next one was not."""
    begin, origin = b"B" + bytes(20), b"O" + bytes(8) + b"pg_16389\0"
    assert [reader.changes(message) for message in (begin, origin, INSERT)] == [(), (), ()]
    assert [reader.changes(message) for message in (begin, INSERT)] == [(), WRITES["insert"][1]]


def test_a_row_without_a_key_is_known_by_all_it_holds() -> None:
    """As PostgreSQL itself does with REPLICA IDENTITY FULL, whose old row it sends."""
    reader = Reader()
    reader.changes(b"R\0\0\0\1\0log\0f\0\1\0line\0\0\0\0\x19\xff\xff\xff\xff")
    [before, after] = reader.changes(b"U\0\0\0\1O\0\1t\0\0\0\1aN\0\1t\0\0\0\1b")
    assert (str(before.row), str(after.row)) == (
        "pg_catalog.log (line=a)",
        "pg_catalog.log (line=b)",
    )


@pytest.mark.parametrize("message", [ACCOUNT, *(message for message, _ in WRITES.values())])
def test_a_message_that_is_not_whole_tells_nothing(message: bytes) -> None:
    """Cut anywhere, or with something behind it, it is never taken for another one."""
    for end in range(len(message)):
        with pytest.raises(OutcomeUnknown, match="the replication stream holds a message"):
            prepared().changes(message[:end])
    with pytest.raises(OutcomeUnknown, match="goes on after its end"):
        prepared().changes(message + b"\0")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"X", "unknown kind"),
        (b"I\0\0\0\7N\0\0", "about table 7, which was never described"),
        (b"I\0\0\x40\0X", "instead of"),
        (b"I\0\0\x40\0N\0\1n", "with 1 columns for public.account"),
        (b"I\0\0\x40\0N\0\3x", "a value of kind"),
        (b"I\0\0\x40\0N\0\3unn", "leaves out a key"),
        (b"I\0\0\x40\0N\0\3t\xff\xff\xff\xffp1", "ends too early"),
        (b"U\0\0\x40\0X", "instead of a new row"),
        (b"D\0\0\x40\0N\0\3nnn", "without the row that it deletes"),
        (b"S\0\0\0\1\1", "unknown kind"),
    ],
)
def test_what_is_not_as_documented_tells_nothing(
    reader: Reader, message: bytes, expected: str
) -> None:
    """A row that is not understood may be the one that both sides wrote."""
    with pytest.raises(OutcomeUnknown, match=expected):
        reader.changes(message)


@given(st.lists(st.binary(max_size=60)))
def test_whatever_comes_it_is_read_or_refused(messages: list[bytes]) -> None:
    """No other error, and no endless reading."""
    reader = prepared()
    for message in messages:
        with suppress(OutcomeUnknown):
            reader.changes(message)


@given(st.data())
def test_one_changed_byte_is_read_or_refused(data: st.DataObject) -> None:
    """Noise in a message that is nearly right is the hardest kind."""
    message, _ = data.draw(st.sampled_from(list(WRITES.values())))
    at = data.draw(st.integers(0, len(message) - 1))
    noisy = message[:at] + bytes([data.draw(st.integers(0, 255))]) + message[at + 1 :]
    with suppress(OutcomeUnknown):
        prepared().changes(noisy)


@given(st.lists(st.tuples(st.text(), st.one_of(st.none(), st.text())), min_size=1, max_size=5))
def test_any_values_survive(cells: list[tuple[str, str | None]]) -> None:
    """Names and values of every kind, as the server sends them."""
    names = [f"{n}{name}".replace("\0", "") for n, (name, _) in enumerate(cells)]
    values = [value for _, value in cells]
    columns = b"".join(b"\1" + _bytes(name) + b"\0" + bytes(8) for name in names)
    reader = Reader()
    reader.changes(
        b"R" + struct.pack("!i", 9) + b"s\0t\0d" + struct.pack("!h", len(names)) + columns
    )
    sent = b"".join(
        b"n" if v is None else b"t" + struct.pack("!i", len(_bytes(v))) + _bytes(v) for v in values
    )
    message = b"I" + struct.pack("!i", 9) + b"N" + struct.pack("!h", len(values)) + sent
    [change] = reader.changes(message)
    assert change.row.key == tuple(zip(names, values, strict=True))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8")


def test_rows_are_told_apart_and_shown_safely() -> None:
    """By table and key; nothing that a terminal would act on, and nothing endless."""
    rows = [P1, P2, Row("public.account"), Row("public.other", P1.key), Row("t", (("name", None),))]
    assert len({row.digest for row in rows}) == len(rows)
    assert str(Row("t", (("a", None), ("b", "x\x1b[2J" + "y" * 99)))) == (
        f"t (a=NULL, b=x[2J{'y' * 56}...)"
    )
