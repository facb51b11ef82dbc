"""A node's admin REST API for tests: real TLS, real HTTP, answers that a test sets."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.admin_logs import AdminLogs
from tests.support.http_server import serving_http
from tests.support.port_listeners import Listener

BASE = "/api/v2.0"
LOGIN = f"Basic {base64.b64encode(b'admin:admin-secret').decode()}"


_OPTIONS: tuple[dict[str, Any], ...] = (
    {"name": "Http.GracefulShutdownTimeout", "values": ["30"]},
    *({"name": f"Other.{number}", "values": []} for number in range(250)),
    {"name": "Ssh.GracefulShutdownTimeout", "values": ["86400"]},
)


@dataclass
class Certificate:
    """A certificate for 127.0.0.1, signed by itself."""

    file: Path
    fingerprint: str

    @classmethod
    def make(cls, file: Path, address: str = "127.0.0.1") -> Certificate:
        """Write certificate and key into one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
        now = datetime.now(UTC)
        addresses = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(addresses, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        clear = serialization.NoEncryption()
        file.write_bytes(
            certificate.public_bytes(pem)
            + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, clear)
        )
        der = certificate.public_bytes(serialization.Encoding.DER)
        return cls(file, hashlib.sha256(der).hexdigest())


@dataclass
class Api:
    """What one node answers; tests change it while it runs."""

    certificate: Certificate
    port: int = 0
    scheduling: dict[str, str] = field(
        default_factory=lambda: {"Scheduler": "Running.", "FolderMonitor": "Running."}
    )
    sessions: list[dict[str, Any]] = field(default_factory=list)
    events: list[str | dict[str, Any]] = field(default_factory=list)
    """Ids, or events with more fields."""
    hides_events: int = 0
    """How many of the next listings count events and show none."""
    transfers: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    """As ``asked``, with the query, as they were sent."""
    fails: list[int] = field(default_factory=list)
    """Statuses that the next requests are answered with instead."""
    refuses: str = ""
    refuses_once: bool = False
    """What operations are refused with, in a 200."""
    forgets: bool = False
    """Carry the next operation out and lose the reply."""
    stuck: bool = False
    """Accept operations and do nothing."""
    clock_ahead: timedelta = timedelta()
    options: list[dict[str, Any]] = field(default_factory=lambda: list(_OPTIONS))
    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Accounts, sites and the like, by resource; others are not there."""
    lists_later: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Lists that are there from the next time that one of them was missed."""
    audit: list[dict[str, Any]] | None = field(default_factory=list)
    """Entries of the audit log, the newest first, in place of those of ``logs``; None where there
    is no such resource."""
    page_size: int = 100
    """How many items a page has at most, whatever the request's limit."""
    members: list[Any] | None = field(default_factory=lambda: [{"serverAddress": "127.0.0.1"}])
    """The nodes of the cluster; None where there is no cluster."""
    zones: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"name": "Private", "edges": [_machine("Host", "198.51.100.7")]},
            {"name": "Perimeter", "edges": [_machine("Gateway 1", "192.0.2.1", "2001:DB8::1")]},
        ]
    )

    logs: AdminLogs = field(default_factory=AdminLogs)
    servers: dict[str, Listener] = field(default_factory=dict)
    """What listens for the daemons, by names such as "Ssh Default"; active while it does."""
    maintenance: str | None = "disabled"
    """None where the version has no such resource."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.asked.append(f"{request.method} {request.path.removeprefix(BASE)}")
        self.targets.append(f"{request.method} {request.raw_path}")
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        path = request.path.removeprefix(f"{BASE}/")
        if path == "clusterServices/operations":
            return await self._operate(request)
        if path == "servers/operations":
            return await self._operate_server(request)
        answers: dict[str, Callable[[], object]] = {
            "clusterServices": lambda: {"status": self.scheduling[request.query["serviceName"]]},
            "sessions": lambda: self.sessions,
            "events": lambda: self._events(request),
            "transfers": lambda: _page(request, self.page_size, self.transfers),
            "version": lambda: {"version": "5.5-20240328", "serverType": "Server", "os": "Linux"},
            "configurations/database": lambda: {"databaseType": "PostgreSQL", "port": "5432"},
            "configurations/options": lambda: _page(request, self.page_size, self.options),
            "configurations/clusterManagement": lambda: {
                "isCluster": self.members is not None,
                "clusterMode": None,
                "clusterNodes": self.members,
            },
            "servers": lambda: _page(request, self.page_size, self._listed_servers()),
            "logs/transfers": lambda: _page(
                request, self.page_size, self.logs.listed_transfers(request)
            ),
            "logs/audit": lambda: _page(request, self.page_size, self.logs.listed_audit(request)),
            "zones": lambda: _page(request, self.page_size, self.zones),
            **{
                resource: partial(_page, request, self.page_size, items)
                for resource, items in self.lists.items()
            },
        }
        if self.audit is None:
            del answers["logs/audit"]
        elif entries := self.audit:
            answers["logs/audit"] = lambda: _page(request, self.page_size, entries)
        if self.maintenance is not None:
            mode = {"zduMaintenanceMode": self.maintenance}
            answers["configurations/maintenance"] = lambda: mode
        if path not in answers:
            self.lists.update(self.lists_later)
            return web.Response(status=404, text="there is none")
        body = answers[path]()
        now = datetime.now(UTC) + self.clock_ahead
        return web.json_response(body, headers={"Date": format_datetime(now, usegmt=True)})

    def _events(self, request: web.Request) -> dict[str, Any]:
        page = _page(request, self.page_size, self.events)
        if self.hides_events:
            self.hides_events -= 1
            return {**page, "result": []}
        return page

    def _listed_servers(self) -> list[dict[str, Any]]:
        return [
            {"protocol": name.split()[0].lower(), "serverName": name, "isActive": server.listens}
            for name, server in self.servers.items()
        ]

    def _refusal(self, request: web.Request) -> web.Response | None:
        if self.fails:
            return web.Response(status=self.fails.pop(0), text="not now")
        if "Referer" not in request.headers:
            return web.Response(status=403, text="no Referer")
        if request.headers.get("Authorization") != LOGIN:
            return web.Response(status=401, text="who are you?")
        return None

    async def _operate(self, request: web.Request) -> web.StreamResponse:
        if self.refuses or self.refuses_once:
            self.refuses_once = False
            return web.json_response({"message": self.refuses or "busy", "isSuccessful": False})
        if not self.stuck:
            verb, name = request.query["operation"], request.query["serviceName"]
            self.scheduling[name] = "Running." if verb == "start" else "Not running."
        if self.forgets:
            self.forgets = False
            assert request.transport is not None
            request.transport.close()
        return web.json_response({"message": "done", "isSuccessful": True})

    async def _operate_server(self, request: web.Request) -> web.StreamResponse:
        name = request.query["serverName"]
        refused = bool(self.refuses or self.refuses_once)
        if not refused and not self.stuck and not self.servers[name].listens:
            await self.servers[name].open(self.servers[name].port)
        message = (self.refuses or "busy") if refused else "done"
        self.refuses_once = False
        if self.forgets:
            self.forgets = False
            assert request.transport is not None
            request.transport.close()
        status = {"serverName": name, "message": message, "isSuccessful": not refused}
        return web.json_response({"serverStatuses": [status]})


@asynccontextmanager
async def serving(certificate: Certificate) -> AsyncIterator[Api]:
    """Serve an admin API on loopback."""
    api = Api(certificate)
    async with serving_http(api.answer, certificate.file) as api.port:
        yield api


def _machine(title: str, *addresses: str) -> dict[str, Any]:
    listed = [{"ipAddress": address} for address in addresses]
    return {"title": title, "notes": None, "deploymentSite": "Prod", "ipAddresses": listed}


def _page(request: web.Request, size: int, given: Sequence[str | dict[str, Any]]) -> dict[str, Any]:
    offset = int(request.query.get("offset", 0))
    limit = min(size, int(request.query.get("limit", 100)))
    items = [{"id": item} if isinstance(item, str) else item for item in given]
    fields = request.query.get("fields")
    shown = [
        {key: value for key, value in item.items() if fields is None or key in fields.split(",")}
        for item in items[offset : offset + limit]
    ]
    return {"resultSet": {"returnCount": len(shown), "totalCount": len(items)}, "result": shown}
