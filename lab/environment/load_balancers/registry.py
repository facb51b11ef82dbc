"""The lab's load balancers, by the driver that the product steers them with."""

from collections.abc import Mapping
from types import MappingProxyType

from lab.environment.load_balancers.base import LoadBalancer
from lab.environment.load_balancers.commands import CommandsLoadBalancer
from lab.environment.load_balancers.dns import DnsLoadBalancer
from lab.environment.load_balancers.haproxy import HaproxyLoadBalancer
from lab.environment.load_balancers.hosts_file import HostsFileLoadBalancer
from lab.layout import Layout, LoadBalancerDriver

KINDS: Mapping[LoadBalancerDriver, type[LoadBalancer]] = MappingProxyType(
    {
        "hosts_file": HostsFileLoadBalancer,
        "commands": CommandsLoadBalancer,
        "dns": DnsLoadBalancer,
        "haproxy": HaproxyLoadBalancer,
    }
)


def load_balancer(layout: Layout) -> LoadBalancer:
    """Return the load balancer that a lab has."""
    return KINDS[layout.drivers.load_balancer](layout)
