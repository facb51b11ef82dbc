"""What load balancers have in common whose places are machines that keep a ledger."""

from pydantic import Field

from workflows.model.load_balancers.base import LoadBalancer
from workflows.model.machines import Machine, Name


class LoadBalancerMachines(LoadBalancer):
    """Machines that are reached over SSH; each is redirected through its own ledger."""

    hosts: tuple[Machine, ...] = Field(min_length=1)
    """A driver gives each of them keys of its own."""

    @property
    def places(self) -> tuple[Name, ...]:
        """The machines."""
        return tuple(host.name for host in self.hosts)
