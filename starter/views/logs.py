"""Records of both clusters as a table, as CSV or as JSON lines; written as they come."""

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Literal

from rich.console import Console
from rich.table import Column
from rich.text import Text

from starter.views.tables import table
from workflows.model.logs import LogRecord
from workflows.model.text import printable

Format = Literal["table", "csv", "json"]
Write = Callable[[LogRecord], None]

FIELDS = ("at", "side", "kind", "who", "what", "state")
TIME_WIDTH, KIND_WIDTH, STATE_WIDTH = 19, 8, 24
MAX_SIDE, MAX_WHO = 12, 16
"""Characters of a cluster's name, and of an account's, that a table shows."""
ROWS_AT_ONCE = 200
"""Of a table: all of them would be in memory."""


@contextmanager
def writing(form: Format, console: Console) -> Iterator[Write]:
    """Yield what writes one record to standard output."""
    match form:
        case "table":
            rows = _Table(console)
            yield rows.add
            rows.end()
        case "csv":
            writer = csv.writer(sys.stdout)
            writer.writerow(FIELDS)
            yield lambda record: writer.writerow(_fields(record))
        case "json":
            yield lambda record: print(record.model_dump_json())  # noqa: T201 - it is the output


def _fields(record: LogRecord) -> list[str]:
    shown = record.model_dump(mode="json")
    return [shown[name] for name in FIELDS]


class _Table:
    """Shows rows in portions below one head, so all columns have widths of their own."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: list[LogRecord] = []
        self._shown = False

    def add(self, record: LogRecord) -> None:
        """Show a record, soon."""
        self._rows.append(record)
        if len(self._rows) == ROWS_AT_ONCE:
            self._show()

    def end(self) -> None:
        """Show the last records."""
        if self._rows or not self._shown:
            self._show()

    def _show(self) -> None:
        widths = (TIME_WIDTH, MAX_SIDE, KIND_WIDTH, MAX_WHO, None, STATE_WIDTH)
        heads = ("time (UTC)", "side", "kind", "who", "what", "state")
        shown = table(
            *(
                Column(head, width=width, no_wrap=True, ratio=None if width else 1)
                for head, width in zip(heads, widths, strict=True)
            )
        )
        shown.show_header, shown.expand = not self._shown, True
        for record in self._rows:
            at = f"{record.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
            cells = (at, record.side, record.kind, record.who, record.what, record.state)
            shown.add_row(*(Text(printable(cell)) for cell in cells))
        self._console.print(shown)
        self._rows.clear()
        self._shown = True
