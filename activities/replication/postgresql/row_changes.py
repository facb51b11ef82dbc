"""What is known of a row that one side of a replication has written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from workflows.model.text import listed, printable

MAX_SHOWN_VALUE_LENGTH = 60

Values = Mapping[str, str | None]
"""By column, as the database writes them; None is its NULL."""


@dataclass(frozen=True)
class Row:
    """One row, by its key; without a key, every row of its table."""

    table: str
    key: tuple[tuple[str, str | None], ...] = ()

    @property
    def digest(self) -> bytes:
        """The same for the same row on both sides, and short however long its key is."""
        return blake2b(repr((self.table, self.key)).encode(), digest_size=16).digest()

    @property
    def all_rows(self) -> Row:
        """The row that stands for every row of the same table."""
        return Row(self.table)

    def __str__(self) -> str:
        if not self.key:
            return f"{printable(self.table)} (all rows)"
        key = listed(f"{printable(name)}={_shown(value)}" for name, value in self.key)
        return f"{printable(self.table)} ({key})"


@dataclass(frozen=True)
class RowChange:
    """A row, and the values it has after the change."""

    row: Row
    values: Values | None
    """None where it was removed; a value that did not change may be missing."""


def _shown(value: str | None) -> str:
    if value is None:
        return "NULL"
    letters = printable(value, "")
    shortened = len(letters) > MAX_SHOWN_VALUE_LENGTH
    return f"{letters[:MAX_SHOWN_VALUE_LENGTH]}..." if shortened else letters
