"""Where does traffic go, how is it redirected, and how is that proven?"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.load_balancer.client_login import Door, Logins
from activities.load_balancer.driver import Balancer, Rights, drivers
from activities.load_balancer.haproxy_config import Configured
from activities.load_balancer.probe import LoginLocation, Probes
from activities.runtime.heartbeat import pulse
from activities.runtime.partial_reading import GIVE_UP_AFTER, tolerant
from activities.securetransport.admin_client import Admin
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from workflows.errors import BadInput, NotReady, OutcomeUnknown, SwitchoverError
from workflows.model.actions import ObserveTraffic, Redirect, VerifyTraffic
from workflows.model.estate import LoadBalancer, Node, Probe, Protocol
from workflows.model.findings import Finding
from workflows.model.observations import BalancerFacts, LoginReading, TrafficReading
from workflows.model.results import Report, seen
from workflows.ports.load_balancer import LoadBalancerPort, LoginInput, TrafficInput

PROVEN_WITHIN = timedelta(seconds=15)
"""How long a login may still land elsewhere: a reload takes its time, and DNS more of it."""
AGAIN_AFTER = timedelta(seconds=0.5)


class LoadBalancers(LoadBalancerPort):
    """Load balancers, each by its driver."""

    def __init__(self, shell: Shell, admin: Admin, secrets: Secrets) -> None:
        self._shell = shell
        self._drivers = drivers(shell)
        self._probes = Probes(admin, secrets)
        self._logins = Logins(secrets)

    @activity.defn
    async def observe_traffic(self, given: TrafficInput[ObserveTraffic]) -> TrafficReading:
        """Read everything; what cannot be read is in the reading's trouble, never an error."""
        balancer, host = given.load_balancer, given.action.host
        driver, silence = self._driver(balancer), "load_balancer_unreachable"
        async with pulse():
            (resolved, rights, configured), landed = await asyncio.gather(
                asyncio.gather(
                    tolerant(lambda: driver.addresses(balancer, host), host, silence),
                    tolerant(lambda: driver.rights(balancer, host), host, silence),
                    tolerant(lambda: driver.configured(balancer, host), host, silence),
                ),
                asyncio.gather(*(self._observe_landing(given, probe) for probe in balancer.probes)),
            )
        results = (resolved, rights, configured, *landed)
        findings = dict.fromkeys(result for result in results if isinstance(result, Finding))
        return TrafficReading(
            place=host,
            resolves_to=resolved if isinstance(resolved, dict) else {},
            lands_on={
                probe.protocol: result
                for probe, result in zip(balancer.probes, landed, strict=True)
                if isinstance(result, str)
            },
            balancer=_facts(rights, configured),
            findings=tuple(findings),
        )

    @activity.defn
    async def try_login(self, given: LoginInput) -> LoginReading:
        """Log in, list, leave; why that failed is in the reading, never an error."""
        node, protocol = given.node, given.action.protocol
        async with pulse():
            doors = await tolerant(
                lambda: self._doors(node, given.probe), node.name, "node_unreachable_ssh"
            )
            if isinstance(doors, Finding):
                return LoginReading(place=node.name, protocol=protocol, findings=(doors,))
            failure = await self._failure(doors)
        return LoginReading(place=node.name, protocol=protocol, failure=failure)

    @activity.defn
    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        """Leave the host pointing at the cluster."""
        async with pulse():
            return await self._driver(given.load_balancer).redirect(given)

    @activity.defn
    async def verify_traffic(self, given: TrafficInput[VerifyTraffic]) -> Report:
        """Find our own login on a node of the cluster; NotReady where it lands elsewhere."""
        action = given.action
        probe = _probe(given.load_balancer, action.protocol)
        cluster_of = {node.name: c.name for c in given.clusters for node in c.nodes}
        deadline = datetime.now(UTC) + PROVEN_WITHIN
        async with pulse():
            while True:
                landing = await self._probes.landing(probe, given.clusters)
                node = landing.node
                if node is not None and cluster_of[node] == action.to:
                    words = f"a new {action.protocol} session lands on {node}, of {action.to}"
                    return seen(action, words, datetime.now(UTC))
                if datetime.now(UTC) >= deadline:
                    raise _objection(action, landing)
                await asyncio.sleep(AGAIN_AFTER.total_seconds())

    async def _observe_landing(
        self, given: TrafficInput[ObserveTraffic], probe: Probe
    ) -> str | Finding:
        async def look() -> str:
            landing = await self._probes.landing(probe, given.clusters)
            if landing.node is None:
                raise OutcomeUnknown(_nowhere(probe.protocol, landing))
            return landing.node

        return await tolerant(look, given.action.host, "probe_unreachable")

    async def _doors(self, node: Node, probe: Probe) -> list[Door]:
        return [
            Door(probe, f"port {port}", await self._shell.tunnel(node, port))
            for port in _ports(node, probe)
        ]

    async def _failure(self, doors: list[Door]) -> str | None:
        """Say why no door lets us in; None where one does."""
        failures = []
        try:
            async with asyncio.timeout(GIVE_UP_AFTER):
                for door in doors:
                    try:
                        await self._logins.list_root(door)
                    except SwitchoverError as failure:
                        failures.append(str(failure))
                    else:
                        return None
        except TimeoutError:
            failures.append(f"no answer within {GIVE_UP_AFTER:.0f} s")
        return "; ".join(failures)

    def _driver(self, balancer: LoadBalancer) -> Balancer:
        return self._drivers[balancer.driver]


def _probe(balancer: LoadBalancer, protocol: Protocol) -> Probe:
    for probe in balancer.probes:
        if probe.protocol is protocol:
            return probe
    raise BadInput(f"the load balancer has no probe for {protocol}; add one to the estate")


def _ports(node: Node, probe: Probe) -> tuple[int, ...]:
    """Return the port that clients use, or every port that it may be."""
    ports = node.protocols.get(probe.protocol, ())
    if not ports:
        raise BadInput(f"{node.name} has no port for {probe.protocol}; add one to the estate")
    if probe.port in ports:
        return (probe.port,)
    # Some ports of an HTTP server may be without TLS; which, the estate does not say.
    return ports if probe.protocol is Protocol.HTTP else ports[:1]


def _facts(rights: Rights | Finding, configured: Configured | Finding) -> BalancerFacts | None:
    """Return what was read; None where not even the rights were."""
    if isinstance(rights, Finding):
        return None
    return BalancerFacts(
        **vars(rights), **({} if isinstance(configured, Finding) else vars(configured))
    )


def _objection(action: VerifyTraffic, landing: LoginLocation) -> NotReady | OutcomeUnknown:
    if landing.node is None:
        return OutcomeUnknown(_nowhere(action.protocol, landing))
    return NotReady(
        f"a new {action.protocol} session still lands on {landing.node}, expected a node of "
        f"{action.to}; look at what the load balancer resolves and pins, then decide `retry`"
    )


def _nowhere(protocol: Protocol, landing: LoginLocation) -> str:
    unread = (
        f"; not every node could be read: {'; '.join(landing.unread)}" if landing.unread else ""
    )
    return f"a {protocol} login was accepted, and is in no node's session list{unread}"
