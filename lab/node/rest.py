"""A node's services in the admin API (docs/securetransport.md, section 8)."""

import random
from typing import Any

from aiohttp import web

from lab.layout import DATABASE, DATABASE_PORT, PROTOCOL_PORTS
from lab.node import services
from lab.node.options import grace
from lab.node.paging import invalid, missing, page
from lab.node.service import Context, Line

_RUNNING = "Running"
_NOT_RUNNING = "Not running"
_BLIND_TO = ("as2", "pesit")
_OPERATIONS = ("start", "stop")
_SERVER_FILTERS = ("protocol", "serverName", "isActive")


class Resources:
    """What this node's own machine knows or can do."""

    def __init__(self, context: Context, line: Line) -> None:
        self._context = context
        self._line = line

    def routes(self, base: str) -> list[web.RouteDef]:
        """Every resource, below *base*."""
        return [
            web.get(f"{base}/daemons", self._daemons),
            web.post(f"{base}/daemons/operations", self._operate_daemons),
            web.get(f"{base}/servers", self._servers),
            web.post(f"{base}/servers/operations", self._operate_servers),
            web.get(f"{base}/clusterServices", self._cluster_service),
            web.post(f"{base}/clusterServices/operations", self._operate_cluster_service),
            web.get(f"{base}/transactionManager", self._transaction_manager),
            web.post(f"{base}/transactionManager/operations", self._operate_transaction_manager),
            web.get(f"{base}/sessions", self._sessions),
            web.delete(f"{base}/sessions/{{id}}", self._end_session),
            web.get(f"{base}/configurations/database", self._configured_database),
            web.get(f"{base}/version", self._version),
            web.get(f"{base}/myself", self._myself),
        ]

    async def _daemons(self, _: web.Request) -> web.Response:
        states = (await self._line.ask("states"))["services"]
        return web.json_response(
            {
                f"{name}Status": _RUNNING if states[name] == "alive" else _NOT_RUNNING
                for name in services.PROTOCOLS
            }
        )

    async def _servers(self, request: web.Request) -> web.Response:
        wanted = {key: value for key, value in request.query.items() if key in _SERVER_FILTERS}
        servers = [await self._server(name) for name in services.PROTOCOLS]
        return page(
            request,
            [
                server
                for server in servers
                if all(str(server[key]).lower() == wanted[key].lower() for key in wanted)
            ],
        )

    async def _server(self, protocol: str) -> dict[str, Any]:
        """A server is active while it listens: it falls with its daemon."""
        return {
            "protocol": protocol,
            "serverName": services.server_of(protocol),
            "isActive": (await self._line.ask("active", protocol)).get("active", False),
            "port": PROTOCOL_PORTS[protocol],
        }

    async def _operate_servers(self, request: web.Request) -> web.Response:
        verb = request.query.get("operation", "").lower()
        if verb not in _OPERATIONS:
            raise _unknown_operation(verb)
        names = request.query.getall("serverName", [])
        if not names:
            raise invalid("serverName: it is missing")
        statuses = [
            {"serverName": name, **await self._operate_server(request, verb, name)}
            for name in names
        ]
        return web.json_response({"serverStatuses": statuses})

    async def _operate_server(self, request: web.Request, verb: str, name: str) -> dict[str, Any]:
        owners = [daemon for daemon in services.PROTOCOLS if services.server_of(daemon) == name]
        if not owners:
            return _failed(f"Server with name {name} does not exist.")
        if "refuse_operations" in self._context.faults:
            return _failed(f"The operation on {name} failed.")
        by = _actor(request)
        answer = await self._line.ask("operate_server", owners[0], verb=verb, by=by)
        if not answer.get("accepted"):
            return _failed(f"the {owners[0]} daemon is not started")
        return {"message": f"{verb} {name} was successful", "isSuccessful": True}

    async def _operate_daemons(self, request: web.Request) -> web.Response:
        verb = _verb(request)
        names = request.query.getall("daemon", list(services.PROTOCOLS))
        if unknown := [name for name in names if name not in services.PROTOCOLS]:
            raise invalid(*(f"daemon: {name!r} is unknown" for name in unknown))
        return web.json_response(
            {
                "daemonOperationResults": [
                    {"daemon": name, **await self._operate(request, verb, name)} for name in names
                ]
            }
        )

    async def _transaction_manager(self, _: web.Request) -> web.Response:
        if self._context.node.kind == "edge":
            raise missing()
        states = await self._line.ask("states")
        if states["tm_pending"]:
            return web.json_response({"status": "Shutdown in progress."})
        runs = states["services"]["tm"] == "alive"
        return web.json_response({"status": f"{_RUNNING if runs else _NOT_RUNNING}."})

    async def _operate_transaction_manager(self, request: web.Request) -> web.Response:
        if self._context.node.kind == "edge":
            raise missing()
        verb = _verb(request)
        if verb == "start":
            raise invalid("operation: 'start' is not supported")
        return web.json_response(await self._operate(request, verb, "tm"))

    async def _cluster_service(self, request: web.Request) -> web.Response:
        name = self._scheduling_name(request)
        if status := self._context.faults.get("cluster_service_status"):
            return web.json_response({"status": status})
        states = await self._line.ask("states")
        if not states["enabled"]:
            return web.json_response({"status": "Disabled."})
        runs = states["scheduling"][name]
        return web.json_response({"status": f"{_RUNNING if runs else _NOT_RUNNING}."})

    async def _operate_cluster_service(self, request: web.Request) -> web.Response:
        name = self._scheduling_name(request)
        verb = _verb(request)
        return web.json_response(await self._operate(request, verb, name))

    def _scheduling_name(self, request: web.Request) -> str:
        if self._context.node.kind == "edge":
            raise missing()
        name = request.query.get("serviceName", "")
        if name not in services.SCHEDULING:
            raise invalid(f"serviceName: {name!r} is unknown")
        return name

    async def _operate(self, request: web.Request, verb: str, name: str) -> dict[str, Any]:
        if "refuse_operations" in self._context.faults:
            return _failed(f"The operation on {name} failed.")
        by = _actor(request)
        timeout = _timeout(request, name)
        answer = await self._line.ask("operation", verb=verb, service=name, by=by, timeout=timeout)
        accepted = answer["accepted"]
        outcome = "was successful" if accepted else "failed: it is in that state or disabled"
        return {"message": f"{verb} {name} {outcome}", "isSuccessful": accepted}

    async def _sessions(self, _: web.Request) -> web.Response:
        """FTP, HTTP and SSH only, and not all of them each time."""
        found: list[dict[str, Any]] = []
        for name in services.PROTOCOLS:
            if name not in _BLIND_TO:
                found.extend((await self._line.ask("sessions", name)).get("sessions", []))
        blindness = self._context.simulation.session_list_blindness
        return web.json_response([session for session in found if random.random() >= blindness])

    async def _end_session(self, request: web.Request) -> web.Response:
        for name in services.PROTOCOLS:
            answer = await self._line.ask("end_session", name, id=request.match_info["id"])
            if answer.get("ended"):
                return web.Response(status=204)
        raise missing()

    async def _version(self, _: web.Request) -> web.Response:
        kind = "Server" if self._context.node.kind == "server" else "Edge"
        return web.json_response({"version": "5.5-20240328", "serverType": kind, "os": "Linux"})

    async def _configured_database(self, _: web.Request) -> web.Response:
        if self._context.node.kind == "edge":
            raise missing()
        return web.json_response(
            {
                "databaseType": "PostgreSQL",
                "host": self._context.cluster.database_address,
                "port": str(DATABASE_PORT),
                "databaseName": DATABASE,
                "isInternalDB": False,
                "databaseRunning": True,
            }
        )

    async def _myself(self, _: web.Request) -> web.Response:
        return web.json_response({"loginName": "admin", "authenticationType": "Local"})


def _actor(request: web.Request) -> str:
    return f"{request.method} {request.path.partition('/api/v2.0')[2]}"


def _failed(message: str) -> dict[str, Any]:
    return {"message": message, "isSuccessful": False}


def _unknown_operation(operation: str) -> web.HTTPBadRequest:
    return invalid(f"operation: {operation!r} is not one of start, stop")


def _verb(request: web.Request) -> str:
    operation = request.query.get("operation", "")
    if operation not in _OPERATIONS:
        raise _unknown_operation(operation)
    graceful = request.query.get("graceful", "false") == "true"  # at once is the default
    return "drain" if operation == "stop" and graceful else operation


def _timeout(request: web.Request, name: str) -> float:
    if name in services.SCHEDULING:
        return 0.0
    text = request.query.get("timeout", str(int(grace(name))))
    if not text.isdigit():
        raise invalid(f"timeout: {text!r} is not a number")
    return float(text)
