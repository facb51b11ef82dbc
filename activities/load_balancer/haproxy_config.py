r"""Read a site's HAProxy configuration: its sections, and the servers in them; pure.

Quotes, backslashes and comments are those of a shell, as in HAProxy. HAProxy's own escapes for
characters (``\n``, ``\x41``) are not read: where one could change the answer, it is unknown.
Both branches of a condition count; values from HAProxy's environment are not known here.
"""

import ipaddress
import re
import shlex
from collections.abc import Iterator
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
UNITS = {"us": 1, "ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
MAX_MICROSECONDS = (2**31 - 1) * UNITS["ms"]
"""HAProxy takes no longer time."""

STATEMENTS = frozenset(
    {
        *("default-server", "hard-stop-after", "load-server-state-from-file"),
        *("hold", "mworker-max-reloads", "nameserver", "parse-resolv-conf", "server"),
        *("server-state-base", "server-state-file", "server-template"),
        *("stick", "stick-table", "table"),
    }
)
"""What is read of a section."""
FAMILY = r"^((stream|dgram)\+)?(ipv[46]|tcp[46]?|udp[46]?|quic[46]|mptcp[46]?)@"
CHARACTER_ESCAPE = re.compile(r"(?<!\\)(\\\\)*\\[nrtx]")

Words = tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """A heading and the statements below it that are read."""

    kind: str
    name: str
    defaults: "Section | None" = None
    """The section whose statements hold here too, where there are no others."""
    statements: list[Words] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    def of(self, keyword: str) -> Iterator[Words]:
        """Yield the words after each statement of this kind."""
        for words in self.statements:
            if words[0] == keyword:
                yield words[1:]

    def in_force(self, keyword: str) -> tuple[Words, ...]:
        """Return the words after each statement of this kind, or after those of the defaults."""
        own = tuple(self.of(keyword))
        return own if own or self.defaults is None else self.defaults.in_force(keyword)


@dataclass(frozen=True)
class Server:
    """A line that says where a client's traffic goes."""

    section: Section
    name: str
    """Its own, or how the names begin that a template gives."""
    address: str
    line: str
    """Its first words, and its section, as messages name it."""
    options: Words
    """Of every ``default-server`` that applies, then its own."""
    template: bool = False
    """Whether it stands for several servers."""

    @property
    def host(self) -> str:
        """Its address without family and port."""
        return self._parts[0]

    @property
    def port(self) -> int | None:
        """Its port; None where it is the client's."""
        port = self._parts[1]
        return int(port) if port.isdecimal() else None

    def option(self, keyword: str) -> str | None:
        """Return the word after an option, where it is set last."""
        return after(self.options, keyword)

    @property
    def _parts(self) -> tuple[str, str]:
        address = re.sub(FAMILY, "", self.address)
        port = re.search(r":([-+]?[0-9]{0,5})$", address)
        if port is None or address.startswith(("/", "unix@", "abns@", "fd@")):
            return normalised(address.removeprefix("[").removesuffix("]")), ""
        host = address[: port.start()]
        return normalised(host.removeprefix("[").removesuffix("]")), port[1]


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
            sections.append(Section(words[0], name, _defaults(words, sections)))
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


def servers(section: Section) -> Iterator[Server]:
    """Yield each line of a section that says where traffic goes."""
    if section.kind not in ("backend", "listen"):
        return  # the servers of peers and rings get no client's traffic
    options = _default_options(section.defaults)
    for words in section.statements:
        address = {"server": 2, "server-template": 3}.get(words[0])
        if words[0] == "default-server":
            options += words[1:]
        elif address is not None and len(words) > address:
            line = f"{section}: {' '.join(words[: address + 1])}"
            own = (*options, *words[address + 1 :])
            yield Server(section, words[1], words[address], line, own, words[0] != "server")


def normalised(host: str) -> str:
    """Return an address or a name in the one form in which it can be compared."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower().removesuffix(".")


def after(words: Words, keyword: str) -> str | None:
    """Return the word that follows a keyword, where it stands last."""
    return dict(pairwise(words)).get(keyword)


def span(text: str) -> timedelta:
    """Read a time as HAProxy does: a number, in milliseconds unless it has a unit."""
    parts = re.fullmatch(r"([0-9]{1,18})(us|ms|s|m|h|d)?", text)
    if parts is None:
        raise OutcomeUnknown(f"{text!r} is not a time in HAProxy's configuration")
    number, unit = parts.groups()
    microseconds = int(number) * UNITS[unit or "ms"]
    if microseconds > MAX_MICROSECONDS:
        raise OutcomeUnknown(f"the time {text!r} is longer than HAProxy allows")
    return timedelta(microseconds=microseconds)


def _defaults(heading: Words, sections: list[Section]) -> Section | None:
    """Return the defaults of a new section: those that it names, or the last ones before it."""
    known = [section for section in sections if section.kind == "defaults"]
    if name := after(heading[2:], "from"):
        known = [section for section in known if section.name == name]
    elif heading[0] == "defaults":
        return None
    return known[-1] if known else None


def _default_options(defaults: Section | None) -> Words:
    if defaults is None:
        return ()
    own = (word for words in defaults.of("default-server") for word in words)
    return (*_default_options(defaults.defaults), *own)
