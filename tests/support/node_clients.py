"""Clients of the simulated machines."""

import asyncio
import shutil
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, LiteralString

import asyncssh
import httpx
import psycopg

from lab import records
from lab.environment.databases import Databases
from lab.environment.machines import Machines, prepare
from lab.layout import (
    ADMIN_PASSWORD,
    ADMIN_PORT,
    ADMIN_USER,
    HTTPS_PORT,
    SFTP_PORT,
    SHELL_PORT,
    SHELL_USER,
    Layout,
    account,
    password,
)
from lab.simulation_options import SimulationOptions

PARTNER = account(1)


@dataclass
class Ran:
    """How a command on a machine ended."""

    status: int
    text: str
    error: str


@dataclass
class Lab:
    """Machines and databases, and how a client reaches them."""

    layout: Layout
    databases: Databases
    machines: Machines
    clients: AsyncExitStack = field(default_factory=AsyncExitStack)
    _shells: dict[str, asyncssh.SSHClientConnection] = field(default_factory=dict)

    async def reset(self) -> None:
        """Put everything back to the baseline."""
        await asyncio.to_thread(self.machines.halt)
        await self.databases.reset()
        for cluster in self.layout.clusters:
            shutil.rmtree(cluster.storage, ignore_errors=True)
        for file in (self.layout.effects, self.layout.sessions, self.layout.work):
            file.unlink(missing_ok=True)
        SimulationOptions().write(self.layout.simulation)
        prepare(self.layout)
        await asyncio.to_thread(self.machines.boot)

    async def leave(self) -> None:
        """Close every client."""
        await self.clients.aclose()
        self._shells.clear()

    def turn(self, **simulation: Any) -> None:  # noqa: ANN401 - any switch
        """Put some simulation in force."""
        replace(SimulationOptions.read(self.layout.simulation), **simulation).write(
            self.layout.simulation
        )

    def address(self, name: str) -> str:
        """The address of a machine."""
        lb = self.layout.load_balancer
        return lb if name == "loadbalancer1" else self.layout.node(name).address

    def home(self, name: str) -> Path:
        """The FILEDRIVEHOME of a node."""
        return self.layout.node(name).home

    async def shell(self, name: str) -> asyncssh.SSHClientConnection:
        """An SSH connection of its own to a machine."""
        key = asyncssh.read_public_key(self.layout.keys / f"{name}_host_key.pub")
        return await self.clients.enter_async_context(
            asyncssh.connect(
                self.address(name),
                SHELL_PORT,
                config=None,
                username=SHELL_USER,
                client_keys=[self.layout.keys / "operator"],
                known_hosts=([key], [], []),
            )
        )

    async def run(self, name: str, command: str) -> Ran:
        """Run a command on a machine."""
        if name not in self._shells or self._shells[name].is_closed():
            self._shells[name] = await self.shell(name)
        done = await self._shells[name].run(command)
        assert done.returncode is not None, f"the connection was lost during {command}"
        return Ran(done.returncode, str(done.stdout).strip(), str(done.stderr).strip())

    async def script(self, name: str, command: str) -> Ran:
        """Run one of FILEDRIVEHOME's scripts."""
        return await self.run(name, f"{self.home(name)}/bin/{command}")

    async def status(self, name: str, script: str) -> str:
        """The text of a status script."""
        return (await self.script(name, f"status_{script}")).text

    @asynccontextmanager
    async def visit(self, name: str, partner: str = PARTNER) -> AsyncIterator[asyncssh.SFTPClient]:
        """An SFTP session with a node."""
        key = asyncssh.read_public_key(self.layout.keys / "sftp_host_key.pub")
        async with (
            asyncssh.connect(
                self.address(name),
                SFTP_PORT,
                config=None,
                username=partner,
                password=password(partner),
                known_hosts=([key], [], []),
            ) as connection,
            connection.start_sftp_client() as client,
        ):
            yield client

    async def put(self, name: str, file: str, content: bytes = b"content") -> None:
        """Upload a file over a session of its own."""
        async with self.visit(name) as client, client.open(file, "wb") as remote:
            await remote.write(content)

    async def serves(self, name: str) -> bool:
        """Whether a node lets an SFTP client in."""
        try:
            async with self.visit(name):
                return True
        except (OSError, asyncssh.Error):
            return False

    @property
    def tls(self) -> ssl.SSLContext:
        """Trust in the lab's authority."""
        return ssl.create_default_context(cafile=self.layout.keys / "ca.pem")

    def web(self, name: str, partner: str = PARTNER) -> httpx.AsyncClient:
        """A client of a node's HTTPS server."""
        return httpx.AsyncClient(
            base_url=f"https://{self.address(name)}:{HTTPS_PORT}",
            verify=self.tls,
            auth=(partner, password(partner)),
        )

    def admin(self, name: str, **more: Any) -> httpx.AsyncClient:  # noqa: ANN401 - httpx's own
        """A client of a node's admin API, with Basic authentication unless *more* replaces it."""
        given: dict[str, Any] = {
            "auth": (ADMIN_USER, ADMIN_PASSWORD),
            "headers": {"Referer": "https://tests/"},
            **more,
        }
        base = f"https://{self.address(name)}:{ADMIN_PORT}/api/v2.0/"
        return httpx.AsyncClient(base_url=base, verify=self.tls, **given)

    async def ask(self, name: str, path: str, method: str = "GET") -> Any:  # noqa: ANN401 - JSON
        """The JSON that a node's admin API answers; it drops out while services start or stop."""
        until = time.monotonic() + 5
        while True:
            try:
                async with self.admin(name) as client:
                    answer = await client.request(method, path)
            except httpx.TransportError:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.02)
            else:
                assert answer.status_code == 200, answer.text
                return answer.json()

    async def schedule(self, name: str, operation: str, service: str) -> None:
        """Start or stop Scheduler or FolderMonitor on a Server."""
        path = f"clusterServices/operations?operation={operation}&serviceName={service}"
        assert (await self.ask(name, path, "POST"))["isSuccessful"]

    async def sql(self, cluster: str, statement: LiteralString, *values: object) -> list[Any]:
        """The rows of a statement in a cluster's database."""
        async with await psycopg.AsyncConnection.connect(
            self.layout.cluster(cluster).dsn, autocommit=True
        ) as connection:
            cursor = await connection.execute(statement, values)
            return await cursor.fetchall() if cursor.description else []

    def effects(self, name: str, service: str) -> list[str]:
        """What happened to a service, in sequence."""
        return [
            entry["effect"]
            for entry in records.read(self.layout.effects)
            if (entry["place"], entry["service"]) == (name, service)
        ]

    def work(self, kind: str, cluster: str = "cluster1") -> list[tuple[str, str]]:
        """Where and on what such work was done."""
        return [
            (entry["node"], entry["key"])
            for entry in records.read(self.layout.work)
            if (entry["kind"], entry["cluster"]) == (kind, cluster)
        ]

    def pid(self, name: str, file: str) -> int:
        """The process id in a PID file."""
        return int((self.home(name) / "var/run" / file).read_text(encoding="utf-8"))
