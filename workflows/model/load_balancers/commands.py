"""A site's own command says where traffic goes, and redirects it (docs/drivers.md)."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from workflows.model.base import OneLine, between
from workflows.model.load_balancers.machines import LoadBalancerMachines, host_named
from workflows.model.machines import Command, Machine

MAX_ITEMS = 100
MAX_REDIRECT = timedelta(minutes=2)
"""An attempt at a redirect has time for one that takes this long (``activity_options``)."""
ItemName = Annotated[str, StringConstraints(min_length=1, max_length=100), OneLine]
"""What the site calls one thing that it steers, such as a pool or a virtual server."""


def _whole(span: timedelta) -> timedelta:
    if span.microseconds:
        raise ValueError("write whole seconds: a shell counts no others")
    return span


class CommandHost(Machine):
    """One machine, and the site's command on it."""

    command: Command
    """Followed by ``observe``, or by ``redirect`` and the name of a cluster."""
    items: tuple[ItemName, ...] = Field(min_length=1, max_length=MAX_ITEMS)
    """Everything that the command has to answer about: nothing less, and nothing else."""
    redirect_timeout: Annotated[
        timedelta, between(timedelta(seconds=1), MAX_REDIRECT), AfterValidator(_whole)
    ] = timedelta(seconds=60)
    """How long a redirect may take; then its command is ended."""


class CommandsLoadBalancer(LoadBalancerMachines):
    """Machines on which a site's own command redirects; whatever it is that it steers."""

    driver: Literal["commands"] = "commands"
    hosts: tuple[CommandHost, ...] = Field(min_length=1)

    def host(self, name: str) -> CommandHost:
        """Return the machine of that name; BadInput where there is none."""
        return host_named(self.hosts, name)

    def mistakes(self, clusters: Iterable[str]) -> Iterator[str]:
        """Yield the machines that name an item twice."""
        del clusters
        for host in self.hosts:
            twice = sorted({item for item in host.items if host.items.count(item) > 1})
            if twice:
                yield f"hosts.{host.name}.items names {', '.join(twice)} twice"
