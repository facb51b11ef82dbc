"""Servers of HAProxy whose addresses are changed while it runs, through its runtime socket."""

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from workflows.model.load_balancers.machines import LoadBalancerMachines, host_named
from workflows.model.machines import AbsolutePath, Machine, Name

SOCKET = r"^/[A-Za-z0-9_./+=@-]{1,106}$"
"""A path that a socket can have, and that no program on the host reads as anything else."""
SERVER = r"^[A-Za-z0-9_.:-]{1,200}/[A-Za-z0-9_.:-]{1,200}$"
"""BACKEND/SERVER, in the characters that HAProxy allows in names."""
ENDPOINT = r"(\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+)):(?P<port>[0-9]{1,5})"
MAX_PORT = 2**16


def endpoint_of(address: str, port: int) -> str:
    """Return an address and a port as an estate has them."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def address_and_port(endpoint: str) -> tuple[str, int]:
    """Return the two parts of an endpoint, without brackets."""
    host, _, port = endpoint.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _endpoint(text: str) -> str:
    found = re.fullmatch(ENDPOINT, text)
    try:
        address = ip_address(found["v6"] or found["v4"]) if found else None
    except ValueError:
        address = None
    port = int(found["port"]) if found else 0
    if address is None or getattr(address, "ipv4_mapped", None) or not 0 < port < MAX_PORT:
        raise ValueError(
            "write an IP address and a port, such as 192.0.2.61:22 or [2001:db8::61]:22"
        )
    return endpoint_of(str(address), port)


SocketPath = Annotated[str, StringConstraints(pattern=SOCKET)]
ServerName = Annotated[str, StringConstraints(pattern=SERVER)]
"""A server of HAProxy: its backend, a slash, its own name."""
Endpoint = Annotated[str, AfterValidator(_endpoint)]
"""An IP address and a port."""


class HaproxyHost(Machine):
    """One load balancer machine whose HAProxy is told the servers' addresses."""

    socket: SocketPath = "/run/haproxy/admin.sock"
    """HAProxy's runtime socket, with the level admin."""
    configuration: AbsolutePath = "/etc/haproxy/haproxy.cfg"
    """HAProxy's configuration; a redirect changes the servers' addresses there, too."""
    write: Literal["replace", "in_place"] = "replace"
    """How the configuration is written: by a new file of its name, or in place."""
    state_file: AbsolutePath | None = None
    """The file from which HAProxy takes its servers' state at a reload; a redirect writes it."""


class HaproxyLoadBalancer(LoadBalancerMachines):
    """Machines whose HAProxy has one server for each node that clients reach."""

    driver: Literal["haproxy"] = "haproxy"
    hosts: tuple[HaproxyHost, ...] = Field(min_length=1)
    servers: dict[ServerName, dict[Name, Endpoint]] = Field(min_length=1)
    """For each server of HAProxy: the address and port that it has on each cluster."""

    def host(self, name: str) -> HaproxyHost:
        """Return the machine of that name; BadInput where there is none."""
        return host_named(self.hosts, name)

    def endpoints(self, cluster: str) -> dict[str, str]:
        """Return the address and port that each server has on a cluster."""
        return {server: endpoints[cluster] for server, endpoints in self.servers.items()}

    def mistakes(self, clusters: Iterable[str]) -> Iterator[str]:
        """Yield the servers without exactly one address of its own for each cluster."""
        expected = sorted(clusters)
        for server, endpoints in self.servers.items():
            if sorted(endpoints) != expected:
                yield f"servers.{server} needs one address for each of {', '.join(expected)}"
            elif len(set(endpoints.values())) < len(endpoints):
                yield f"servers.{server} has the same address on both clusters"
