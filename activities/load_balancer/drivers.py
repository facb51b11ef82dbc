"""Every load balancer driver of the product: the one place where drivers are registered."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from activities.load_balancer.commands_driver import CommandsDriver
from activities.load_balancer.driver import LoadBalancerDriver
from activities.load_balancer.haproxy_driver import HaproxyDriver
from activities.load_balancer.hosts_file_driver import HostsFileDriver
from activities.transport.ssh import Shell
from workflows.model.load_balancers.base import LoadBalancer
from workflows.model.load_balancers.commands import CommandsLoadBalancer
from workflows.model.load_balancers.haproxy import HaproxyLoadBalancer
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer

Maker = Callable[[Shell, Any], LoadBalancerDriver]
Drivers = Mapping[type[LoadBalancer], Maker]
"""By the estate type that each driver serves."""

DRIVERS: Drivers = MappingProxyType(
    {
        HostsFileLoadBalancer: HostsFileDriver,
        CommandsLoadBalancer: CommandsDriver,
        HaproxyLoadBalancer: HaproxyDriver,
    }
)
