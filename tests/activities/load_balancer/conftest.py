"""A load balancer of each driver before two clusters, with real logins behind it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from activities.load_balancer import activities, probe
from activities.load_balancer.activities import LoadBalancerActivities
from activities.load_balancer.drivers import DRIVERS, Maker
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Shell
from tests.activities.conftest import NodeMaker
from tests.support.admin_api import Certificate
from tests.support.protocol_servers import Front
from tests.support.ssh_machines import HOST_KEY_LINE, QUICK, SECRETS, admin_access, make_cluster
from workflows.model.estate import Cluster, LoadBalancer, Probe, Protocol
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer
from workflows.model.results import UNDO, Operation
from workflows.ports.load_balancer import TrafficInput


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
