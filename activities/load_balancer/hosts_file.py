"""Read and change the addresses that a hosts file gives to names; pure."""

from collections.abc import Iterator, Mapping

from workflows.errors import NotReady

BEGIN, END = "# BEGIN switchover", "# END switchover"


def addresses(text: str, names: Mapping[str, object]) -> dict[str, str]:
    """Return the address of each name that has one; as for libc, the first line counts."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        for name in _names_on(line):
            if name in names:
                found.setdefault(name, line.split()[0])
    return found


def pointed_at(text: str, desired: Mapping[str, str], place: str) -> str:
    """Return the text with these addresses between our markers, otherwise unchanged.

    Raises:
        NotReady: a name is outside the markers or beside other names, or the markers are no pair.
    """
    lines = text.splitlines()
    begin, end = _block(lines, place)
    for number, line in enumerate(lines, 1):
        names = set(_names_on(line))
        between_markers = begin < number - 1 < end
        if names & set(desired) and not (between_markers and names <= set(desired)):
            raise NotReady(
                f"{place}: line {number} of the hosts file may not be changed: "
                f"{line.strip()!r}; "
                f"put {', '.join(sorted(names & set(desired)))} on a line of its own "
                f"between {BEGIN!r} and {END!r}"
            )
    kept = [line for line in lines[begin + 1 : end] if not set(_names_on(line)) & set(desired)]
    pointed = entries(desired)
    return "\n".join([*lines[:begin], BEGIN, *kept, *pointed, END, *lines[end + 1 :]]) + "\n"


def entries(desired: Mapping[str, str]) -> tuple[str, ...]:
    """Return the lines that give these names their addresses."""
    return tuple(f"{address} {name}" for name, address in desired.items())


def _block(lines: list[str], place: str) -> tuple[int, int]:
    """Return the indices of the markers; where there are none, both are the end of the file."""
    marks = [(i, line.strip()) for i, line in enumerate(lines) if line.strip() in (BEGIN, END)]
    match marks:
        case []:
            return len(lines), len(lines)
        case [(begin, first), (end, last)] if (first, last) == (BEGIN, END):
            return begin, end
        case _:
            raise NotReady(
                f"{place}: the markers in the hosts file are no pair; "
                f"leave one {BEGIN!r} and, after it, one {END!r}"
            )


def _names_on(line: str) -> Iterator[str]:
    """Yield the names that a line gives an address, without its comment."""
    yield from line.partition("#")[0].split()[1:]
