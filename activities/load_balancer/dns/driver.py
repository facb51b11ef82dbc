"""The ``dns`` driver: the zone is one place, and each machine that follows it another one."""

from activities.load_balancer.dns.hosts import Host
from activities.load_balancer.dns.zone import Zone
from activities.load_balancer.driver import LoadBalancerDriver, PlaceState
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from workflows.model.actions import ObserveTraffic, Redirect
from workflows.model.load_balancers.dns import DnsLoadBalancer
from workflows.model.results import Report
from workflows.ports.load_balancer import TrafficInput


class DnsDriver(LoadBalancerDriver):
    """Steers clients by the addresses of names in a zone.

    The zone is redirected first; then each machine is waited for until it sees what was changed.
    """

    def __init__(self, shell: Shell, secrets: Secrets, load_balancer: DnsLoadBalancer) -> None:
        self._load_balancer = load_balancer
        self._shell = shell
        self._zone = Zone(load_balancer, secrets)

    async def observe(self, given: TrafficInput[ObserveTraffic]) -> PlaceState:
        """Read the zone on all of its servers, or how a machine resolves the names."""
        if given.action.host == self._load_balancer.name:
            return await self._zone.observe()
        host = self._host(given.action.host)
        return await host.observe(given.clusters, given.timing.drain_timeout)

    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        """Change the zone, or wait until a machine follows it."""
        if given.action.host == self._load_balancer.name:
            return await self._zone.redirect(given)
        return await self._host(given.action.host).redirect(given, self._zone)

    def preview(self, action: Redirect) -> tuple[str, ...]:
        """Return the records that the zone gets, or what is waited for on a machine."""
        if action.host == self._load_balancer.name:
            return self._zone.preview(action)
        return self._host(action.host).preview()

    def _host(self, name: str) -> Host:
        return Host(self._load_balancer, self._load_balancer.host(name), self._shell)
