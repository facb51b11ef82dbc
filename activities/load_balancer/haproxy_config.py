"""What does a site's HAProxy configuration do to a redirect? Pure.

It reads as HAProxy does: sections, one statement on a line, quotes, backslashes, comments. Both
branches of a condition count, and what the environment would put in is not known here.
"""

from __future__ import annotations

import ipaddress
import re
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
LONGEST = (2**31 - 1) * UNITS["ms"]

Words = tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """What stands below one heading."""

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
class Configured:
    """What a configuration says that concerns a redirect."""

    unnamed: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    sticky: tuple[str, ...] = ()
    hard_stop_after: timedelta | None = None


def configured(text: str, names: Mapping[str, Mapping[str, str]]) -> Configured:
    """Read a whole configuration, given the addresses of the estate's names on each cluster.

    Raises:
        OutcomeUnknown: it is empty or cut off, or HAProxy itself would not take it.
    """
    sections = parse(text)
    servers = [server for section in sections for server in _servers(section)]
    addresses = {_spelt(address) for each in names.values() for address in each.values()}
    reached = {host for _, host in servers}
    return Configured(
        unnamed=tuple(line for line, host in servers if host in addresses),
        unused=tuple(name for name in names if _spelt(name) not in reached),
        sticky=tuple(_sticky(sections)),
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
        elif sections:
            sections[-1].statements.append(words)
        else:
            raise OutcomeUnknown(f"line {number} of the configuration belongs to no section")
    if not any(section.kind in PROXIES for section in sections):
        raise OutcomeUnknown("the configuration has no frontend, backend or listen section")
    return sections


_PIECE = re.compile(
    r"""(?P<space>[ \t\r]+) | (?P<comment>\#.*) | '(?P<strong>[^']*)' | (?P<quote>["'])
    | \\(?:x(?P<code>[0-9A-Fa-f]{2})|(?P<escaped>.)) | (?P<plain>[^ \t\r\#"'\\]+|\\)""",
    re.VERBOSE,
)
_WEAK = re.compile(
    r"""(?P<plain>[^"\\]+) | \\(?P<escaped>["\\$]) | (?P<kept>\\) | (?P<end>")""", re.VERBOSE
)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}


def split(line: str, number: int = 1) -> Words:
    """Divide a line into words, without its comment; OutcomeUnknown where a quote does not end."""
    words: list[str] = []
    word: str | None = None
    at = 0
    while piece := _PIECE.match(line, at):
        at = piece.end()
        if piece["comment"] is not None:
            break
        if piece["space"] is not None:
            words += [] if word is None else [word]
            word = None
            continue
        text, at = _weak(line, at, number) if piece["quote"] == '"' else (_meant(piece, number), at)
        word = (word or "") + text
    return tuple(words if word is None else [*words, word])


def _meant(piece: re.Match[str], number: int) -> str:
    if piece["quote"]:
        raise _unended(number)
    if piece["code"]:
        return chr(int(piece["code"], 16))
    if (escaped := piece["escaped"]) is not None:
        return _CONTROLS.get(escaped, escaped)
    return str(piece["plain"] if piece["strong"] is None else piece["strong"])


def _weak(line: str, at: int, number: int) -> tuple[str, int]:
    """Read on to the end of a weakly quoted part."""
    text = ""
    while piece := _WEAK.match(line, at):
        at = piece.end()
        if piece["end"]:
            return text, at
        text += piece["plain"] or piece["escaped"] or piece["kept"]
    raise _unended(number)


def _unended(number: int) -> OutcomeUnknown:
    return OutcomeUnknown(f"line {number} of the configuration has a quote without its end")


def _servers(section: Section) -> Iterator[tuple[str, str]]:
    """Yield each line that says where traffic goes, and the host that it names."""
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
    return _spelt(host.removeprefix("[").removesuffix("]"))


def _spelt(host: str) -> str:
    """Spell an address or a name in the one way in which it can be compared."""
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
        raise OutcomeUnknown(f"hard-stop-after {text!r} is no time")
    number, unit = parts.groups()
    microseconds = int(number) * UNITS[unit or "ms"]
    if microseconds > LONGEST:
        raise OutcomeUnknown(f"hard-stop-after {text!r} is longer than HAProxy allows")
    return timedelta(microseconds=microseconds)
