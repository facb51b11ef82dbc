"""The port that every load balancer driver implements."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from workflows.model.actions import ObserveTraffic, Redirect
from workflows.model.findings import Finding
from workflows.model.observations import Destination
from workflows.model.results import Report
from workflows.ports.load_balancer import TrafficInput


@dataclass(frozen=True)
class PlaceState:
    """What a driver reads of one place."""

    destinations: tuple[Destination, ...] = ()
    findings: tuple[Finding, ...] = ()
    """What could not be read, and what the driver's own checks found."""
    not_read: dict[str, str] = field(default_factory=dict)
    """By check of the driver: why it cannot be told whether it holds."""


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
