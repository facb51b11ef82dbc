"""What load balancers have in common whose places are machines that keep a ledger."""

from collections.abc import Iterator

from pydantic import Field

from workflows.model.checks import Scope
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

    def check_scopes(self, place: str) -> Iterator[Scope]:
        """Add the check of the ledger, through which each of them is redirected."""
        yield from super().check_scopes(place)
        yield Scope.LEDGER_HOSTS
