"""The HTTPS protocol server.

``GET /files/`` lists names as JSON; ``PUT``, ``GET`` and ``DELETE`` act on ``/files/NAME``.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from urllib.parse import unquote

import aiohttp
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from lab.layout import HTTPS_PORT
from lab.node.service import Context, Line
from lab.node.sessions import ProtocolServer, Session
from lab.node.streaming import NoTransactionManager, Refused, Stream

_CHUNK = 1 << 16


class _Visit:
    """One client's connection, a session from its first login on."""

    def __init__(self, stream: Stream, session: Session, authorization: str) -> None:
        self.stream = stream
        self.session = session
        self.authorization = authorization


class _Connections(web.Server):
    """Notifies the protocol server when a client has disconnected."""

    owner: HttpServer

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self.owner.disconnected(handler)


class HttpServer(ProtocolServer):
    """The HTTP protocol server, over TLS."""

    protocol = "http"

    def __init__(self, context: Context, line: Line) -> None:
        super().__init__(context, line)
        self._web = _Connections(self._answer, access_log=None, keepalive_timeout=3600)
        self._web.owner = self
        self._visits: dict[object, _Visit] = {}
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(context.layout.keys / "https.pem")

    async def open(self) -> None:
        """Listen."""
        self.listener = await asyncio.get_running_loop().create_server(
            self._web, self.context.node.address, HTTPS_PORT, ssl=self._tls, reuse_address=True
        )

    def disconnected(self, connection: object) -> None:
        """End the session of a closed connection."""
        if visit := self._visits.pop(connection, None):
            self.end_session(visit.session)
            visit.stream.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self.admits:
            return web.Response(status=503, text="the server is shutting down")
        self.begin(work := object())
        try:
            visit = await self._visit(request)
            visit.session.command = f"{request.method} {request.path}"
            return await self._carry_out(request, visit)
        except NoTransactionManager as fault:
            return web.Response(status=503, text=str(fault))
        except Refused as refusal:
            missing = "No such file" in str(refusal)
            return web.Response(status=404 if missing else 500, text=str(refusal))
        except web.HTTPException as answer:
            return web.Response(status=answer.status, text=answer.text, headers=answer.headers)
        finally:
            self.finish(work)

    async def _visit(self, request: web.BaseRequest) -> _Visit:
        given = request.headers.get("Authorization", "")
        known = self._visits.get(request.protocol)
        if known and known.authorization == given:
            return known
        account = await self._login(stream := self.stream(), given)
        self.disconnected(request.protocol)
        session = Session(account, str(request.remote), request.protocol.force_close)
        visit = _Visit(stream, self.begin_session(session), given)
        self._visits[request.protocol] = visit
        return visit

    async def _login(self, stream: Stream, authorization: str) -> str:
        challenge = {"WWW-Authenticate": 'Basic realm="SecureTransport"'}
        try:
            given = aiohttp.BasicAuth.decode(authorization)
            if self.refuses(given.login):
                raise Refused("authentication failed")  # noqa: TRY301 - as a manager would
            await stream.ask("login", account=given.login, password=given.password)
        except (ValueError, Refused) as refusal:
            stream.close()
            raise web.HTTPUnauthorized(headers=challenge, text="login required") from refusal
        return str(given.login)

    async def _carry_out(self, request: web.BaseRequest, visit: _Visit) -> web.StreamResponse:
        if not request.path.startswith("/files/"):
            raise web.HTTPNotFound
        name = unquote(request.path.removeprefix("/files/"))
        asked: dict[str, Any] = {"account": visit.session.account, "path": name}
        match request.method:
            case "GET" if not name:
                entries = (await visit.stream.ask("list", **asked)).head["entries"]
                return web.json_response([entry[0] for entry in entries])
            case "GET":
                return await self._download(request, visit, asked)
            case "PUT":
                return await self._upload(request, visit, asked)
            case "DELETE":
                await visit.stream.ask("remove", **asked)
                return web.Response(status=204)
        raise web.HTTPMethodNotAllowed(request.method, ["GET", "PUT", "DELETE"])

    async def _download(
        self, request: web.BaseRequest, visit: _Visit, asked: dict[str, Any]
    ) -> web.StreamResponse:
        file = (await visit.stream.ask("open", mode="read", **asked)).head["file"]
        visit.session.transferring += 1
        ending = "abort"
        try:
            size = (await visit.stream.ask("size", file=file)).head["facts"][1]
            response = web.StreamResponse(headers={"Content-Length": str(size)})
            await response.prepare(request)
            for offset in range(0, size, _CHUNK):
                part = await visit.stream.ask("read", file=file, offset=offset, size=_CHUNK)
                await response.write(part.payload)
            await response.write_eof()
            ending = "close"
        finally:
            visit.session.transferring -= 1
            await visit.stream.ask(ending, file=file)
        return response

    async def _upload(
        self, request: web.BaseRequest, visit: _Visit, asked: dict[str, Any]
    ) -> web.StreamResponse:
        file = (await visit.stream.ask("open", mode="write", **asked)).head["file"]
        visit.session.transferring += 1
        ending, offset = "abort", 0
        try:
            async for part in request.content.iter_chunked(_CHUNK):
                await visit.stream.ask("write", part, file=file, offset=offset)
                offset += len(part)
            ending = "close"
        finally:
            visit.session.transferring -= 1
            await visit.stream.ask(ending, file=file)
        return web.Response(status=201)
