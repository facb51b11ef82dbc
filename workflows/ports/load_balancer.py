"""Observe, redirect and verify client traffic."""

from abc import ABC, abstractmethod
from typing import Generic

from temporalio import activity

from workflows.model.actions import ObserveTraffic, Redirect, TryLogin, VerifyTraffic
from workflows.model.estate import Cluster, Probe
from workflows.model.load_balancers.registry import AnyLoadBalancer
from workflows.model.observations import LoginReading, TrafficReading
from workflows.model.results import Report
from workflows.ports.inputs import A, ActionInput, NodeInput


class TrafficInput(ActionInput[A], Generic[A]):
    """An action on the load balancer; *clusters* are where its traffic may go."""

    load_balancer: AnyLoadBalancer
    clusters: tuple[Cluster, ...]


class LoginInput(NodeInput[TryLogin]):
    """A login to a node itself, as the probe logs in through the load balancer."""

    probe: Probe


class LoadBalancerPort(ABC):
    """Observe, redirect and verify client traffic."""

    @activity.defn
    @abstractmethod
    async def observe_traffic(self, given: TrafficInput[ObserveTraffic]) -> TrafficReading:
        """Read everything; what cannot be read is reported in the reading, never raised."""

    @activity.defn
    @abstractmethod
    async def try_login(self, given: LoginInput) -> LoginReading:
        """Log in, list, log out; why that failed is in the reading, never raised."""

    @activity.defn
    @abstractmethod
    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        """Leave the place sending new connections to the cluster."""

    @activity.defn
    @abstractmethod
    async def verify_traffic(self, given: TrafficInput[VerifyTraffic]) -> Report:
        """Find the probe's login on a node of the cluster; NotReady where it is elsewhere."""
