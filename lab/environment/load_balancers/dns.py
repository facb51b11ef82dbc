"""A load balancer whose HAProxy asks a name server for the Edges' addresses, again and again.

The lab's own name server has their zone (``lab.name_server``). Whoever changes it moves new
connections; nothing is reloaded.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.environment.load_balancers.base import LoadBalancer, names
from lab.keys import tsig_secret
from lab.layout import DNS_PORT, ClusterName
from lab.name_server.zone import Zone
from lab.polling import holds_within, opens
from lab.subprocesses import REPOSITORY, end, spawn

NAME_SERVER = "dns"
"""The zone, as a place of the estate and in the lab's record."""
ZONE = "edges.lab.example.com"
KEY = "switchover"
TTL = 1
START_TIMEOUT = 10.0

RESOLVERS = """\
resolvers lab
    nameserver lab {address}:{port}
    resolve_retries 3
    timeout resolve 200ms
    timeout retry 200ms
    hold valid 200ms
"""
GETENT = """\
#!{python} -S
# Resolves a name as the system's resolver does, but at this machine's own name server.
import ipaddress, socket, struct, sys

def skipped(answer, at):
    while answer[at]:
        if answer[at] >= 0xC0:
            return at + 2
        at += answer[at] + 1
    return at + 1

def ask(name, kind):
    words = b"".join(bytes([len(word)]) + word.encode() for word in name.split("."))
    with socket.create_connection(("{address}", {port}), 5) as connection:
        asked = struct.pack("!6H", 1, 0x100, 1, 0, 0, 0) + words + struct.pack("!x2H", kind, 1)
        connection.sendall(struct.pack("!H", len(asked)) + asked)
        with connection.makefile("rb") as stream:
            answer = stream.read(struct.unpack("!H", stream.read(2))[0])
    at, found = skipped(answer, 12) + 4, struct.unpack("!H", answer[6:8])[0]
    for _ in range(found):
        at = skipped(answer, at)
        is_kind, _, _, length = struct.unpack("!2HIH", answer[at : at + 10])
        if is_kind == kind:
            yield str(ipaddress.ip_address(answer[at + 10 : at + 10 + length]))
        at += 10 + length

[_, database, name] = sys.argv
found = [*ask(name, 1), *ask(name, 28)]
for address in found:
    print(f"{{address:<15}} STREAM {{name}}")
sys.exit(0 if found else 2)
"""


class DnsLoadBalancer(LoadBalancer):
    """HAProxy with resolvers, and the name server that they ask."""

    _name_server: subprocess.Popen[bytes] | None = None

    @property
    def zone_file(self) -> Path:
        """The zone as it is now."""
        return self.root / "etc/zone.json"

    @property
    def redirect_place(self) -> str:
        """The zone: machines are only asked."""
        return NAME_SERVER

    @property
    def redirect_words(self) -> str:
        """What an update brings that redirects: an address on the target."""
        return next(iter(names(self.layout).values()))["cluster2"]

    @property
    def redirect_program(self) -> Path:
        """What resolves names on the machine."""
        return self.root / "bin/getent"

    def described(self, machine: Mapping[str, Any]) -> dict[str, Any]:
        """The zone with the addresses of each name, and the machine that follows it."""
        return {
            "driver": "dns",
            "name": NAME_SERVER,
            "zone": ZONE,
            "servers": [{"address": self.layout.load_balancer, "port": DNS_PORT}],
            "tsig": {"name": KEY, "secret": f"file:{self.layout.keys / 'tsig'}"},
            "names": self._names(),
            "hosts": [{**machine, "configuration": str(self.root / "etc/haproxy.cfg")}],
        }

    def files(self, active: ClusterName) -> Mapping[str, str]:
        """HAProxy's configuration, and the name server's with its zone."""
        settings = {
            "zone": str(self.zone_file),
            "address": self.layout.load_balancer,
            "port": DNS_PORT,
            "keys": {KEY: tsig_secret()},
            "effects": str(self.layout.effects),
            "place": NAME_SERVER,
            "clusters": self._names(),
        }
        return {
            "etc/haproxy.cfg": self._configuration(),
            "etc/name_server.json": json.dumps(settings),
            "etc/zone.json": self._zone(active).to_json(),
        }

    def programs(self) -> Mapping[str, str]:
        """The machine's resolver."""
        text = GETENT.format(
            python=sys.executable, address=self.layout.load_balancer, port=DNS_PORT
        )
        return {"bin/getent": text}

    async def follow(self) -> None:
        """Do nothing: HAProxy asks by itself."""

    def traffic(self) -> str:
        """The cluster that all names lead to; HAProxy follows within half a second."""
        zone = Zone.from_json(self.zone_file.read_text(encoding="utf-8"))
        found = {
            next((c for c, own in given.items() if own == zone.addresses(name)), "")
            for name, given in self._names().items()
        }
        return found.pop() if len(found) == 1 else ""

    def differences(self, active: ClusterName = "cluster1") -> list[str]:
        """Everything but the zone's serial and its record of operations."""
        found = [
            f"loadbalancer1: {name} was changed"
            for name, text in self.files(active).items()
            if name != "etc/zone.json" and (self.root / name).read_bytes() != text.encode()
        ]
        if self.traffic() != active:
            found.append(f"loadbalancer1: the zone does not lead to {active}")
        return found

    async def start(self) -> None:
        """Start the name server, too."""
        if self._name_server is None or self._name_server.poll() is not None:
            self.write(self.files("cluster1"))
            await self._serve_names()
        await super().start()

    async def stop(self) -> None:
        """End both."""
        await super().stop()
        if self._name_server is not None:
            await end(self._name_server)

    async def _serve_names(self) -> None:
        settings, log = self.root / "etc/name_server.json", self.root / "name_server.log"
        argv = [sys.executable, "-m", "lab.name_server.server", str(settings)]
        process = self._name_server = spawn(argv, log, cwd=REPOSITORY)

        async def listening() -> bool:
            ended = process.poll() is not None
            return ended or await opens(self.layout.load_balancer, DNS_PORT)

        if not await holds_within(START_TIMEOUT, listening, 0.02) or process.poll() is not None:
            raise RuntimeError(f"no names are served: {log.read_text(encoding='utf-8')}")

    def _names(self) -> dict[str, dict[str, list[str]]]:
        """For each name in the zone: its addresses on each cluster."""
        return {
            f"{name}.{ZONE}": {cluster: [address] for cluster, address in own.items()}
            for name, own in names(self.layout).items()
        }

    def _zone(self, active: ClusterName) -> Zone:
        lines = (f"{name}. {TTL} A {own[active][0]}" for name, own in self._names().items())
        soa = f"@ {TTL} SOA ns1 admin 1 3600 600 86400 {TTL}"
        here = f"ns1 {TTL} A {self.layout.load_balancer}"
        return Zone(ZONE, (soa, f"@ {TTL} NS ns1", here, *lines))

    def _configuration(self) -> str:
        """The site's configuration: servers that are resolved while HAProxy runs."""
        text = self.site({name: f"{name}.{ZONE}" for name in names(self.layout)})
        text = text.replace("default-server ", "default-server resolvers lab init-addr none ")
        return text + RESOLVERS.format(address=self.layout.load_balancer, port=DNS_PORT)
