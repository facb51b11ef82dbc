"""Events, transfers, audit entries and logs in the admin API.

On Servers events, transfers and audit entries are the cluster's; an Edge has no database and shows
none. The server log is the node's own.
"""

import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from aiohttp import web

from lab.layout import ADMIN_USER
from lab.node import options
from lab.node.database import Database
from lab.node.paging import invalid, limits, page, result
from lab.node.service import Context, Line
from lab.node.tables import Listing, listed

_EVENTS = Listing(
    "SELECT '0x' || replace(id::text, '-', ''), CASE WHEN attempts > 0 THEN 'active' ELSE 'ready' "
    "END, account, path, 'advancedRouting', 'ADVANCED_ROUTING', attempts, "
    "(extract(epoch FROM created) * 1000)::bigint, NULL FROM event",
    (
        *("id", "status", "accountName", "fullTarget", "agentType", "processorType", "retryCount"),
        *("arrivalTime", "lastHeartbeat"),
    ),
    sort_by="8, 1",  # the oldest first
)
_TRANSFERS = Listing(
    "SELECT json_build_object('mTransferStatusId', id::text, 'urlrepresentation', "
    "encode(convert_to(id::text, 'UTF8'), 'base64')), path, direction = 'upload', upper(protocol), "
    "false, NULL, false, started, account, status FROM transferdata "
    "WHERE (%s::text IS NULL OR lower(account) LIKE %s) AND (%s::text IS NULL OR status = %s) "
    "AND (%s::timestamptz IS NULL OR started >= %s) "
    "AND (%s::timestamptz IS NULL OR ended >= %s) AND (%s::timestamptz IS NULL OR ended <= %s)",
    (
        *("id", "filename", "incoming", "protocol", "serverInitiated", "operationIndex"),
        *("isCancellable", "startTime", "account", "status"),
    ),
    sort_by="id",  # which is random: without being asked, the list has no sequence
)
_ASCENDING = replace(_TRANSFERS, sort_by="started, id")
_DESCENDING = replace(_TRANSFERS, sort_by="started DESC, id")
_ACTIVE = Listing(
    "SELECT id, account, path, protocol, direction, node, status, started "
    "FROM transferdata WHERE status = 'In Progress'",
    (*("id", "account", "filename", "protocol", "direction", "serverName", "status"), "startTime"),
)
_AUDIT = Listing(
    "SELECT id, at, upper(operation_type), object_type, object_name, user_name, NULL, NULL "
    "FROM auditlog WHERE (%s::timestamptz IS NULL OR at >= %s) "
    "AND (%s::timestamptz IS NULL OR at <= %s) "
    "AND (%s::text IS NULL OR upper(operation_type) = %s) "
    "AND (%s::text IS NULL OR object_type = %s) AND (%s::text IS NULL OR object_name = %s) "
    "AND (%s::text IS NULL OR position(%s IN user_name) > 0)",
    (
        *("id", "dateModified", "operationType", "objectType", "objectName", "userName"),
        *("remoteAddress", "description"),
    ),
    sort_by="at DESC, id",
)
_AUDIT_OPERATIONS = ("CREATE", "UPDATE", "DELETE", "CREATE_OR_UPDATE")


