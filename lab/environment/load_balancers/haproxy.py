"""A load balancer that is told its servers' addresses while it runs, on HAProxy's own socket.

The machine's socket is served here: whatever is asked there is passed on to HAProxy, and its answer
back, so that the lab sees what is told. A redirect is recorded once every server was told.
"""

import asyncio
import re
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab import records
from lab.environment.load_balancers.base import (
    FRONTENDS,
    SERVE_TIMEOUT,
    STATISTICS_PORT,
    LoadBalancer,
    client_facing_nodes,
    names,
)
from lab.layout import ClusterName
from lab.polling import holds_within

ANSWER_TIMEOUT = 2.0
TOLD = re.compile(r"set server (\S+) addr ")
PYTHON = "#!/bin/sh\nexec '{python}' \"$@\"\n"
ABSENT = "#!/bin/sh\nexit 127\n"
"""The machine has one program that speaks to a socket, which a fault can replace."""


class HaproxyLoadBalancer(LoadBalancer):
    """HAProxy with addresses in its configuration, and a runtime socket."""

    _relay: asyncio.Server | None = None
    _told: frozenset[str] = frozenset()
    """The servers that were told an address since the last redirect."""
    _led_to: str = "cluster1"

    @property
    def socket(self) -> Path:
        """The machine's runtime socket."""
        return self.root / "admin.sock"

    @property
    def servers(self) -> dict[str, dict[str, str]]:
        """For each server of a backend: where it is on each cluster."""
        return {
            f"{protocol}/{name}": {cluster: f"{address}:{port}" for cluster, address in own.items()}
            for protocol, port in FRONTENDS.items()
            for name, own in names(self.layout).items()
        }

    @property
    def redirect_words(self) -> str:
        """What HAProxy is told."""
        return "set server"

    @property
    def redirect_program(self) -> Path:
        """The machine's one program that speaks to a socket."""
        return self.root / "bin/python3"

    def described(self, machine: Mapping[str, Any]) -> dict[str, Any]:
        """The machine, its socket and configuration, and the addresses of each server."""
        own = {"socket": str(self.socket), "configuration": str(self.root / "etc/haproxy.cfg")}
        return {"driver": "haproxy", "hosts": [{**machine, **own}], "servers": self.servers}

    def files(self, active: ClusterName) -> Mapping[str, str]:
        """The site's configuration."""
        places = {name: own[active] for name, own in names(self.layout).items()}
        return {"etc/haproxy.cfg": self.site(places)}

    def programs(self) -> Mapping[str, str]:
        """What speaks to a socket, and what the machine lacks."""
        absent = {f"bin/{name}": ABSENT for name in ("perl", "socat", "nc")}
        return {**absent, "bin/python3": PYTHON.format(python=sys.executable)}

    def differences(self, active: ClusterName = "cluster1") -> list[str]:
        """Add where HAProxy itself sends traffic, if that is elsewhere."""
        found = super().differences(active)
        if (running := self.traffic()) != active:
            found.append(f"loadbalancer1: HAProxy sends traffic to {running or 'no one cluster'}")
        return found

    def traffic(self) -> str:
        """The cluster that HAProxy sends new connections to, or both of them; "" for none."""
        place = (self.layout.load_balancer, STATISTICS_PORT)
        try:
            with socket.create_connection(place, ANSWER_TIMEOUT) as control:
                control.sendall(b"show servers state\n")
                state = b"".join(iter(lambda: control.recv(65536), b"")).decode()
        except OSError:
            return ""
        return self._cluster(state)

    async def start(self) -> None:
        """Start HAProxy, then serve its socket."""
        await super().start()
        self._told, self._led_to = frozenset(), "cluster1"
        if self._relay is None:
            self.socket.unlink(missing_ok=True)
            self._relay = await asyncio.start_unix_server(self._pass_on, self.socket)

    async def stop(self) -> None:
        """Serve the socket no longer, then end HAProxy."""
        if self._relay is not None:
            self._relay.close()
            self._relay = None
            self.socket.unlink(missing_ok=True)
        await super().stop()

    async def follow(self) -> None:
        """Reload HAProxy."""
        assert self._process is not None
        wanted = self.written()
        self._process.send_signal(signal.SIGUSR2)

        def follows() -> bool:
            return self.traffic() == wanted and self.takes_reloads()

        if not await holds_within(SERVE_TIMEOUT, follows, 0.02):
            raise RuntimeError(f"after {SERVE_TIMEOUT} s HAProxy does not follow its configuration")
        self._told, self._led_to = frozenset(), wanted

    def written(self) -> str:
        """The cluster that the configuration leads to."""
        return super().traffic()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            line = await reader.readline()
            answer = await self._ask(line)
            for server in TOLD.findall(line.decode()):
                self._record(server)
            writer.write(answer)
            await writer.drain()
        writer.close()

    async def _ask(self, line: bytes) -> bytes:
        place = (self.layout.load_balancer, STATISTICS_PORT)
        reader, writer = await asyncio.open_connection(*place)
        writer.write(line)
        answer = await reader.read()
        writer.close()
        return answer

    def _record(self, server: str) -> None:
        """Record a redirect when every server was told, or one of them twice."""
        repeated, self._told = server in self._told, self._told | {server}
        if not repeated and self._told < self.servers.keys():
            return
        self._told = frozenset({server}) if repeated else frozenset()
        to = self.traffic()
        entry = {"place": "loadbalancer1", "service": "traffic", "effect": "redirect", "to": to}
        changed, self._led_to = to != self._led_to, to
        records.append(self.layout.effects, **entry, changed=changed, by="haproxy")

    def _cluster(self, state: str) -> str:
        cluster = {
            node.address: cluster.name
            for cluster in self.layout.clusters
            for node in client_facing_nodes(self.layout, cluster.name)
        }
        rows = [line.split() for line in state.splitlines()[2:] if line]
        found = {cluster.get(row[4], "") for row in rows if f"{row[1]}/{row[3]}" in self.servers}
        return " and ".join(sorted(found)) if all(found) else ""
