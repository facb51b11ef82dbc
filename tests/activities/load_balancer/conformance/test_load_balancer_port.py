"""Every load balancer driver keeps the promises of the port."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from activities.load_balancer.activities import LoadBalancerActivities
from activities.load_balancer.drivers import Maker, over_ssh
from tests.activities.load_balancer.conformance.subjects import (
    Commands,
    Dns,
    HaproxyServers,
    HostsFile,
    LabDns,
    Subject,
    Switches,
)
from tests.activities.load_balancer.conftest import Inputs, dns_balancer
from tests.support.bind import NEEDS_BIND, NameServer
from tests.support.haproxy import PROGRAMS, Haproxy, haproxy
from tests.support.lab_name_server import LabNameServer
from tests.support.protocol_servers import Front
from tests.support.site_command import Site as SiteCommand
from tests.support.ssh_machines import Attempt, SshServer
from tests.support.switches_load_balancer import SwitchesLoadBalancer
from workflows.errors import NotReady
from workflows.model.actions import ObserveTraffic, Redirect, VerifyTraffic
from workflows.model.estate import Cluster, LoadBalancer, Probe, Protocol
from workflows.model.load_balancers.commands import CommandsLoadBalancer
from workflows.model.load_balancers.haproxy import HaproxyLoadBalancer
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer
from workflows.model.observations import TrafficReading
from workflows.model.results import Report
from workflows.ports.load_balancer import TrafficInput
from workflows.preflight.catalogue import BY_NAME

TO_TWO = Redirect(host="lb1", to="two", back_to="one")
TO_ONE = Redirect(host="lb1", to="one", back_to="two")


@pytest.fixture
async def real_haproxy() -> AsyncIterator[Haproxy]:
    """The HAProxy of the wheel; other tests have those of each version here."""
    program = PROGRAMS["wheel"]
    assert program is not None
    async with haproxy(program) as site:
        yield site


@pytest.fixture(
    params=[
        *("hosts_file", "commands", "haproxy", "switches", "lab_dns"),
        pytest.param("dns", marks=NEEDS_BIND),
    ]
)
def subject(  # noqa: PLR0913, PLR0917 - what the drivers need
    request: pytest.FixtureRequest,
    all_drivers: dict[type[LoadBalancer], Maker],
    hosts_file_balancer: HostsFileLoadBalancer,
    hosts: Path,
    haproxy_balancer: HaproxyLoadBalancer,
    real_haproxy: Haproxy,
    ssh_server: SshServer,
    client_probes: tuple[Probe, ...],
    commands_balancer: CommandsLoadBalancer,
    site_command: SiteCommand,
) -> Subject:
    """A load balancer with each of the product's drivers, and with one that only the tests have."""
    if request.param == "switches":
        switches = Switches(client_probes)
        all_drivers[SwitchesLoadBalancer] = over_ssh(lambda _, balancer: switches.driver(balancer))
        return switches
    if request.param == "haproxy":
        return HaproxyServers(haproxy_balancer, real_haproxy, ssh_server)
    if request.param == "commands":
        return Commands(commands_balancer, site_command, ssh_server)
    if request.param == "dns":
        server: NameServer = request.getfixturevalue("name_server")
        return Dns(dns_balancer(client_probes, [server.key], name="lb1"), server)
    if request.param == "lab_dns":
        lab: LabNameServer = request.getfixturevalue("lab_name_server")
        return LabDns(dns_balancer(client_probes, [lab.key], name="lb1"), lab)
    return HostsFile(hosts_file_balancer, hosts, ssh_server)


class Site:
    """A load balancer before two clusters; clients follow it."""

    def __init__(
        self,
        subject: Subject,
        clusters: tuple[Cluster, ...],
        front: Front,
        load_balancers: LoadBalancerActivities,
    ) -> None:
        self.front = front
        self._subject = subject
        self._inputs = Inputs(subject.balancer, clusters)
        self._load_balancers = load_balancers

    async def redirect(self, action: Redirect, identity: str = "run-1") -> Report:
        """Redirect, and let clients follow."""
        given = self._inputs.of(action, identity)
        report = await Attempt().run(self._load_balancers.redirect, given)
        self.front.goes_to = self._subject.leads_to()
        return report

    def preview(self, action: Redirect) -> tuple[str, ...]:
        """Return what a reviewed plan shows."""
        return tuple(self._load_balancers.preview(self._inputs.of(action)))

    async def observe(self) -> TrafficReading:
        """Read where traffic goes."""
        given = self._inputs.of(ObserveTraffic(host="lb1"))
        return await Attempt().run(self._load_balancers.observe_traffic, given)

    async def verify(self, protocol: Protocol, to: str) -> Report:
        """Verify by a login."""
        given = self._inputs.of(VerifyTraffic(protocol=protocol, to=to))
        return await Attempt().run(self._load_balancers.verify_traffic, given)


