"""Read in HAProxy's configuration how it learns that a name has other addresses; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from activities.load_balancer.haproxy_config import (
    Section,
    Server,
    Words,
    normalised,
    parse,
    servers,
    span,
)
from activities.load_balancer.haproxy_facts import kept

HOLD_VALID = timedelta(seconds=10)
"""How long HAProxy keeps an answer where its configuration does not say."""
DNS_PORT = 53


@dataclass(frozen=True)
class NameServer:
    """A name server that HAProxy asks itself."""

    address: str
    port: int

    def __str__(self) -> str:
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{shown}:{self.port}"


@dataclass(frozen=True)
class ResolverFacts:
    """How HAProxy follows the names."""

    name_servers: tuple[NameServer, ...] = ()
    """Those that it asks for any of the names."""
    kept: tuple[str, ...] = ()
    """Lines whose address a change of the zone does not reach, and why."""
    hold: timedelta = timedelta()
    """How long it may keep an address that the zone no longer has."""
    hold_line: str = ""
    """Where that is said."""


def read(text: str, names: frozenset[str], *, reloads: bool) -> ResolverFacts:
    """Read a whole configuration; *reloads* says whether a redirect runs a reload command.

    Raises:
        OutcomeUnknown: it is empty or cut off, or cannot be read as HAProxy would read it.
    """
    sections = parse(text)
    ours = [
        server
        for section in sections
        for server in servers(section)
        if server.host in set(map(normalised, names))
    ]
    asked = {name: None for one in ours if (name := one.option("resolvers")) is not None}
    used = [one for one in sections if one.kind == "resolvers" and one.name in asked]
    at_start = [one for one in ours if one.option("resolvers") is None]
    hold, line = max(
        (_hold(section) for section in used), default=(timedelta(), ""), key=lambda one: one[0]
    )
    return ResolverFacts(
        name_servers=tuple(dict.fromkeys(one for section in used for one in _asked(section))),
        kept=tuple(kept(sections, at_start) if reloads else map(_never, at_start)),
        hold=hold,
        hold_line=line,
    )


def _never(server: Server) -> str:
    return f"{server.line} has no resolvers, and the estate names no reload command"


def _asked(section: Section) -> Iterator[NameServer]:
    """Yield the name servers of a section; those of ``parse-resolv-conf`` are the machine's."""
    for words in section.of("nameserver"):
        if len(words) > 1:
            given = Server(section, words[0], words[1], "", ())
            yield NameServer(given.host, given.port or DNS_PORT)


def _hold(section: Section) -> tuple[timedelta, str]:
    """Return the longer one of how long a valid answer, and an address that is gone, are kept."""
    times = {"valid": (HOLD_VALID, f"{section} has the default of hold valid")}
    times |= {words[0]: _time(section, words) for words in section.of("hold") if len(words) > 1}
    relevant = [times[kind] for kind in ("valid", "obsolete") if kind in times]
    return max(relevant, key=lambda one: one[0])


def _time(section: Section, words: Words) -> tuple[timedelta, str]:
    return span(words[1]), f"{section} has hold {' '.join(words[:2])}"
