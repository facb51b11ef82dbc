"""Every load balancer driver of the product: the one place where drivers are registered."""

from __future__ import annotations

from activities.load_balancer.driver import Drivers
from activities.load_balancer.hosts_file_driver import HostsFileDriver
from activities.transport.ssh import Shell
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer


def drivers(shell: Shell) -> Drivers:
    """Return the drivers, which reach machines through *shell*."""
    known = Drivers()
    known.register(HostsFileLoadBalancer, lambda described: HostsFileDriver(described, shell))
    return known