@pytest.fixture
def site(
    subject: Subject,
    clusters: tuple[Cluster, ...],
    front: Front,
    load_balancers: LoadBalancerActivities,
) -> Site:
    """A site whose traffic goes to the cluster ``one``."""
    return Site(subject, clusters, front, load_balancers)


async def test_an_observation_follows_a_redirect_and_its_undo(site: Site) -> None:
    """Every destination is a cluster's, by the settings and by real logins alike."""
    for action, cluster in ((None, "one"), (TO_TWO, "two"), (TO_TWO.undo, "one")):
        if isinstance(action, Redirect):
            assert (await site.redirect(action)).outcome == "changed"
        reading = await site.observe()
        assert {one.cluster for one in reading.destinations} == {cluster}
        assert all(one.seen for one in reading.destinations)
        assert set(reading.lands_on.values()) == {f"{cluster}-server1"}
        assert reading.findings == ()


async def test_a_redirect_is_one_effect_however_often_it_is_attempted(
    site: Site, subject: Subject
) -> None:
    """Attempts side by side have one report, and what is sent is exactly what a preview shows."""
    reports = await asyncio.gather(*(site.redirect(TO_TWO) for _ in range(8)))
    assert len(set(reports)) == 1
    assert reports[0].outcome == "changed"
    assert subject.leads_to() == "two"
    assert subject.sent() == site.preview(TO_TWO)


async def test_a_redirect_that_holds_already_is_unchanged(site: Site, subject: Subject) -> None:
    """A later operation says so; the earlier one keeps its own report."""
    first = await site.redirect(TO_TWO)
    assert (await site.redirect(TO_TWO, "run-2")).outcome == "unchanged"
    assert await site.redirect(TO_TWO) == first
    assert subject.leads_to() == "two"


@pytest.mark.parametrize("protocol", [Protocol.SSH, Protocol.HTTP])
async def test_traffic_is_verified_where_it_lands(
    site: Site, subject: Subject, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings alone do not count: a login that arrives elsewhere is refused."""
    monkeypatch.setattr(type(subject.balancer), "settles_within", timedelta())
    await site.redirect(TO_TWO)
    assert "land on two: two-server1" in (await site.verify(protocol, "two")).message
    site.front.goes_to = "one"
    with pytest.raises(NotReady, match="still lands on one-server1, expected a node of two"):
        await site.verify(protocol, "two")


@pytest.mark.parametrize("change", ["lead_elsewhere", "be_unclear", "be_silent"])
async def test_what_is_unknown_is_never_guessed(site: Site, subject: Subject, change: str) -> None:
    """An unknown address is no cluster's, no address is unknown, and silence is a finding."""
    getattr(subject, change)()
    reading = await site.observe()
    assert {one.cluster for one in reading.destinations} <= {None}
    seen = [one.seen is not None for one in reading.destinations]
    assert seen == {"lead_elsewhere": [True], "be_unclear": [False], "be_silent": []}[change]
    assert reading.findings or change != "be_silent"


async def test_findings_name_known_checks(site: Site, subject: Subject) -> None:
    """With their place, what was expected, and what to do."""
    subject.be_silent()
    found = (await site.observe()).findings
    assert {one.name for one in found} <= set(BY_NAME)
    assert {one.place for one in found} == {"lb1"}
    assert all(one.seen and one.expected and one.advice for one in found)


def test_the_description_of_a_load_balancer_survives_its_journey(subject: Subject) -> None:
    """As a part of a larger value, with every key of its own driver."""
    written = Inputs(subject.balancer, ()).of(TO_TWO).model_dump_json()
    described = TrafficInput[Redirect].model_validate_json(written).load_balancer
    assert described == subject.balancer
    assert described.places == ("lb1",)
