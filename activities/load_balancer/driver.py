"""The port that every load balancer driver implements, and the choice of the driver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from workflows.errors import BadInput
from workflows.model.actions import ObserveTraffic, Redirect
from workflows.model.findings import Finding
from workflows.model.load_balancers.base import LoadBalancer
from workflows.model.observations import Destination
from workflows.model.results import Report
from workflows.ports.load_balancer import TrafficInput

L = TypeVar("L", bound=LoadBalancer)


@dataclass(frozen=True)
class PlaceState:
    """What a driver reads of one place."""

    destinations: tuple[Destination, ...] = ()
    findings: tuple[Finding, ...] = ()
    """What could not be read, and what the driver's own checks found."""


class LoadBalancerDriver(ABC):
    """Steers one load balancer, as the estate describes it."""

    @abstractmethod
    async def observe(self, given: TrafficInput[ObserveTraffic]) -> PlaceState:
        """Read where a place sends new connections; what cannot be read is a finding, no error."""

    @abstractmethod
    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        """Leave the place sending new connections to the action's cluster; once per operation."""

    @abstractmethod
    def preview(self, action: Redirect) -> tuple[str, ...]:
        """Return exactly what a redirect writes and runs; contacts no machine."""


class Drivers:
    """The drivers of this worker, by the estate type that each of them serves."""

    def __init__(self) -> None:
        self._makers: dict[type[LoadBalancer], Callable[[Any], LoadBalancerDriver]] = {}

    def register(self, kind: type[L], make: Callable[[L], LoadBalancerDriver]) -> None:
        """Serve load balancers of this type with the driver that *make* returns."""
        self._makers[kind] = make

    def of(self, load_balancer: LoadBalancer) -> LoadBalancerDriver:
        """Return the load balancer's driver; BadInput where this worker has none."""
        make = self._makers.get(type(load_balancer))
        if make is None:
            raise BadInput(f"this worker has no load balancer driver {load_balancer.driver}")
        return make(load_balancer)
