"""Find what a site's HAProxy configuration does to a redirect; pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from activities.load_balancer.haproxy_config import (
    Section,
    Server,
    Words,
    after,
    normalised,
    parse,
    servers,
    span,
)
from workflows.errors import OutcomeUnknown

STICK_RULES = ("on", "match", "store-request", "store-response")
DEFAULT_INIT_ADDR = "last,libc"
FROM_HOSTS_FILE = "libc"
FROM_STATE_FILE = "last"


@dataclass(frozen=True)
class KnownNames:
    """What the estate and the hosts file say of the names in a configuration."""

    own: Mapping[str, Mapping[str, str]]
    """By name of the estate: its address on each cluster."""
    aliases: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By name of the estate: other names on its lines of the hosts file, which lead there too."""
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By name in the hosts file: its addresses."""
    nodes: frozenset[str] = frozenset()
    """The addresses of all nodes."""
    ports: frozenset[int] = frozenset()
    """The ports on which nodes serve clients."""

    def spellings(self, name: str) -> frozenset[str]:
        """Return every name that leads where this one does."""
        return frozenset(map(normalised, (name, *self.aliases.get(name, ()))))

    @property
    def all_spellings(self) -> frozenset[str]:
        """Return every name that a redirect moves."""
        return frozenset().union(*map(self.spellings, self.own))

    @property
    def own_addresses(self) -> frozenset[str]:
        """Return the addresses that the estate's names have."""
        given = (address for each in self.own.values() for address in each.values())
        return frozenset(map(normalised, given))

    def leads_to_node(self, server: Server) -> bool:
        """Return whether clients of this server reach a node of the estate."""
        if server.port is not None and self.ports and server.port not in self.ports:
            return False
        found = {server.host, *self.hosts.get(server.host, ())}
        return not found.isdisjoint(self.own_addresses | set(map(normalised, self.nodes)))


@dataclass(frozen=True)
class RedirectFacts:
    """What a configuration says that concerns a redirect."""

    by_address: tuple[str, ...] = ()
    """Lines that reach an Edge by its address instead of by a name."""
    unused_names: tuple[str, ...] = ()
    """Names of the estate that no server is reached by."""
    unlisted: tuple[str, ...] = ()
    """Lines that reach another server beside one of ours, or a node by a name that is not ours."""
    kept_addresses: tuple[str, ...] = ()
    """Lines for which a reload does not ask the hosts file, and what it asks instead."""
    sticky_tables: tuple[str, ...] = ()
    """How long each stick table pins a client: its section, and its expiry."""
    hard_stop_after: timedelta | None = None
    """When a reload cuts old connections; None where it never does."""
    max_reloads: int | None = None
    """How many reloads an old worker outlives, with its connections; None without a limit."""


def read(text: str, names: KnownNames) -> RedirectFacts:
    """Read a whole configuration.

    Raises:
        OutcomeUnknown: it is empty or cut off, or cannot be read as HAProxy would read it.
    """
    sections = parse(text)
    found = [server for section in sections for server in servers(section)]
    reached = {server.host for server in found}
    moved = names.all_spellings
    return RedirectFacts(
        by_address=tuple(one.line for one in found if one.host in names.own_addresses),
        unused_names=tuple(name for name in names.own if reached.isdisjoint(names.spellings(name))),
        unlisted=tuple(dict.fromkeys(one.line for one in _unlisted(found, names, moved))),
        kept_addresses=tuple(kept(sections, (one for one in found if one.host in moved))),
        sticky_tables=tuple(_sticky(sections)),
        hard_stop_after=_hard_stop(sections),
        max_reloads=_max_reloads(sections),
    )


def _unlisted(
    found: Iterable[Server], names: KnownNames, moved: frozenset[str]
) -> Iterator[Server]:
    """Yield the servers that a redirect leaves where they are, and that share our clients."""
    found = list(found)
    ours = moved | names.own_addresses
    with_ours = {id(one.section) for one in found if one.host in ours}
    for one in found:
        # A backup server gets clients only where all others are down.
        shares = id(one.section) in with_ours and "backup" not in one.options
        if one.host not in ours and (shares or names.leads_to_node(one)):
            yield one


def kept(sections: list[Section], found: Iterable[Server]) -> Iterator[str]:
    """Yield the servers that a reload does not give the address that libc has, and why."""
    state_file = any(True for words in _global(sections, "server-state-file") if words)
    for server in found:
        if resolvers := server.option("resolvers"):
            yield f"{server.line} asks the name servers of resolvers {resolvers}"
            continue
        methods = (server.option("init-addr") or DEFAULT_INIT_ADDR).split(",")
        if not _loads_state(server.section, state_file=state_file):
            methods = [method for method in methods if method != FROM_STATE_FILE]
        if methods[:1] == [FROM_STATE_FILE]:
            yield f"{server.line} keeps the address in the server state file"
        elif methods[:1] != [FROM_HOSTS_FILE]:
            yield f"{server.line} has init-addr {server.option('init-addr')}"


def _loads_state(section: Section, *, state_file: bool) -> bool:
    statements = section.in_force("load-server-state-from-file")
    return any(
        words[:1] == ("local",) or (words[:1] == ("global",) and state_file) for words in statements
    )


def _sticky(sections: list[Section]) -> Iterator[str]:
    """Yield every table that pins clients, with the expiry of its entries."""
    tables = dict(_tables(sections))
    pinned = dict.fromkeys(
        after(words, "table") or section.name
        for section in sections
        for words in section.of("stick")
        if words[:1] and words[0] in STICK_RULES
    )
    for name in pinned:
        where, words = tables.get(name, (f"table {name}", ()))
        yield f"{where}: {after(words, 'expire') or 'no expiry'}"


def _tables(sections: list[Section]) -> Iterator[tuple[str, tuple[str, Words]]]:
    for section in sections:
        for words in section.of("stick-table"):
            yield section.name, (str(section), words)
        for words in section.of("table"):  # of a section of peers
            name = f"{section.name}/{' '.join(words[:1])}"
            yield name, (f"{section}, table {' '.join(words[:1])}", words)


def _hard_stop(sections: list[Section]) -> timedelta | None:
    found = _global(sections, "hard-stop-after")
    return span(" ".join(found[-1])) if found else None


def _max_reloads(sections: list[Section]) -> int | None:
    found = _global(sections, "mworker-max-reloads")
    if not found:
        return None
    number = " ".join(found[-1])
    if not (number.isascii() and number.isdecimal() and len(number) < len("1000000000")):
        raise OutcomeUnknown(f"mworker-max-reloads {number!r} is not a number")
    return int(number)


def _global(sections: list[Section], keyword: str) -> list[Words]:
    """Return the words after each statement of this kind in a global section."""
    return [words for one in sections if one.kind == "global" for words in one.of(keyword)]
