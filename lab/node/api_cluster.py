"""A node's cluster, zones and maintenance in the admin API (docs/securetransport.md, section 8).

Fault (``SimulationOptions.faults``): ``zdu_maintenance``: the text of ``zduMaintenanceMode``;
``absent`` makes it a version that has no such resource. ``cluster_nodes``: how the nodes
of a cluster are described: as ``text``, or with the key ``nodeIp``.
"""

from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from lab.layout import NodeLayout
from lab.node.paging import missing, page
from lab.node.service import Context

_STREAMING_PORTS = {"HTTP": 20080, "FTP": 20021, "AS2": 21080, "SSH": 20022, "PESIT": 27617}


class ClusterResources:
    """What a node's own configuration says about the machines around it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self, base: str) -> list[web.RouteDef]:
        """Every resource, below *base*."""
        return [
            web.get(f"{base}/configurations/clusterManagement", self._cluster),
            web.get(f"{base}/configurations/maintenance", self._maintenance),
            web.get(f"{base}/zones", self._zones),
        ]

    async def _cluster(self, _: web.Request) -> web.Response:
        servers = self._context.cluster.servers
        if self._context.node.kind == "edge" or len(servers) == 1:
            return web.json_response(
                {"isCluster": False, "clusterMode": None, "clusterNodes": None}
            )
        described: dict[str, Callable[[NodeLayout], object]] = {
            "text": lambda server: server.address,
            "nodeIp": lambda server: {"nodeName": server.name, "nodeIp": server.address},
        }
        shape = described.get(
            self._context.faults.get("cluster_nodes", ""),
            lambda server: {"serverAddress": server.address},
        )
        nodes = list(map(shape, servers))
        return web.json_response(
            {"isCluster": True, "clusterMode": "Active/Active", "clusterNodes": nodes}
        )

    async def _maintenance(self, _: web.Request) -> web.Response:
        mode = self._context.faults.get("zdu_maintenance", "disabled")
        if mode == "absent":
            raise missing()
        return web.json_response({"zduMaintenanceMode": mode})

    async def _zones(self, request: web.Request) -> web.Response:
        """Return the zones: ``Private`` names Servers, and only a Server knows the Edges' zone.

        Titles are what an administrator typed, no host names.
        """
        cluster, here = self._context.cluster, self._context.node
        if here.kind == "edge":
            return page(request, [_zone("Private", _machines("Server", cluster.servers))])
        edges = _machines("Perimeter gateway", cluster.edges)
        private = [_machine("Host", here, 0)]
        return page(request, [_zone("Private", private), _zone("Perimeter", edges)])


def _zone(name: str, edges: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "description": None,
        "publicURLPrefix": None,
        "ssoSpEntityId": None,
        "isDnsResolutionEnabled": False,
        "isDefault": name != "Private",
        "edges": edges,
    }


def _machines(title: str, nodes: Iterable[NodeLayout]) -> list[dict[str, Any]]:
    return [_machine(f"{title} {n}", node, n) for n, node in enumerate(nodes, 1)]


def _machine(title: str, node: NodeLayout, number: int) -> dict[str, Any]:
    protocols = [
        {"streamingProtocol": name, "port": port, "isEnabled": True, "sslAlias": "mdn"}
        for name, port in _STREAMING_PORTS.items()
    ]
    return {
        "edgeId": number,
        "title": title,
        "notes": None,
        "deploymentSite": "Prod",
        "enabledProxy": False,
        "ipAddresses": [{"ipAddress": node.address}],
        "protocols": protocols,
        "proxies": [],
    }
