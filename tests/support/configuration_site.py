"""Two clusters whose configuration is read over real admin APIs and SSH."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.configuration.activities import RestConfigurations
from activities.configuration.lists import RESOURCES
from activities.nodes.service_status import ServiceStatusReader
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Shell
from tests.support.admin_api import Api, Certificate, serving
from tests.support.ssh_machines import (
    QUICK,
    SECRETS,
    SshServer,
    admin_access,
    make_cluster,
    make_node,
)
from workflows.errors import Unreachable
from workflows.model.actions import CompareConfiguration, ObserveCluster
from workflows.model.estate import Cluster, Kind, Limits, Node
from workflows.model.observations import ClusterReading, ParityReading
from workflows.model.replications.base import Replication
from workflows.model.results import Operation
from workflows.ports.configuration import ClusterInput
from workflows.ports.inputs import ClusterPairInput

COMPARE = CompareConfiguration(source="cluster1", target="cluster2")


@dataclass
class Tables:
    """What the driver of replication digests of each cluster's tables."""

    digests: dict[str, dict[str, str]] = field(default_factory=dict)
    silent: bool = False

    async def read(self, _: Replication, cluster: Cluster) -> dict[str, str]:
        """Return the digests that a test has set."""
        if self.silent:
            raise Unreachable(f"{cluster.database.name} does not answer")
        return dict(self.digests.get(cluster.name, {"public.account": "1"}))


@dataclass
class Site:
    """Two clusters of one Server and one Edge each, and their APIs by node."""

    one: Cluster
    two: Cluster
    apis: dict[str, Api]
    admin: AdminClient
    port: RestConfigurations
    tables: Tables

    @property
    def api(self) -> Api:
        """The API of the source's Server."""
        return self.apis["cluster1-server1"]

    @property
    def target(self) -> Api:
        """The API of the target's Server."""
        return self.apis["cluster2-server1"]

    def node(self, name: str) -> Node:
        """Return a node of either cluster."""
        return {node.name: node for node in (*self.one.nodes, *self.two.nodes)}[name]

    async def compare(self) -> ParityReading:
        """Compare both clusters."""
        given: ClusterPairInput[CompareConfiguration] = ClusterPairInput(
            operation=Operation(identity="run-1", stage="check", action=COMPARE.key),
            action=COMPARE,
            timing=QUICK,
            source=self.one,
            target=self.two,
            limits=Limits(),
        )
        return await ActivityEnvironment().run(self.port.compare_configuration, given)

    async def observe(self, storage: Path) -> ClusterReading:
        """Observe the source."""
        given: ClusterInput[ObserveCluster] = ClusterInput(
            operation=Operation(identity="run-1", stage="check", action="observe"),
            action=ObserveCluster(node="cluster1-server1"),
            timing=QUICK,
            node=self.one.nodes[0],
            storage=str(storage),
            limits=Limits(),
        )
        return await ActivityEnvironment().run(self.port.observe_cluster, given)


@asynccontextmanager
async def configuration_site(
    ssh_server: SshServer, certificate: Certificate, tmp_path: Path, shell: Shell
) -> AsyncIterator[Site]:
    """Two clusters that are alike."""
    apis: dict[str, Api] = {}
    nodes: dict[str, Node] = {}
    async with AsyncExitStack() as stack:
        for name in ("cluster1-server1", "cluster1-edge1", "cluster2-server1", "cluster2-edge1"):
            apis[name] = api = await stack.enter_async_context(serving(certificate))
            access = admin_access(api.port, fingerprint=certificate.fingerprint)
            kind = Kind.SERVER if "server" in name else Kind.EDGE
            nodes[name] = make_node(ssh_server, tmp_path, name, kind=kind, admin=access)
            api.options = options(name)
            if kind is Kind.SERVER:
                api.lists = {one.path: [{"name": f"{one.path}1"}] for one in RESOURCES}
                api.lists["subscriptions"] = [{"id": name, "account": "a", "folder": "/in"}]
        one, two = (
            make_cluster(c, *(n for n in nodes.values() if c in n.name))
            for c in ("cluster1", "cluster2")
        )
        admin = AdminClient(shell, SECRETS)
        tables = Tables()
        port = RestConfigurations(ServiceStatusReader(shell), admin, tables)
        yield Site(one, two, apis, admin, port, tables)


def options(name: str) -> list[dict[str, Any]]:
    """Return what a node of that name has set, as all do."""
    return [
        {"name": "Ssh.Port", "values": ["8022"]},
        {"name": "Url", "values": [f"https://{name}:8443/"]},
        {"name": "Own", "values": [name + "!"], "isLocal": True},
        {"name": "Secret", "values": [name * 2], "encrypted": True},
        *({"name": f"Other.{number}", "values": [str(number)]} for number in range(150)),
    ]
