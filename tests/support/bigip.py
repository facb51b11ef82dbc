"""A small BIG-IP: the resources of iControl REST that the example uses, as F5 documents them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.support.admin_api import Certificate
from tests.support.http_server import serving_http

LOGIN = {"username": "switchover", "password": "invented", "loginProviderName": "tmos"}
TOKEN = "an invented token"


@dataclass
class BigIp:
    """Its configuration, and what it was asked."""

    virtual: dict[str, dict[str, Any]]
    pools: dict[str, str]
    """By pool: its availability."""
    failover: str = "ACTIVE"
    sync: str = "In Sync"
    port: int = 0
    changes: list[str] = field(default_factory=list)
    tokens: int = 0
    """How many were given and not given back."""
    failures: dict[str, int] = field(default_factory=dict)
    """By method and path: the status that is answered instead."""
    ignores_changes: bool = False

    @asynccontextmanager
    async def serving(self, certificate: Certificate) -> AsyncIterator[None]:
        """Answer over HTTPS."""
        async with serving_http(self._answer, certificate.file) as self.port:
            yield

    async def _answer(self, request: web.Request) -> web.Response:  # noqa: C901, PLR0911 - one for each resource
        path, body = unquote(request.raw_path), await request.json() if request.body_exists else {}
        asked = f"{request.method} {path}"
        if status := self.failures.get(asked):
            return _error(status, "as the test asks for")
        if asked == "POST /mgmt/shared/authn/login":
            if body != LOGIN:
                return _error(401, "Authentication failed.")
            self.tokens += 1
            return web.json_response({"token": {"token": TOKEN, "timeout": 1200}})
        if request.headers.get("X-F5-Auth-Token") != TOKEN:
            return _error(401, "Authorization failed: no user authentication header or token")
        match request.method, path.split("/")[2:]:
            case "DELETE", ["shared", "authz", "tokens", _]:
                self.tokens -= 1
                return web.json_response({})
            case method, ["tm", "ltm", "virtual", name]:
                return self._virtual(method, name.replace("~", "/"), body)
            case "GET", ["tm", "ltm", "pool", name, "stats"]:
                return self._pool(name.replace("~", "/"))
            case "GET", ["tm", "cm", "failover-status"]:
                return _statistics(status=self.failover, color="green")
            case "GET", ["tm", "cm", "sync-status"]:
                return _statistics(status=self.sync, mode="high-availability")
            case "POST", ["tm", "cm"] | ["tm", "sys", "config"]:
                self.changes.append(f"{path} {body}")
                return web.json_response(body)
        return _error(404, f"Public URI path not registered: {path}")

    def _virtual(self, method: str, name: str, body: dict[str, Any]) -> web.Response:
        if name not in self.virtual:
            return _error(404, f"01020036:3: The requested Virtual Server ({name}) was not found.")
        if method == "PATCH":
            if body["pool"] not in self.pools:
                return _error(404, f"01020036:3: The requested Pool ({body['pool']}) not found.")
            self.changes.append(f"{name} {body}")
            if not self.ignores_changes:
                self.virtual[name] |= body
        return web.json_response({"kind": "tm:ltm:virtual:virtualstate", **self.virtual[name]})

    def _pool(self, name: str) -> web.Response:
        if name not in self.pools:
            return _error(404, f"01020036:3: The requested Pool ({name}) was not found.")
        state = {"status.availabilityState": self.pools[name], "status.enabledState": "enabled"}
        return _statistics(**state)


def _statistics(**described: str) -> web.Response:
    entries = {name: {"description": text} for name, text in described.items()}
    url = "https://localhost/mgmt/tm/a/b/0"
    return web.json_response({"entries": {url: {"nestedStats": {"entries": entries}}}})


def _error(code: int, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message, "errorStack": []}, status=code)
