"""Write lines into a document, between two markers."""

from collections.abc import Iterable, Iterator
from pathlib import Path


def between(document: str, name: str, lines: Iterable[str]) -> str:
    """Return the document with these lines between the markers of that name."""
    begin, end = markers(name)
    before, _, rest = document.partition(begin)
    _, _, after = rest.partition(end)
    if not rest or not after:
        raise ValueError(f"the document has no {begin} ... {end}")
    return before + "\n".join([begin, "", *lines, "", end]) + after


def markers(name: str) -> tuple[str, str]:
    """Return what stands before and after."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def update(file: Path, name: str, lines: Iterable[str]) -> None:
    """Write these lines between the markers of that name."""
    text = between(file.read_text(encoding="utf-8"), name, lines)
    file.write_text(text, encoding="utf-8")


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    heads = list(heads)
    yield _row(heads)
    yield "|" + "---|" * len(heads)
    yield from map(_row, rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
