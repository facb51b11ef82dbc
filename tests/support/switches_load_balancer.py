"""A second load balancer driver, as small as one can be: it runs one command for each cluster."""

# ruff: noqa: D102 - the methods are documented in the port

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from activities.load_balancer.driver import LoadBalancerDriver, PlaceState
from activities.runtime.partial_reading import reading_or_finding
from workflows.errors import Unreachable
from workflows.model.actions import ObserveTraffic, Redirect
from workflows.model.findings import Finding
from workflows.model.load_balancers.base import LoadBalancer
from workflows.model.load_balancers.registry import TYPES
from workflows.model.machines import Name
from workflows.model.observations import Destination
from workflows.model.results import Report, changed, unchanged
from workflows.ports.load_balancer import TrafficInput
from workflows.preflight import access


class SwitchesLoadBalancer(LoadBalancer):
    """Switches that a site's own command turns to a cluster."""

    driver: Literal["switches"] = "switches"
    switches: tuple[Name, ...] = Field(min_length=1)
    commands: dict[Name, tuple[str, ...]]
    """By cluster: what turns a switch to it, followed by the switch's name."""
    in_turn: bool = False
    """Whether a switch is turned only once the one before it was."""

    @property
    def places(self) -> tuple[Name, ...]:
        """Every switch is a place of its own."""
        return self.switches

    @property
    def steps(self) -> tuple[tuple[Name, ...], ...]:
        """All at once, or each on its own."""
        return tuple((one,) for one in self.switches) if self.in_turn else (self.switches,)

    def mistakes(self, clusters: Iterable[str]) -> Iterator[str]:
        """Yield the clusters that no command leads to."""
        for cluster in sorted(set(clusters) - set(self.commands)):
            yield f"commands has none for {cluster}"


TYPES.register(SwitchesLoadBalancer)


@dataclass
class Switchboard:
    """The switches themselves, in memory."""

    turned_to: dict[str, str | None]
    """By switch: where it leads; None where it does not say."""
    commands: list[str] = field(default_factory=list)
    """Everything that was run."""
    reports: dict[str, Report] = field(default_factory=dict)
    """By operation: its report, as a ledger keeps it."""
    silent: bool = False


class SwitchesDriver(LoadBalancerDriver):
    """Turns switches by commands."""

    def __init__(self, load_balancer: SwitchesLoadBalancer, board: Switchboard) -> None:
        self._load_balancer = load_balancer
        self._board = board

    async def observe(self, given: TrafficInput[ObserveTraffic]) -> PlaceState:
        place = given.action.host
        turned_to = await reading_or_finding(
            lambda: self._read(place), place, access.load_balancer_unreachable
        )
        if isinstance(turned_to, Finding):
            return PlaceState(findings=(turned_to,))
        cluster = turned_to if turned_to in self._load_balancer.commands else None
        return PlaceState((Destination(item=place, seen=turned_to, cluster=cluster),))

    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        action, now = given.action, datetime.now(UTC)
        if given.operation.id not in self._board.reports:
            held = await self._read(action.host) == action.to
            if not held:
                self._board.commands += self.preview(action)
                self._board.turned_to[action.host] = action.to
            report = unchanged if held else changed
            self._board.reports[given.operation.id] = report(action, f"leads to {action.to}", now)
        return self._board.reports[given.operation.id]

    def preview(self, action: Redirect) -> tuple[str, ...]:
        return (shlex.join((*self._load_balancer.commands[action.to], action.host)),)

    async def _read(self, place: str) -> str | None:
        if self._board.silent:
            raise Unreachable(f"{place}: the switch does not answer")
        return self._board.turned_to[place]
