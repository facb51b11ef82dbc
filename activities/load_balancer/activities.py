"""The load balancer port: read where traffic goes, redirect it, and verify it by real logins."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio import activity

from activities.load_balancer.client_login import ClientLogins, LoginTarget
from activities.load_balancer.driver import LoadBalancerDriver
from activities.load_balancer.drivers import DRIVERS, Drivers
from activities.load_balancer.probe import LoginLocation, Probes, preview_logins
from activities.runtime.heartbeat import heartbeating
from activities.runtime.partial_reading import reading_or_finding
from activities.securetransport.admin_client import AdminClient
from activities.time_limits import LIMITS
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from workflows.errors import BadInput, ForwardingRefused, NotReady, OutcomeUnknown, SwitchoverError
from workflows.model.actions import ObserveTraffic, Redirect, VerifyTraffic
from workflows.model.estate import LoadBalancer, Node, Probe, Protocol
from workflows.model.findings import Finding
from workflows.model.observations import LoginReading, TrafficReading
from workflows.model.results import Report, seen
from workflows.ports.load_balancer import LoadBalancerPort, LoginInput, TrafficInput
from workflows.preflight import access

REDIRECT_TAKES_EFFECT_WITHIN = timedelta(seconds=15)
"""How long a login may still land elsewhere; what a driver needs besides, its estate type says."""
LOGIN_INTERVAL = timedelta(seconds=0.5)


class LoadBalancerActivities(LoadBalancerPort):
    """Load balancers, each by its driver; logins are the same for all of them."""

    def __init__(
        self, shell: Shell, admin: AdminClient, secrets: Secrets, drivers: Drivers = DRIVERS
    ) -> None:
        self._shell = shell
        self._secrets = secrets
        self._drivers = drivers
        self._probes = Probes(admin, secrets)
        self._logins = ClientLogins(secrets)

    def preview(self, given: TrafficInput[Any]) -> Iterator[str]:
        """Yield what an action writes and runs, or where it logs in and which request finds it."""
        match given.action:
            case Redirect():
                yield from self._driver(given.load_balancer).preview(given.action)
            case VerifyTraffic(protocol=protocol, to=cluster):
                probe, times = _probe(given.load_balancer, protocol), _logins_needed(given)
                yield from preview_logins(probe, cluster, times)

    @activity.defn
    async def observe_traffic(self, given: TrafficInput[ObserveTraffic]) -> TrafficReading:
        balancer = given.load_balancer
        async with heartbeating():
            state, locations = await asyncio.gather(
                self._driver(balancer).observe(given),
                asyncio.gather(*(self._location(given, probe) for probe in balancer.probes)),
            )
        unread = (location for location in locations if isinstance(location, Finding))
        return TrafficReading(
            place=given.action.host,
            destinations=state.destinations,
            lands_on={
                probe.protocol: location
                for probe, location in zip(balancer.probes, locations, strict=True)
                if isinstance(location, str)
            },
            findings=tuple(dict.fromkeys((*state.findings, *unread))),
            not_read=state.not_read,
        )

    @activity.defn
    async def try_login(self, given: LoginInput) -> LoginReading:
        node, protocol = given.node, given.action.protocol
        async with heartbeating():
            targets = await reading_or_finding(
                lambda: self._login_targets(node, given.probe),
                node.name,
                access.node_unreachable_ssh,
            )
            if isinstance(targets, Finding):
                return LoginReading(place=node.name, protocol=protocol, findings=(targets,))
            failure = await self._failure(targets)
        return LoginReading(place=node.name, protocol=protocol, failure=failure)

    @activity.defn
    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        async with heartbeating():
            return await self._driver(given.load_balancer).redirect(given)

    @activity.defn
    async def verify_traffic(self, given: TrafficInput[VerifyTraffic]) -> Report:
        action = given.action
        settled = REDIRECT_TAKES_EFFECT_WITHIN + given.load_balancer.settles_within
        deadline = datetime.now(UTC) + settled
        async with heartbeating():
            while True:
                arrived, elsewhere = await self._log_in_row(given)
                if elsewhere is None:
                    message = (
                        f"{len(arrived)} of {len(arrived)} new {action.protocol} sessions land on "
                        f"{action.to}: {', '.join(sorted(set(arrived)))}"
                    )
                    return seen(action, message, datetime.now(UTC))
                if datetime.now(UTC) >= deadline:
                    raise _refusal(action, elsewhere, arrived)
                await asyncio.sleep(LOGIN_INTERVAL.total_seconds())

    async def _log_in_row(
        self, given: TrafficInput[VerifyTraffic]
    ) -> tuple[list[str], LoginLocation | None]:
        """Log in once for each client-facing node of the cluster; stop where a login is elsewhere.

        A load balancer that sends a part of the clients elsewhere shows so in a row of logins.
        Returns the nodes that were reached, and the location that ended the row, if any.
        """
        probe = _probe(given.load_balancer, given.action.protocol)
        cluster_of = {node.name: c.name for c in given.clusters for node in c.nodes}
        arrived, earlier = list[str](), frozenset[tuple[str, str]]()
        for _ in range(_logins_needed(given)):
            location = await self._probes.locate(probe, given.clusters, earlier)
            if location.node is None or cluster_of[location.node] != given.action.to:
                return arrived, location
            arrived.append(location.node)
            earlier |= location.sessions
        return arrived, None

    def _driver(self, load_balancer: LoadBalancer) -> LoadBalancerDriver:
        make = self._drivers.get(type(load_balancer))
        if make is None:
            raise BadInput(f"this worker has no load balancer driver {load_balancer.driver}")
        return make(self._shell, self._secrets, load_balancer)

    async def _location(self, given: TrafficInput[ObserveTraffic], probe: Probe) -> str | Finding:
        async def node() -> str:
            location = await self._probes.locate(probe, given.clusters)
            if location.node is None:
                raise OutcomeUnknown(_not_found(probe.protocol, location))
            return location.node

        return await reading_or_finding(node, given.action.host, access.probe_unreachable)

    async def _login_targets(self, node: Node, probe: Probe) -> list[LoginTarget]:
        return [
            LoginTarget(probe, f"port {port}", await self._way_to(node, port))
            for port in _ports(node, probe)
        ]

    async def _way_to(self, node: Node, port: int) -> Path | tuple[str, int]:
        """Return a tunnel, as the worker may not reach what clients reach; or what replaces it."""
        try:
            return await self._shell.tunnel(node, port)
        except ForwardingRefused:
            if node.admin.via != "direct":
                raise
            return node.address, port

    async def _failure(self, targets: list[LoginTarget]) -> str | None:
        """Say why every login failed; None where one succeeded."""
        failures = []
        try:
            async with asyncio.timeout(limit := LIMITS.get().answer):
                for target in targets:
                    try:
                        await self._logins.list_root(target)
                    except SwitchoverError as failure:
                        failures.append(str(failure))
                    else:
                        return None
        except TimeoutError:
            failures.append(f"no answer within {limit:.0f} s")
        return "; ".join(failures)


def _probe(balancer: LoadBalancer, protocol: Protocol) -> Probe:
    for probe in balancer.probes:
        if probe.protocol is protocol:
            return probe
    raise BadInput(f"the load balancer has no probe for {protocol}; add one to the estate")


def _logins_needed(given: TrafficInput[VerifyTraffic]) -> int:
    """Return how many logins in a row have to arrive: one for each client-facing node."""
    [cluster] = [one for one in given.clusters if one.name == given.action.to]
    serving = [n for n in cluster.client_facing_nodes if given.action.protocol in n.protocols]
    return max(1, len(serving))


def _ports(node: Node, probe: Probe) -> tuple[int, ...]:
    """Return the port that clients use, or every port that it may be."""
    ports = node.protocols.get(probe.protocol, ())
    if not ports:
        raise BadInput(f"{node.name} has no port for {probe.protocol}; add one to the estate")
    if probe.port in ports:
        return (probe.port,)
    # Some ports of an HTTP server may be without TLS; which, the estate does not say.
    return ports if probe.protocol is Protocol.HTTP else ports[:1]


def _refusal(
    action: VerifyTraffic, location: LoginLocation, arrived: list[str]
) -> NotReady | OutcomeUnknown:
    if location.node is None:
        return OutcomeUnknown(_not_found(action.protocol, location))
    before = f", after {len(arrived)} that landed on {action.to}" if arrived else ""
    return NotReady(
        f"a new {action.protocol} session still lands on {location.node}{before}, expected a node "
        f"of {action.to}; check what the load balancer resolves and pins, then decide `retry`"
    )


def _not_found(protocol: Protocol, location: LoginLocation) -> str:
    unread = (
        f"; not every node could be read: {'; '.join(location.unread)}" if location.unread else ""
    )
    return f"a {protocol} login was accepted, and is in no node's session list{unread}"
