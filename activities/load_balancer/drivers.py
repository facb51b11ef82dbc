"""Every load balancer driver of the product: the one place where drivers are registered."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from activities.load_balancer.commands_driver import CommandsDriver
from activities.load_balancer.dns.driver import DnsDriver
from activities.load_balancer.driver import LoadBalancerDriver
from activities.load_balancer.haproxy_driver import HaproxyDriver
from activities.load_balancer.hosts_file_driver import HostsFileDriver
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from workflows.model.load_balancers.base import LoadBalancer
from workflows.model.load_balancers.commands import CommandsLoadBalancer
from workflows.model.load_balancers.dns import DnsLoadBalancer
from workflows.model.load_balancers.haproxy import HaproxyLoadBalancer
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer

Maker = Callable[[Shell, Secrets, Any], LoadBalancerDriver]
Drivers = Mapping[type[LoadBalancer], Maker]
"""By the estate type that each driver serves."""


def over_ssh(driver: Callable[[Shell, Any], LoadBalancerDriver]) -> Maker:
    """Return how a driver is made that needs no secret but those of SSH."""
    return lambda shell, _, load_balancer: driver(shell, load_balancer)


DRIVERS: Drivers = MappingProxyType(
    {
        HostsFileLoadBalancer: over_ssh(HostsFileDriver),
        CommandsLoadBalancer: over_ssh(CommandsDriver),
        HaproxyLoadBalancer: over_ssh(HaproxyDriver),
        DnsLoadBalancer: DnsDriver,
    }
)
