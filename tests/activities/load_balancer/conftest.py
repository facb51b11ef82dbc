"""A load balancer of each driver before two clusters, with real logins behind it."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from activities.load_balancer import activities, probe
from activities.load_balancer.activities import LoadBalancerActivities
from activities.load_balancer.driver import PlaceState
from activities.load_balancer.drivers import DRIVERS, Maker
from activities.load_balancer.hosts_file_driver import HostsFileDriver
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Shell
from tests.activities.conftest import NodeMaker
from tests.support.admin_api import Certificate
from tests.support.bind import ZONE, NameServer, one_server
from tests.support.haproxy import PROGRAMS, Haproxy, haproxy
from tests.support.lab_name_server import LabNameServer, lab_server
from tests.support.protocol_servers import Front
from tests.support.site_command import Site as SiteCommand
from tests.support.ssh_machines import (
    HOST_KEY_LINE,
    QUICK,
    SECRETS,
    SshServer,
    admin_access,
    make_cluster,
)
from workflows.model.actions import ObserveTraffic
from workflows.model.estate import Cluster, LoadBalancer, Probe, Protocol
from workflows.model.findings import Finding
from workflows.model.load_balancers.commands import CommandsLoadBalancer
from workflows.model.load_balancers.dns import DnsLoadBalancer
from workflows.model.load_balancers.haproxy import HaproxyLoadBalancer
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer
from workflows.model.results import UNDO, Operation
from workflows.ports.load_balancer import TrafficInput

NOBODY = 65534
AS_NOBODY = """#!/bin/sh
[ "$(id -u)" = 0 ] || exec /bin/sh "$@"
exec setpriv --reuid=65534 --regid=65534 --clear-groups /bin/sh "$@"
"""


@dataclass
class Inputs:
    """Makes activity inputs for one load balancer."""

    balancer: LoadBalancer
    clusters: tuple[Cluster, ...]

    def of(
        self,
        action: Any,  # noqa: ANN401 - any action
        identity: str = "run-1",
        *,
        undo: bool = False,
        **changes: object,
    ) -> TrafficInput[Any]:
        """Return the action's input, as a switchover would send it."""
        stage = f"stage{UNDO}" if undo else "stage"
        return TrafficInput(
            operation=Operation(identity=identity, stage=stage, action=action.key),
            action=action,
            timing=QUICK,
            load_balancer=self.balancer.model_copy(update=changes),
            clusters=self.clusters,
        )


@dataclass
class Host:
    """A load balancer host whose user is not root."""

    folder: Path
    shell: Shell
    facts: dict[str, object]

    @property
    def hosts(self) -> Path:
        """Its hosts file."""
        return self.folder / "hosts"

    async def state(self, **changes: object) -> PlaceState:
        """Observe it; *changes* are keys of the host in the estate."""
        balancer = self._balancer(**{"reload": ("true",), **changes})
        given = Inputs(balancer, ()).of(ObserveTraffic(host="lb1"))
        return await HostsFileDriver(self.shell, balancer).observe(given)

    async def findings(self, **changes: object) -> tuple[Finding, ...]:
        """Return what is found; *changes* are keys of the host in the estate."""
        return (await self.state(**changes)).findings

    async def writable(self, **changes: object) -> bool:
        """Whether a redirect may write the hosts file."""
        found = await self.findings(**changes)
        return "hosts_file_not_writable" not in {one.name for one in found}

    async def runnable(self, *reload: str) -> bool:
        """Whether a redirect may run this command."""
        found = await self.findings(reload=reload)
        return "reload_not_runnable" not in {one.name for one in found}

    def _balancer(self, **changes: object) -> HostsFileLoadBalancer:
        probe = {"protocol": "http", "address": "127.0.0.1", "port": 1, "user": "probe"}
        probe |= {"password": "env:PROBE", "fingerprint": "0" * 64}
        host = {**self.facts, "name": "lb1", "hosts_file": str(self.hosts), **changes}
        names = {"edge1": {"one": "10.1.0.1", "two": "10.2.0.1"}}
        return HostsFileLoadBalancer.model_validate(
            {"hosts": [host], "names": names, "probes": [probe]}
        )


@pytest.fixture
def host(shell: Shell, node_maker: NodeMaker, ssh_server: SshServer) -> Iterator[Host]:
    """A host with a hosts file of its user's in a folder of its user's."""
    root = Path(tempfile.mkdtemp(prefix="switchover-test-"))
    root.chmod(0o755)  # the host's user walks into it
    sh = root / "sh"
    sh.write_text(AS_NOBODY, encoding="utf-8")
    sh.chmod(0o755)
    ssh_server.sh = str(sh)
    folder = root / "etc"
    folder.mkdir()
    facts = node_maker("lb1").model_dump(include={"address", "ssh", "host_key"})
    ledger = root / "ledger"
    ledger.mkdir()
    give(ledger, NOBODY)
    host = Host(folder, shell, {**facts, "ledger": str(ledger)})
    host.hosts.write_text("10.1.0.1 edge1\n", encoding="utf-8")
    give(folder, NOBODY)
    give(host.hosts, NOBODY)
    yield host
    shutil.rmtree(root)


def give(path: Path, user: int, mode: int | None = None) -> None:
    """Set a file's owner, and its mode."""
    if os.geteuid() == 0:
        os.chown(path, user, user)
    if mode is not None:
        path.chmod(mode)


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    """The load balancer host's hosts file."""
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 localhost\n10.1.0.1 edge1\n# site\n")
    return file


