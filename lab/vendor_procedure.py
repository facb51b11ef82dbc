"""Follow the vendor's page literally, without waiting for sessions.

A script as an operator would write it from docs/securetransport.md, section 2: its stages are the
page's steps. It is a negative control: the verdict on it must be bad.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from lab.access import admin, shell
from lab.checker.verdict import Run
from lab.environment.databases import subscription
from lab.environment.load_balancers.base import names
from lab.environment.load_balancers.hosts_file import HostsFileLoadBalancer
from lab.layout import ClusterLayout, Layout, NodeLayout

SCRIPTS = ("httpd", "sshd")
POLL_SECONDS = 0.5


@dataclass
class VendorProcedure:
    """One run of the page, from one cluster to the other."""

    layout: Layout
    source: ClusterLayout
    target: ClusterLayout
    stages: list[dict[str, Any]] = field(default_factory=list)
    stage: str = ""
    """The one under way, by the name that the product's stage has."""

    async def run(self) -> Run:
        """Do steps 1 to 8."""
        began = time.time()
        steps: tuple[tuple[str, Callable[[], Awaitable[object]]], ...] = (
            ("stop_monitors", lambda: self._everywhere("stop_monitord")),
            ("suspend_replication", self._suspend_replication),
            ("redirect_traffic", self._redirect),
            ("stop_scheduling", lambda: self._schedule(self.source, "stop")),
            ("start_scheduling", lambda: self._schedule(self.target, "start")),
            ("drain_protocol_servers", self._drain_protocol_servers),
            ("drain_transaction_manager", self._drain_transaction_manager),
            ("stop_remaining_services", lambda: self._everywhere("stop_all")),
        )
        for name, step in steps:
            self.stage, start = name, time.monotonic()
            await step()
            self.stages.append({"stage": name, "seconds": round(time.monotonic() - start, 2)})
        return Run("completed", began, time.time(), tuple(self.stages))

    async def _everywhere(self, script: str) -> None:
        await asyncio.gather(*(self._script(node, script) for node in self.source.nodes))

    async def _suspend_replication(self) -> None:
        for cluster, other in ((self.source, self.target), (self.target, self.source)):
            name = subscription(other.name, cluster.name)
            async with await psycopg.AsyncConnection.connect(
                cluster.dsn, autocommit=True
            ) as connection:
                await connection.execute(f"ALTER SUBSCRIPTION {name} DISABLE".encode())

    async def _redirect(self) -> None:
        balancer = HostsFileLoadBalancer(self.layout)
        before, after = self.source.name, self.target.name
        changes = " ".join(
            f"-e 's/^{re.escape(place[before])} {name}\\./{place[after]} {name}./'"
            for name, place in names(self.layout).items()
        )
        command = f"sed -i {changes} {balancer.hosts_file} && {balancer.reload_command}"
        async with shell(self.layout, "loadbalancer1") as connection:
            await connection.run(command, check=True)

    async def _schedule(self, cluster: ClusterLayout, operation: str) -> None:
        for server in cluster.servers:
            async with admin(self.layout, server) as client:
                for service in ("Scheduler", "FolderMonitor"):
                    answer = await client.post(
                        "clusterServices/operations",
                        params={"operation": operation, "serviceName": service},
                    )
                    answer.raise_for_status()

    async def _drain_protocol_servers(self) -> None:
        nodes = self.source.nodes
        for script in SCRIPTS:
            await asyncio.gather(
                *(self._script(n, f"stop_{script} -g -timeout 600") for n in nodes)
            )
        await asyncio.gather(*(self._until_down(node, s) for node in nodes for s in SCRIPTS))

    async def _drain_transaction_manager(self) -> None:
        servers = self.source.servers
        await asyncio.gather(*(self._script(n, "stop_tm -g -timeout 60") for n in servers))
        await asyncio.gather(*(self._until_down(node, "tm") for node in servers))

    async def _until_down(self, node: NodeLayout, script: str) -> None:
        while True:
            output = await self._script(node, f"status_{script}", check=False)
            if f"{script} is down" in output:
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _script(self, node: NodeLayout, command: str, *, check: bool = True) -> str:
        async with shell(self.layout, node.name) as connection:
            done = await connection.run(f"{node.home}/bin/{command}", check=check)
        return str(done.stdout)