class Logs:
    """What the cluster's database and the node's own log hold."""

    def __init__(self, context: Context, line: Line) -> None:
        self._context = context
        self._line = line
        self._database = Database(context.cluster.dsn)

    def routes(self, base: str) -> list[web.RouteDef]:
        """Every resource, below *base*."""
        return [
            web.get(f"{base}/events", self._events),
            web.get(f"{base}/transfers", self._active),
            web.get(f"{base}/logs/transfers", self._transfers),
            web.get(f"{base}/logs/audit", self._audit),
            web.get(f"{base}/logs/server", self._server_log),
            web.get(f"{base}/configurations/options", self._options),
            web.patch(f"{base}/configurations/options/{{name}}", self._change_option),
        ]

    async def _rows(self, request: web.Request, listing: Listing, *values: object) -> web.Response:
        if self._context.node.kind == "edge":
            limits(request)  # a bad question is refused all the same
            return result(request, [], 0)
        return await listed(request, self._database, listing, *values)

    async def _events(self, request: web.Request) -> web.Response:
        return await self._rows(request, _EVENTS)

    async def _active(self, request: web.Request) -> web.Response:
        if (await self._line.ask("states"))["tm_pending"]:
            raise web.HTTPServiceUnavailable(text="The Transaction Manager is shutting down.")
        return await self._rows(request, _ACTIVE)

    async def _transfers(self, request: web.Request) -> web.Response:
        """File tracking; other parameters, such as accountName, are silently ignored."""
        account = request.query.get("account")
        sequence = request.query.get("sortByStartTime")
        sorted_by = _ASCENDING if sequence == "ascending" else _DESCENDING
        values = (
            None if account is None else _like(account.lower()),
            request.query.get("status"),
            *(_moment(request, name) for name in _TRANSFER_DATES),
        )
        listing = _TRANSFERS if sequence is None else sorted_by
        return await self._rows(request, listing, *_twice(values))

    async def _audit(self, request: web.Request) -> web.Response:
        """The audit log, the newest entry first."""
        operation = request.query.get("operationType")
        if operation not in (None, *_AUDIT_OPERATIONS):
            raise invalid(f"Unknown name value {operation} for enum class")
        values = (
            *(_moment(request, name) for name in ("fromDate", "endDate")),
            operation,
            *(request.query.get(name) for name in ("objectType", "objectName", "userName")),
        )
        return await self._rows(request, _AUDIT, *_twice(values))

    async def _server_log(self, request: web.Request) -> web.Response:
        since = _date(request.query.get("fromDate"))
        component = request.query.get("component")
        file = self._context.node.home / "var/logs/server.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return page(
            request,
            [
                {
                    "time": format_datetime(datetime.fromtimestamp(entry["at"], UTC)),
                    "level": entry["level"],
                    "component": entry["component"],
                    "message": entry["message"],
                }
                for entry in map(json.loads, lines)
                if entry["at"] >= since and component in (None, entry["component"])
            ],
        )

    async def _options(self, request: web.Request) -> web.Response:
        found = options.options(self._context.layout, self._context.node)
        name = request.query.get("name")
        return page(
            request,
            [
                {
                    "name": option.name,
                    "values": list(option.values),
                    "isLocal": option.local,
                    "encrypted": option.encrypted,
                }
                for option in found
                if name in (None, option.name)
            ],
        )

    async def _change_option(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        changed = await request.json()
        if not isinstance(changed, dict) or not changed.get("values"):
            raise invalid("values: one is needed")
        if self._context.node.kind == "server":
            await self._database.run(
                "INSERT INTO auditlog (id, operation_type, object_type, object_name, user_name) "
                "VALUES (%s, 'UPDATE', 'ServerConfigurationParameter', %s, %s)",
                uuid.uuid4(),
                name,
                ADMIN_USER,
            )
        value = str(changed["values"][0])
        options.change(self._context.layout, self._context.node.cluster, name, value)
        return web.Response(status=204)


_TRANSFER_DATES = ("startTimeAfter", "endTimeAfter", "endTimeBefore")


def _twice(values: Iterable[object]) -> Iterator[object]:
    """Each is asked whether it is there, and then for what it is."""
    for value in values:
        yield from (value, value)


def _like(pattern: str) -> str:
    """Return the pattern of an account as SQL has it: only * stands for others."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")


def _moment(request: web.Request, name: str) -> datetime | None:
    text = request.query.get(name)
    return None if text is None else datetime.fromtimestamp(_date(text, name), UTC)


def _date(text: str | None, name: str = "fromDate") -> float:
    if text is None:
        return 0.0
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError as unreadable:
        raise invalid(f"{name}: {text!r} is no RFC 2822 date") from unreadable
