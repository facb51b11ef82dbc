"""Page the answers of the admin API, and refuse invalid queries."""

import json
from collections.abc import Sequence
from typing import Any

from aiohttp import web

_PAGE = 100


def invalid(*errors: str) -> web.HTTPBadRequest:
    """Return the refusal of a question that makes no sense."""
    body = {"message": "Error validating request", "validationErrors": list(errors) or None}
    return web.HTTPBadRequest(text=json.dumps(body), content_type="application/json")


def missing() -> web.HTTPNotFound:
    """Return the answer about something that this node or this version does not have."""
    body = {"message": "The resource does not exist.", "validationErrors": None}
    return web.HTTPNotFound(text=json.dumps(body), content_type="application/json")


def limits(request: web.Request) -> tuple[int, int]:
    """Return the limit and offset that were asked for."""
    found = []
    for name, default in (("limit", _PAGE), ("offset", 0)):
        text = request.query.get(name, str(default))
        if not text.isdigit():
            raise invalid(f"{name}: {text!r} is not a number")
        found.append(int(text))
    return found[0], found[1]


def page(request: web.Request, entries: Sequence[dict[str, Any]]) -> web.Response:
    """Answer with the asked part of all entries."""
    limit, offset = limits(request)
    return result(request, entries[offset : offset + limit], len(entries))


def result(request: web.Request, entries: Sequence[dict[str, Any]], total: int) -> web.Response:
    """Answer with these entries out of *total*, and of each only the asked fields."""
    fields = request.query.get("fields")
    names = fields.split(",") if fields else None
    shown = [
        {key: value for key, value in entry.items() if names is None or key in names}
        for entry in entries
    ]
    return web.json_response(
        {"resultSet": {"returnCount": len(shown), "totalCount": total}, "result": shown}
    )
