"""Read a hosts file as the C library does, and find what a redirect changes in it; pure.

All of it is bytes: whatever else is in the file, in whatever encoding, stays as it is.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

MANAGERS = (b"manage_etc_hosts", b"cloud-init", b"puppet", b"ansible", b"chef", b"saltstack")
"""What programs that write hosts files say of themselves in comments."""


@dataclass(frozen=True)
class Edit:
    """An address that replaces these bytes of the file."""

    start: int
    length: int
    address: str


@dataclass(frozen=True)
class _Entry:
    """A line that gives names an address."""

    line: int
    address: str
    place: Edit
    """The address where it stands, as an edit that changes nothing."""
    names: frozenset[str]


def all_addresses(content: bytes) -> dict[str, tuple[str, ...]]:
    """Return the addresses of each name in the file, in lower case.

    All lines count, and upper case does not matter: that is how glibc's ``getaddrinfo`` reads it.
    """
    found = defaultdict[str, dict[str, None]](dict)
    for entry in _entries(content):
        for name in entry.names:
            found[name][entry.address] = None
    return {name: tuple(given) for name, given in found.items()}


def aliases(content: bytes, names: Collection[str]) -> dict[str, frozenset[str]]:
    """Return for each name the other names on its lines, which lead where it does.

    One that also stands on a line without any of these names leads elsewhere too.
    """
    ours = {name.lower() for name in names}
    entries = list(_entries(content))
    elsewhere = {name for one in entries if ours.isdisjoint(one.names) for name in one.names}
    return {
        name: frozenset(
            other for one in entries if name.lower() in one.names for other in one.names - elsewhere
        )
        for name in names
    }


def addresses(content: bytes, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the addresses of each of these names that has any."""
    found = all_addresses(content)
    return {name: found[name.lower()] for name in names if name.lower() in found}


def edits(
    content: bytes, names: Mapping[str, Mapping[str, str]], cluster: str
) -> tuple[tuple[Edit, ...], tuple[str, ...]]:
    """Return what points these names at a cluster, and why the file cannot be changed so.

    *names* gives for each name its address on each cluster. A line keeps its other names, which are
    names of the same machine, and its comment.
    """
    objections, found = list[str](), list[Edit]()
    present = addresses(content, names)
    for name in names:
        if name not in present:
            objections.append(f"no line gives {name} an address")
    for entry in _entries(content):
        ours = {name: own for name, own in names.items() if name.lower() in entry.names}
        listed, wanted = ", ".join(ours), {own[cluster] for own in ours.values()}
        if any(entry.address not in own.values() for own in ours.values()):
            objections.append(
                f"line {entry.line} gives {listed} the address {entry.address}, "
                "which it has on no cluster"
            )
        elif len(wanted) > 1:
            objections.append(
                f"line {entry.line} gives {listed} one address, and {cluster} has several for them"
            )
        elif wanted and entry.address not in wanted:
            [address] = wanted
            found.append(Edit(entry.place.start, entry.place.length, address))
    return tuple(found), tuple(objections)


def edited_length(content: bytes, changes: Collection[Edit]) -> int:
    """Return how many bytes the file has after these edits."""
    return len(content) + sum(len(one.address) - one.length for one in changes)


def manager(content: bytes) -> str | None:
    """Return the program that a comment names as the one that writes this file."""
    comments = b"\n".join(line.partition(b"#")[2] for line in content.split(b"\n")).lower()
    return next((name.decode() for name in MANAGERS if name in comments), None)


def _entries(content: bytes) -> Iterator[_Entry]:
    start = 0
    for number, line in enumerate(content.split(b"\n"), 1):
        # A line ends for the C library at a comment, and at a byte that is zero.
        words = line.partition(b"#")[0].partition(b"\0")[0].split()
        if len(words) > 1 and (address := _address(words[0])):
            place = Edit(start + line.index(words[0]), len(words[0]), address)
            names = frozenset(word.decode("ascii", "replace").lower() for word in words[1:])
            yield _Entry(number, address, place, names)
        start += len(line) + 1


def _address(word: bytes) -> str | None:
    try:
        return str(ip_address(word.decode("ascii")))
    except ValueError:  # the C library skips such a line
        return None
