"""The admin service of a node: authentication, sessions, faults and outages.

Basic authentication, an API key, or a session from ``POST /myself``, whose writes need the
``csrfToken`` it answered. Every call needs a ``Referer`` (docs/securetransport.md, section 8). The
resources are in ``lab.node.rest`` and the modules ``lab.node.api_*``.

Faults (``SimulationOptions.faults``): ``admin_silent`` (any text): every request is broken off;
``admin_password``: the password it accepts instead; ``refuse_operations`` (any text): operations
answer 200 and ``isSuccessful`` false; ``cluster_service_status``: the status of Scheduler and
Folder Monitor.
"""

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web

from lab import records
from lab.forking import Message
from lab.keys import api_key
from lab.layout import ADMIN_PASSWORD, ADMIN_PORT, ADMIN_USER
from lab.node.api_cluster import ClusterResources
from lab.node.api_objects import Objects
from lab.node.api_records import Logs
from lab.node.request_hook import RequestEvent, When, passes
from lab.node.rest import Resources
from lab.node.service import Context, Line

BASE = "/api/v2.0"
_READS = ("GET", "HEAD")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Admin:
    """The admin service of one node."""

    def __init__(self, context: Context, line: Line) -> None:
        self._context = context
        self._line = line
        self._sessions: dict[str, tuple[str, str]] = {}
        """By cookie: the token that writes must carry, and the Referer it was opened with."""

        @web.middleware
        async def trusted(request: web.Request, handler: Handler) -> web.StreamResponse:
            silent = "admin_silent" in self._context.faults
            if silent or not await self._passes("before", request):
                if request.transport:
                    request.transport.abort()  # without an answer
                raise web.HTTPServiceUnavailable
            answer = self._objection(request) or await handler(request)
            await self._passes("after", request)
            return answer

        application = web.Application(middlewares=[trusted])
        application.add_routes(Resources(context, line).routes(BASE))
        application.add_routes(Logs(context, line).routes(BASE))
        application.add_routes(ClusterResources(context).routes(BASE))
        application.add_routes(Objects(context).routes(BASE))
        application.add_routes(
            [web.post(f"{BASE}/myself", self._log_in), web.delete(f"{BASE}/myself", self._log_out)]
        )
        self._runner = web.AppRunner(application, access_log=None, keepalive_timeout=300)
        self._listener: asyncio.Server | None = None
        self._dropouts = 0
        line.on("dropout", self._drop_out)

    async def serve(self) -> None:
        """Answer until the process is ended, after the delay of a fresh start."""
        await self._runner.setup()
        await asyncio.sleep(self._context.delay)
        await self._open()
        self._line.send("ready")
        await asyncio.Event().wait()

    async def _open(self) -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self._context.layout.keys / f"{self._context.node.name}.pem")
        assert self._runner.server
        self._listener = await asyncio.get_running_loop().create_server(
            self._runner.server, self._context.node.address, ADMIN_PORT, ssl=tls, reuse_address=True
        )

    def _drop_out(self, _: Message) -> None:
        """Do not answer for a moment, since a service starts or stops."""
        seconds = self._context.simulation.admin_dropout
        if not (self._listener and seconds):
            return
        self._listener.close()
        assert self._runner.server
        for connection in self._runner.server.connections:
            connection.close()  # after the answer it is working on
        self._dropouts += 1
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, lambda: loop.create_task(self._come_back(self._dropouts)))

    async def _come_back(self, dropout: int) -> None:
        if dropout == self._dropouts:
            await self._open()

    def _objection(self, request: web.Request) -> web.Response | None:
        layout, node = self._context.layout, self._context.node
        if layout.drivers.jump_host and request.remote not in {node.address, layout.operator}:
            records.append(layout.ways, to=node.name, past_by=request.remote)
            return web.Response(status=403, text="Only this machine itself is let in.")
        referer = request.headers.get("Referer")
        if not referer:
            return web.Response(status=403, text="The Referer header is missing.")
        if not self._known(request):
            return web.Response(
                status=401,
                text="Authentication required.",
                headers={"WWW-Authenticate": 'Basic realm="SecureTransport"'},
            )
        session = self._sessions.get(request.cookies.get("JSESSIONID", ""))
        if session and "Authorization" not in request.headers:
            token, opened_with = session
            if referer != opened_with:
                return web.Response(status=403, text="The Referer has changed.")
            if request.method not in _READS and request.headers.get("csrfToken") != token:
                return web.Response(status=403, text="The csrfToken header is missing or wrong.")
        return None

    async def _passes(self, when: When, request: web.Request) -> bool:
        text = f"{request.method} {request.path_qs}"
        event = RequestEvent(when, self._context.node.name, "rest", text)
        return await passes(self._context.layout, event)

    def _known(self, request: web.Request) -> bool:
        if "SECURETRANSPORT-API-KEY" in request.headers:
            return request.headers["SECURETRANSPORT-API-KEY"] == api_key()
        if "Authorization" in request.headers:
            expected = self._context.faults.get("admin_password", ADMIN_PASSWORD)
            try:
                given = aiohttp.BasicAuth.decode(request.headers["Authorization"])
            except ValueError:
                return False
            return (given.login, given.password) == (ADMIN_USER, expected)
        return request.cookies.get("JSESSIONID") in self._sessions

    async def _log_in(self, request: web.Request) -> web.Response:
        cookie, token = secrets.token_hex(16), secrets.token_hex(16)
        self._sessions[cookie] = token, request.headers["Referer"]
        answer = web.json_response(
            {"message": "User successfully logged in."}, headers={"csrfToken": token}
        )
        answer.set_cookie("JSESSIONID", cookie, secure=True, httponly=True)
        return answer

    async def _log_out(self, request: web.Request) -> web.Response:
        self._sessions.pop(request.cookies.get("JSESSIONID", ""), None)
        return web.json_response({"message": "User successfully logged out."})
