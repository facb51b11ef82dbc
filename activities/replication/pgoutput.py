"""Which rows does a stream of PostgreSQL's logical replication change (pgoutput, version 1)? Pure.

See "Logical Replication Message Formats" in PostgreSQL's documentation.
"""

from __future__ import annotations

from dataclasses import dataclass

from activities.replication.row_changes import Row, Written
from workflows.errors import OutcomeUnknown

_BEGIN, _COMMIT, _ORIGIN, _TYPE, _MESSAGE = b"B", b"C", b"O", b"Y", b"M"
PASSED_OVER = (_BEGIN, _COMMIT, _ORIGIN, _TYPE, _MESSAGE)
"""Messages that change no row."""


class _Unchanged:
    """A long value that an update did not touch: it is not sent again."""


UNCHANGED = _Unchanged()
Cell = str | None | _Unchanged


@dataclass(frozen=True)
class _Relation:
    table: str
    columns: tuple[str, ...]
    keys: tuple[int, ...]
    """Which of the columns identify a row; all of them where none is marked."""


class Reader:
    """Reads messages in their order: what a table is called is said once, before its first row."""

    def __init__(self) -> None:
        self._relations: dict[int, _Relation] = {}

    def written(self, message: bytes) -> tuple[Written, ...]:
        """Return the rows that one message writes.

        Raises:
            OutcomeUnknown: the message is not whole, or not as documented.
        """
        kind, given = message[:1], _Bytes(message[1:])
        if kind in PASSED_OVER:
            return ()
        match kind:
            case b"R":
                written = self._describe(given)
            case b"I":
                written = self._insert(given)
            case b"U":
                written = self._update(given)
            case b"D":
                written = self._delete(given)
            case b"T":
                written = self._truncate(given)
            case _:
                raise _unreadable(f"of an unknown kind {kind!r}")
        given.require_end()
        return written

    def _describe(self, given: _Bytes) -> tuple[Written, ...]:
        number = given.integer(4)
        schema, name = given.text(), given.text()
        given.take(1)  # its replica identity: the columns' own marks say the same
        marks: list[int] = []
        columns: list[str] = []
        for _ in range(given.integer(2)):
            marks.append(given.integer(1))
            columns.append(given.text())
            given.take(8)  # type and modifier
        keys = tuple(n for n, mark in enumerate(marks) if mark & 1)
        self._relations[number] = _Relation(
            f"{schema or 'pg_catalog'}.{name}", tuple(columns), keys or tuple(range(len(columns)))
        )
        return ()

    def _insert(self, given: _Bytes) -> tuple[Written, ...]:
        relation = self._relation(given)
        given.require(b"N")
        return (_left(relation, given.cells(relation)),)

    def _update(self, given: _Bytes) -> tuple[Written, ...]:
        relation, old = self._relation(given), None
        if (mark := given.take(1)) in (b"K", b"O"):
            old = given.cells(relation)
            mark = given.take(1)
        if mark != b"N":
            raise _unreadable(f"with {mark!r} instead of a new row")
        new = given.cells(relation)
        if old is None:
            return (_left(relation, new),)
        # A key too long to be sent twice stands in the old row only.
        whole = tuple(old[n] if cell is UNCHANGED else cell for n, cell in enumerate(new))
        before, left = Written(_row(relation, old), None), _left(relation, new, whole)
        return (left,) if left.row == before.row else (before, left)

    def _delete(self, given: _Bytes) -> tuple[Written, ...]:
        relation = self._relation(given)
        if given.take(1) not in (b"K", b"O"):
            raise _unreadable("without the row that it deletes")
        return (Written(_row(relation, given.cells(relation)), None),)

    def _truncate(self, given: _Bytes) -> tuple[Written, ...]:
        count = given.integer(4)
        given.take(1)  # CASCADE and the like
        return tuple(Written(Row(self._relation(given).table), None) for _ in range(count))

    def _relation(self, given: _Bytes) -> _Relation:
        number = given.integer(4)
        if number not in self._relations:
            raise _unreadable(f"about table {number}, which was never described")
        return self._relations[number]


class _Bytes:
    """What is left of a message."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._message):
            raise _unreadable("that ends too early")
        taken, self._at = self._message[self._at : end], end
        return taken

    def integer(self, size: int) -> int:
        # Counts and lengths are signed, and never negative: unsigned, such a one ends too early.
        return int.from_bytes(self.take(size), "big")

    def text(self) -> str:
        end = self._message.find(b"\0", self._at)
        if end < 0:
            raise _unreadable("that ends too early")
        words = self.take(end - self._at)
        self.take(1)
        return decoded(words)

    def require(self, mark: bytes) -> None:
        if (found := self.take(1)) != mark:
            raise _unreadable(f"with {found!r} instead of {mark!r}")

    def require_end(self) -> None:
        if self._at != len(self._message):
            raise _unreadable("that goes on after its end")

    def cells(self, relation: _Relation) -> tuple[Cell, ...]:
        count = self.integer(2)
        if count != len(relation.columns):
            raise _unreadable(f"with {count} columns for {relation.table}")
        return tuple(self._cell() for _ in range(count))

    def _cell(self) -> Cell:
        match self.take(1):
            case b"n":
                return None
            case b"u":
                return UNCHANGED
            case b"t":
                return decoded(self.take(self.integer(4)))
            case mark:
                raise _unreadable(f"with a value of kind {mark!r}")


def _left(
    relation: _Relation, cells: tuple[Cell, ...], whole: tuple[Cell, ...] | None = None
) -> Written:
    values = {
        name: cell
        for name, cell in zip(relation.columns, cells, strict=True)
        if not isinstance(cell, _Unchanged)
    }
    return Written(_row(relation, whole or cells), values)


def _row(relation: _Relation, cells: tuple[Cell, ...]) -> Row:
    key: list[tuple[str, str | None]] = []
    for number in relation.keys:
        cell = cells[number]
        if isinstance(cell, _Unchanged):
            raise _unreadable(f"that leaves out a key of {relation.table}")
        key.append((relation.columns[number], cell))
    return Row(relation.table, tuple(key))


def decoded(words: bytes) -> str:
    """Read a name or a value; bytes of another encoding still differ where they differ."""
    return words.decode("utf-8", errors="backslashreplace")


def _unreadable(what: str) -> OutcomeUnknown:
    return OutcomeUnknown(f"the replication stream holds a message {what}")
