"""Find an estate's servers in HAProxy's configuration, and what a reload makes of them; pure.

What HAProxy does at a reload was found out with HAProxy itself (see the tests). A server that the
configuration gives an IP address has that address again, whatever a server state file says of it,
and takes only its port from there. A server that has a name takes both from the state file, where
that is loaded and ``init-addr`` begins with ``last``.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from posixpath import isabs, join, normpath

from activities.load_balancer.haproxy_config import (
    SECTIONS,
    Section,
    Server,
    Words,
    parse,
    servers,
    split,
)
from activities.load_balancer.haproxy_facts import DEFAULT_INIT_ADDR, FROM_STATE_FILE
from activities.load_balancer.hosts_file import Edit
from workflows.model.load_balancers.haproxy import address_and_port, endpoint_of
from workflows.model.machines import HOST_NAME

STATEMENT = re.compile(rb"\s*server\s+([^\s\"'\\#$]+)\s+([^\s\"'\\#$]+)(?=\s|$)")
"""A server's line up to its address, without quotes and variables."""


@dataclass(frozen=True)
class Statement:
    """The one plain line that configures a server."""

    server: Server
    place: Edit
    """Its address where it stands, as an edit that changes nothing."""

    @property
    def endpoint(self) -> str | None:
        """Its IP address and port, as an estate writes them; None where it has none of its own."""
        if self.server.port is None or not self.has_address:
            return None
        return endpoint_of(self.server.host, self.server.port)

    @property
    def has_address(self) -> bool:
        """Whether it has an IP address, with or without a port."""
        try:
            ip_address(self.server.host)
        except ValueError:
            return False
        return True

    @property
    def has_name(self) -> bool:
        """Whether it has a host name, which is resolved when HAProxy begins."""
        return not self.has_address and re.fullmatch(HOST_NAME, self.server.host) is not None


