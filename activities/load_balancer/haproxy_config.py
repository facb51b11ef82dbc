r"""Read what a site's HAProxy configuration does to a redirect; pure.

Quotes, backslashes and comments are those of a shell, as in HAProxy. HAProxy's own escapes for
characters (``\n``, ``\x41``) are not read: where one could change the answer, it is unknown.
Both branches of a condition count; values from HAProxy's environment are not known here.
"""

import ipaddress
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

from workflows.errors import OutcomeUnknown

SECTIONS = frozenset(
    {
        *("acme", "backend", "cache", "crt-store", "defaults", "fcgi-app", "frontend", "global"),
        *("http-errors", "listen", "log-forward", "log-profile", "mailers", "peers", "program"),
        *("resolvers", "ring", "traces", "userlist"),
    }
)
PROXIES = ("backend", "frontend", "listen")
STICK_RULES = ("on", "match", "store-request", "store-response")
UNITS = {"us": 1, "ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
MAX_MICROSECONDS = (2**31 - 1) * UNITS["ms"]
"""HAProxy takes no longer time."""

STATEMENTS = frozenset(
    {"hard-stop-after", "server", "server-template", "stick", "stick-table", "table"}
)
"""What is read of a section."""
CHARACTER_ESCAPE = re.compile(r"(?<!\\)(\\\\)*\\[nrtx]")

Words = tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """A heading and the statements below it that are read."""

    kind: str
    name: str
    statements: list[Words] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    def of(self, keyword: str) -> Iterator[Words]:
        """Yield the words after each statement of this kind."""
        for words in self.statements:
            if words[0] == keyword:
                yield words[1:]


@dataclass(frozen=True)
class RedirectFacts:
    """What a configuration says that concerns a redirect."""

    by_address: tuple[str, ...] = ()
    """Lines that reach an Edge by its address instead of by a name."""
    unused_names: tuple[str, ...] = ()
    """Names of the estate that no server is reached by."""
    sticky_tables: tuple[str, ...] = ()
    """How long each stick table pins a client: its section, and its expiry."""
    hard_stop_after: timedelta | None = None
    """When a reload cuts old connections; None where it never does."""


def read(text: str, names: Mapping[str, Mapping[str, str]]) -> RedirectFacts:
    """Read a whole configuration, given the addresses of the estate's names on each cluster.

    Raises:
        OutcomeUnknown: it is empty or cut off, or cannot be read as HAProxy would read it.
    """
    sections = parse(text)
    servers = [server for section in sections for server in _servers(section)]
    addresses = {_normalised(address) for each in names.values() for address in each.values()}
    reached = {host for _, host in servers}
    return RedirectFacts(
        by_address=tuple(line for line, host in servers if host in addresses),
        unused_names=tuple(name for name in names if _normalised(name) not in reached),
        sticky_tables=tuple(_sticky(sections)),
        hard_stop_after=_hard_stop(sections),
    )


def parse(text: str) -> list[Section]:
    """Divide a configuration into its sections; OutcomeUnknown where that cannot be done."""
    if text and not text.endswith("\n"):
        raise OutcomeUnknown("the configuration is cut off: its last line has no end")
    sections: list[Section] = []
    for number, line in enumerate(text.split("\n"), 1):
        words = split(line, number)
        if not words or words[0].startswith("."):  # a condition, or a message
            continue
        if words[0] in SECTIONS:
            name = words[1] if len(words) > 1 else ""
            sections.append(Section(words[0], name))
        elif not sections:
            raise OutcomeUnknown(f"line {number} of the configuration belongs to no section")
        elif words[0] in STATEMENTS:
            if CHARACTER_ESCAPE.search(line):
                raise OutcomeUnknown(f"line {number} of the configuration has an escape like \\x41")
            sections[-1].statements.append(words)
    if not any(section.kind in PROXIES for section in sections):
        raise OutcomeUnknown("the configuration has no frontend, backend or listen section")
    return sections


def split(line: str, number: int = 1) -> Words:
    """Divide a line into words, without its comment; OutcomeUnknown where a quote does not end."""
    try:
        return tuple(shlex.split(line, comments=True))
    except ValueError as unended:
        raise OutcomeUnknown(
            f"line {number} of the configuration has a quote or a backslash without its end"
        ) from unended


def _servers(section: Section) -> Iterator[tuple[str, str]]:
    """Yield each line that says where traffic goes, and the host in it."""
    if section.kind not in ("backend", "listen"):
        return  # the servers of peers and rings get no client's traffic
    for words in section.statements:
        address = {"server": 2, "server-template": 3}.get(words[0])
        if address is not None and len(words) > address:
            yield f"{section}: {' '.join(words[: address + 1])}", _host(words[address])


def _host(address: str) -> str:
    """Return the host of a server's address: without family and port."""
    host = re.sub(
        r"^((stream|dgram)\+)?(ipv[46]|tcp[46]?|udp[46]?|quic[46]|mptcp[46]?)@", "", address
    )
    if not host.startswith(("/", "unix@", "abns@", "fd@")):
        host = re.sub(r":[-+]?[0-9]*$", "", host)
    return _normalised(host.removeprefix("[").removesuffix("]"))


def _normalised(host: str) -> str:
    """Return an address or a name in the one form in which it can be compared."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower().removesuffix(".")


def _sticky(sections: list[Section]) -> Iterator[str]:
    """Yield every table that pins clients, with the expiry of its entries."""
    tables = dict(_tables(sections))
    pinned = dict.fromkeys(
        _after(words, "table") or section.name
        for section in sections
        for words in section.of("stick")
        if words[:1] and words[0] in STICK_RULES
    )
    for name in pinned:
        where, words = tables.get(name, (f"table {name}", ()))
        yield f"{where}: {_after(words, 'expire') or 'no expiry'}"


def _tables(sections: list[Section]) -> Iterator[tuple[str, tuple[str, Words]]]:
    for section in sections:
        for words in section.of("stick-table"):
            yield section.name, (str(section), words)
        for words in section.of("table"):  # of a section of peers
            name = f"{section.name}/{' '.join(words[:1])}"
            yield name, (f"{section}, table {' '.join(words[:1])}", words)


def _after(words: Words, keyword: str) -> str | None:
    return dict(pairwise(words)).get(keyword)


def _hard_stop(sections: list[Section]) -> timedelta | None:
    found = [
        words
        for section in sections
        if section.kind == "global"
        for words in section.of("hard-stop-after")
    ]
    return span(" ".join(found[-1])) if found else None


def span(text: str) -> timedelta:
    """Read a time as HAProxy does: a number, in milliseconds unless it has a unit."""
    parts = re.fullmatch(r"([0-9]{1,18})(us|ms|s|m|h|d)?", text)
    if parts is None:
        raise OutcomeUnknown(f"hard-stop-after {text!r} is not a time")
    number, unit = parts.groups()
    microseconds = int(number) * UNITS[unit or "ms"]
    if microseconds > MAX_MICROSECONDS:
        raise OutcomeUnknown(f"hard-stop-after {text!r} is longer than HAProxy allows")
    return timedelta(microseconds=microseconds)
