"""The vendor's own case: Edges are reached by name, resolved by a hosts file (section 2)."""

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from workflows.model.checks import Scope
from workflows.model.load_balancers.machines import LoadBalancerMachines, host_named
from workflows.model.machines import AbsolutePath, Command, HostName, IpAddress, Machine, Name


class LoadBalancerHost(Machine):
    """One load balancer machine whose hosts file resolves the Edges' names."""

    hosts_file: AbsolutePath = "/etc/hosts"
    write: Literal["replace", "in_place"] = "replace"
    """In one step by a new file of its name, or in place, for a container that has it mounted."""
    reload: Command
    """The site's command that makes the load balancer read the hosts file again."""
    configuration: AbsolutePath | None = None
    """HAProxy's configuration as the site wrote it; without it the checks of it are not made."""


class HostsFileLoadBalancer(LoadBalancerMachines):
    """Machines whose hosts file gives the Edges' names the addresses of one cluster."""

    driver: Literal["hosts_file"] = "hosts_file"
    hosts: tuple[LoadBalancerHost, ...] = Field(min_length=1)
    names: dict[HostName, dict[Name, IpAddress]] = Field(min_length=1)
    """For each name the load balancer uses: the address it has on each cluster."""

    def host(self, name: str) -> LoadBalancerHost:
        """Return the machine of that name; BadInput where there is none."""
        return host_named(self.hosts, name)

    def addresses(self, cluster: str) -> dict[str, str]:
        """Return the address that each name has on a cluster."""
        return {name: addresses[cluster] for name, addresses in self.names.items()}

    def check_scopes(self, place: str) -> Iterator[Scope]:
        """Add the checks of the reload, and of HAProxy's configuration where it is named."""
        yield from super().check_scopes(place)
        yield Scope.RELOADED_HOSTS
        if self.host(place).configuration is not None:
            yield Scope.CONFIGURED_HOSTS

    def mistakes(self, clusters: Iterable[str]) -> Iterator[str]:
        """Yield the names without exactly one address of its own for each cluster."""
        expected = sorted(clusters)
        for name, addresses in self.names.items():
            if sorted(addresses) != expected:
                yield f"names.{name} needs one address for each of {', '.join(expected)}"
            elif len(set(addresses.values())) < len(addresses):
                yield f"names.{name} has the same address on both clusters"
