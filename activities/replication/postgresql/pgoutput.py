"""Read which rows a stream of PostgreSQL's logical replication changes (pgoutput, version 1); pure.

The format is "Logical Replication Message Formats" in PostgreSQL's documentation. The parser is our
own because a subscription's slot is bound to pgoutput, so that no plugin with a readable format can
read it, and no maintained library for Python decodes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from activities.replication.postgresql.row_changes import Row, RowChange
from workflows.errors import OutcomeUnknown

_BEGIN, _COMMIT, _ORIGIN, _TYPE, _MESSAGE = b"B", b"C", b"O", b"Y", b"M"
IGNORED = (_BEGIN, _COMMIT, _ORIGIN, _TYPE, _MESSAGE)
"""Messages that change no row."""
MAX_COLUMNS = 100_000
"""Of all tables together that one stream describes: each is remembered."""
MAX_NAME_BYTES = 255


class _Unchanged:
    """A long value that an update did not change: it is not sent again."""


UNCHANGED = _Unchanged()
Cell = str | None | _Unchanged


@dataclass(frozen=True)
class _Relation:
    table: str
    columns: tuple[str, ...]
    keys: tuple[int, ...]
    """Which of the columns identify a row; all of them where none is marked."""


class Reader:
    """Reads messages in their order: a table is described once, before its first row."""

    def __init__(self) -> None:
        self._relations: dict[int, _Relation] = {}
        self._columns = 0
        self._replicated = False
        self.received = False
        """Whether a row was changed by a transaction that was replicated."""

    def changes(self, message: bytes) -> tuple[RowChange, ...]:
        """Return the rows that one message changes; none of a transaction that was replicated.

        Before version 16, the server sends what its own side did not write too. Right after the
        transaction's beginning, it names the origin.

        Raises:
            OutcomeUnknown: the message is incomplete, or not as documented.
        """
        kind, content = message[:1], _Bytes(message[1:])
        if kind in (_BEGIN, _ORIGIN):
            self._replicated = kind == _ORIGIN
        if kind in IGNORED:
            return ()
        match kind:
            case b"R":
                changes = self._describe(content)
            case b"I":
                changes = self._insert(content)
            case b"U":
                changes = self._update(content)
            case b"D":
                changes = self._delete(content)
            case b"T":
                changes = self._truncate(content)
            case _:
                raise _unreadable(f"of an unknown kind {kind!r}")
        content.require_end()
        if self._replicated:
            self.received = self.received or bool(changes)
            return ()
        return changes

    def _describe(self, content: _Bytes) -> tuple[RowChange, ...]:
        number = content.integer(4)
        schema, name = content.text(), content.text()
        content.take(1)  # its replica identity: the columns' own marks tell the same
        marks: list[int] = []
        columns: list[str] = []
        for _ in range(content.integer(2)):
            marks.append(content.integer(1))
            columns.append(content.text())
            content.take(8)  # type and modifier
        before = self._relations.get(number)
        self._columns += len(columns) - (len(before.columns) if before else 0)
        if self._columns > MAX_COLUMNS:
            raise _unreadable(f"that describes more than {MAX_COLUMNS} columns with those before")
        keys = tuple(n for n, mark in enumerate(marks) if mark & 1)
        self._relations[number] = _Relation(
            f"{schema or 'pg_catalog'}.{name}", tuple(columns), keys or tuple(range(len(columns)))
        )
        return ()

    def _insert(self, content: _Bytes) -> tuple[RowChange, ...]:
        relation = self._relation(content)
        content.require(b"N")
        return (_change(relation, content.cells(relation)),)

    def _update(self, content: _Bytes) -> tuple[RowChange, ...]:
        relation, old = self._relation(content), None
        if (mark := content.take(1)) in (b"K", b"O"):
            old = content.cells(relation)
            mark = content.take(1)
        if mark != b"N":
            raise _unreadable(f"with {mark!r} instead of a new row")
        new = content.cells(relation)
        if old is None:
            return (_change(relation, new),)
        # A key too long to be sent twice stands in the old row only.
        complete = tuple(old[n] if cell is UNCHANGED else cell for n, cell in enumerate(new))
        before, after = RowChange(_row(relation, old), None), _change(relation, new, complete)
        return (after,) if after.row == before.row else (before, after)

    def _delete(self, content: _Bytes) -> tuple[RowChange, ...]:
        relation = self._relation(content)
        if content.take(1) not in (b"K", b"O"):
            raise _unreadable("without the row that it deletes")
        return (RowChange(_row(relation, content.cells(relation)), None),)

    def _truncate(self, content: _Bytes) -> tuple[RowChange, ...]:
        count = content.integer(4)
        content.take(1)  # CASCADE and the like
        return tuple(RowChange(Row(self._relation(content).table), None) for _ in range(count))

    def _relation(self, content: _Bytes) -> _Relation:
        number = content.integer(4)
        if number not in self._relations:
            raise _unreadable(f"about table {number}, which was never described")
        return self._relations[number]


class _Bytes:
    """The part of a message that was not read yet."""

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
        if end - self._at > MAX_NAME_BYTES:
            raise _unreadable(f"with a name of {end - self._at} bytes")
        encoded = self.take(end - self._at)
        self.take(1)
        return decoded(encoded)

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


def _change(
    relation: _Relation, cells: tuple[Cell, ...], complete: tuple[Cell, ...] | None = None
) -> RowChange:
    values = {
        name: cell
        for name, cell in zip(relation.columns, cells, strict=True)
        if not isinstance(cell, _Unchanged)
    }
    return RowChange(_row(relation, complete or cells), values)


def _row(relation: _Relation, cells: tuple[Cell, ...]) -> Row:
    key: list[tuple[str, str | None]] = []
    for number in relation.keys:
        cell = cells[number]
        if isinstance(cell, _Unchanged):
            raise _unreadable(f"that leaves out a key of {relation.table}")
        key.append((relation.columns[number], cell))
    return Row(relation.table, tuple(key))


def decoded(encoded: bytes) -> str:
    """Read a name or a value; bytes of another encoding still differ where they differ."""
    return encoded.decode("utf-8", errors="backslashreplace")


def _unreadable(what: str) -> OutcomeUnknown:
    return OutcomeUnknown(f"the replication stream holds a message {what}")