@pytest.fixture
def clusters(front: Front, node_maker: NodeMaker, certificate: Certificate) -> tuple[Cluster, ...]:
    """Two clusters of one node each, whose sessions are those of clients that log in."""
    both = {Protocol.SSH: (8022,), Protocol.HTTP: (8443,)}
    return tuple(
        make_cluster(
            name,
            node_maker(
                f"{name}-server1",
                admin=admin_access(api.port, fingerprint=certificate.fingerprint),
                protocols=both,
            ),
        )
        for name, api in front.apis.items()
    )


@pytest.fixture
def client_probes(front: Front, certificate: Certificate) -> tuple[Probe, ...]:
    """A login over each protocol."""
    account = {"address": "127.0.0.1", "user": "probe", "password": "env:PROBE"}
    trust = {
        Protocol.SSH: {"host_key": HOST_KEY_LINE},
        Protocol.HTTP: {"fingerprint": certificate.fingerprint},
    }
    return tuple(
        Probe.model_validate({**account, "protocol": p, "port": front.ports[p], **trust[p]})
        for p in trust
    )


@pytest.fixture
def hosts_file_balancer(
    hosts: Path, client_probes: tuple[Probe, ...], node_maker: NodeMaker, tmp_path: Path
) -> HostsFileLoadBalancer:
    """One machine; its reload command leaves a copy of what it loaded, and a line for each run."""
    reload = tmp_path / "reload"
    reload.write_text(
        f'#!/bin/sh\ncp {hosts} {tmp_path}/loaded; echo "$0 $*" >>{tmp_path}/reloads\n'
    )
    reload.chmod(0o755)
    machine = node_maker("lb1").model_dump(include={"address", "ssh", "host_key", "ledger"})
    facts = {"name": "lb1", "hosts_file": str(hosts), "reload": (str(reload), "--now")}
    return HostsFileLoadBalancer.model_validate(
        {
            "hosts": [{**machine, **facts}],
            "names": {"edge1": {"one": "10.1.0.1", "two": "10.2.0.1"}},
            "probes": client_probes,
        }
    )


def dns_balancer(
    probes: tuple[Probe, ...], servers: list[dict[str, object]], **changes: object
) -> DnsLoadBalancer:
    """Return a load balancer whose one name the zone leads to the cluster ``one``."""
    given = {
        "zone": ZONE,
        "servers": servers,
        "tsig": {"name": "switchover", "secret": "env:TSIG"},
        "names": {"edge1.st.example.com": {"one": ("10.1.0.1",), "two": ("10.2.0.1",)}},
        "probes": probes,
    }
    return DnsLoadBalancer.model_validate(given | changes)


@pytest.fixture
def name_server(tmp_path: Path) -> Iterator[NameServer]:
    """A name server that has the zone alone."""
    with one_server(tmp_path / "named") as server:
        yield server


@pytest.fixture(params=PROGRAMS)
async def real_haproxy(request: pytest.FixtureRequest) -> AsyncIterator[Haproxy]:
    """A HAProxy of each version here, not started yet."""
    program = PROGRAMS[request.param]
    if program is None:
        pytest.skip("HAProxy of the system is not installed")
    async with haproxy(program) as site:
        yield site


@pytest.fixture
def haproxy_balancer(
    real_haproxy: Haproxy, client_probes: tuple[Probe, ...], node_maker: NodeMaker
) -> HaproxyLoadBalancer:
    """One machine whose HAProxy reaches an Edge as ``sftp/edge1``."""
    machine = node_maker("lb1").model_dump(include={"address", "ssh", "host_key", "ledger"})
    facts = {"name": "lb1", "socket": str(real_haproxy.socket)}
    facts |= {"configuration": str(real_haproxy.configuration)}
    endpoints = {cluster: real_haproxy.endpoint("edge1", cluster) for cluster in ("one", "two")}
    return HaproxyLoadBalancer.model_validate(
        {
            "hosts": [{**machine, **facts}],
            "servers": {"sftp/edge1": endpoints},
            "probes": client_probes,
        }
    )


@pytest.fixture
def site_command(tmp_path: Path) -> SiteCommand:
    """A site's own command, which leads to the cluster ``one``."""
    return SiteCommand(tmp_path / "site")


@pytest.fixture
def commands_balancer(
    site_command: SiteCommand, client_probes: tuple[Probe, ...], node_maker: NodeMaker
) -> CommandsLoadBalancer:
    """One machine with the site's own command."""
    machine = node_maker("lb1").model_dump(include={"address", "ssh", "host_key", "ledger"})
    host = {**machine, "name": "lb1", "command": site_command.argv, "items": ["pool sftp"]}
    return CommandsLoadBalancer.model_validate({"hosts": [host], "probes": client_probes})


@pytest.fixture
def lab_name_server(tmp_path: Path) -> Iterator[LabNameServer]:
    """The lab's name server, which has the same zone."""
    with lab_server(tmp_path / "lab") as server:
        yield server


@pytest.fixture
def inputs(hosts_file_balancer: HostsFileLoadBalancer, clusters: tuple[Cluster, ...]) -> Inputs:
    """Inputs for the load balancer with a hosts file."""
    return Inputs(hosts_file_balancer, clusters)


@pytest.fixture
def all_drivers() -> dict[type[LoadBalancer], Maker]:
    """The product's drivers."""
    return dict(DRIVERS)


@pytest.fixture
def load_balancers(
    shell: Shell, all_drivers: dict[type[LoadBalancer], Maker], monkeypatch: pytest.MonkeyPatch
) -> LoadBalancerActivities:
    """The activities; they soon give up on a login that arrives elsewhere, or nowhere."""
    monkeypatch.setattr(probe, "SEARCH_TIME", activities.LOGIN_INTERVAL)
    monkeypatch.setattr(activities, "REDIRECT_TAKES_EFFECT_WITHIN", activities.LOGIN_INTERVAL)
    return LoadBalancerActivities(shell, AdminClient(shell, SECRETS), SECRETS, all_drivers)