class Configuration:
    """HAProxy's configuration, with an estate's servers in it.

    Raises:
        OutcomeUnknown: it is empty or cut off, or cannot be read as HAProxy would read it.
    """

    def __init__(self, content: bytes, own: Mapping[str, Mapping[str, str]]) -> None:
        self._sections = parse(content.decode("utf-8", "replace"))
        self._own = own
        self._configured = [one for section in self._sections for one in servers(section)]
        self._places = list(_places(content))

    @cached_property
    def statements(self) -> dict[str, Statement]:
        """By server of the estate: the line that configures it, where there is a plain one."""
        found = dict[str, Statement]()
        for name in self._own:
            lines = [one for one in self._configured if not one.template and _name(one) == name]
            places = [place for other, place in self._places if other == name]
            if len(lines) == len(places) == 1:
                found[name] = Statement(lines[0], places[0])
        return found

    @property
    def objections(self) -> Iterator[str]:
        """Yield why a redirect cannot make the configuration say what HAProxy is told."""
        for name, own in self._own.items():
            statement = self.statements.get(name)
            if statement is None:
                if template := self._template(name):
                    yield f"{name} comes from {template.line}, which gives all of them one address"
                else:
                    yield f"{name} has not exactly one line `server`, in plain words"
            elif statement.has_name:
                continue
            elif statement.endpoint not in own.values():
                yield f"{statement.server.line} has an address that it has on no cluster"

    def edits(self, cluster: str) -> tuple[Edit, ...]:
        """Return what gives the servers with an address the one that they have on a cluster."""
        return tuple(
            Edit(one.place.start, one.place.length, self._own[name][cluster])
            for name, one in self.statements.items()
            if one.endpoint not in {None, self._own[name][cluster]}
        )

    def differing(self, running: Mapping[str, str]) -> Iterator[str]:
        """Yield each server that HAProxy has at another address than its configuration says."""
        for name, one in self.statements.items():
            if one.endpoint is not None and name in running and running[name] != one.endpoint:
                yield f"{name} is at {running[name]}, and the configuration says {one.endpoint}"

    def undone(self, state_file: str | None) -> Iterator[str]:
        """Yield each server that a reload would not leave where a redirect has put it.

        *state_file* is the file to which a redirect saves the servers' state.
        """
        for name, one in self.statements.items():
            loaded = self._loads_state_of(one.server.section)
            ours = state_file is not None and loaded == normpath(state_file)
            methods = (one.server.option("init-addr") or DEFAULT_INIT_ADDR).split(",")
            ports = {address_and_port(endpoint)[1] for endpoint in self._own[name].values()}
            if one.has_name and loaded is None:
                yield f"{name}: {one.server.address} is resolved anew"
            elif one.has_name and methods[0] != FROM_STATE_FILE:
                yield f"{name}: init-addr {','.join(methods)} comes before the server state file"
            elif one.has_name and not ours:
                yield f"{name} takes its address from {loaded}, which a redirect does not write"
            elif one.has_address and len(ports) > 1 and loaded is not None and not ours:
                yield f"{name} takes its port from {loaded}, which a redirect does not write"

    @property
    def resolved(self) -> Iterator[str]:
        """Yield each server whose address name servers decide while HAProxy runs."""
        for server in self._configured:
            if (resolvers := server.option("resolvers")) and self._is_own(server):
                yield f"{server.line} asks the name servers of resolvers {resolvers}"

    @property
    def tracking(self) -> Iterator[str]:
        """Yield each server that has the health of one that no redirect moves."""
        for name, one in self.statements.items():
            tracked = one.server.option("track")
            if tracked is None:
                continue
            if "/" not in tracked:
                tracked = f"{one.server.section.name}/{tracked}"
            if tracked not in self._own:
                yield f"{name} has the health of {tracked}"

    @property
    def cutting(self) -> Iterator[str]:
        """Yield each server whose sessions are closed when it is found down."""
        for name, one in self.statements.items():
            if one.server.option("on-marked-down") == "shutdown-sessions":
                yield f"{name} has on-marked-down shutdown-sessions"

    @property
    def backups(self) -> frozenset[str]:
        """Return the servers that get clients only where all others are down."""
        return frozenset(_name(one) for one in self._configured if "backup" in one.options)

    def _is_own(self, server: Server) -> bool:
        if server.template:
            return any(self._template(name) is server for name in self._own)
        return _name(server) in self._own

    def _template(self, name: str) -> Server | None:
        for one in self._configured:
            if one.template and re.fullmatch(re.escape(_name(one)) + "[0-9]+", name):
                return one
        return None

    def _loads_state_of(self, section: Section) -> str | None:
        """Return the file from which the servers' state is loaded; None where it is not."""
        statements = section.in_force("load-server-state-from-file")
        match statements[-1][:1] if statements else ():
            case ("global",):
                return self._global_state_file
            case ("local",):
                return f"a state file of {section} alone"
            case _:
                return None

    @property
    def _global_state_file(self) -> str | None:
        file, base = self._last("server-state-file"), self._last("server-state-base")
        if not file:
            return None
        return normpath(file if isabs(file) or not base else join(base, file))

    def _last(self, keyword: str) -> str:
        found: list[Words] = [
            words
            for section in self._sections
            if section.kind == "global"
            for words in section.of(keyword)
        ]
        return " ".join(found[-1]) if found else ""


def _name(server: Server) -> str:
    return f"{server.section.name}/{server.name}"


def _places(content: bytes) -> Iterator[tuple[str, Edit]]:
    """Yield each server with a plain line, and its address where that stands."""
    start, section = 0, ""
    for number, line in enumerate(content.split(b"\n"), 1):
        words = split(line.decode("utf-8", "replace"), number)
        if words and words[0] in SECTIONS:
            section = words[1] if len(words) > 1 and words[0] in {"backend", "listen"} else ""
        elif section and (found := STATEMENT.match(line)):
            name, address = (word.decode("utf-8", "replace") for word in found.groups())
            place = Edit(start + found.start(2), len(found[2]), address)
            yield f"{section}/{name}", place
        start += len(line) + 1
