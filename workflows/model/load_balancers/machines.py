"""What load balancers have in common whose places are machines that keep a ledger."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from pydantic import Field

from workflows.errors import BadInput
from workflows.model.checks import Scope
from workflows.model.load_balancers.base import LoadBalancer
from workflows.model.machines import Machine, Name

Host = TypeVar("Host", bound=Machine)


def host_named(hosts: Iterable[Host], name: str) -> Host:
    """Return the machine of that name; BadInput where there is none."""
    for host in hosts:
        if host.name == name:
            return host
    raise BadInput(f"the load balancer has no host {name}; check the plan's estate")


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
