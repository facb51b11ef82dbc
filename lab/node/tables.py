"""Rows of the cluster's database in the admin API."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any, LiteralString

import psycopg
from aiohttp import web

from lab.node.database import Database
from lab.node.paging import limits, result


@dataclass(frozen=True)
class Listing:
    """One list: which rows, and what their columns are called in it."""

    select: LiteralString
    fields: tuple[str, ...]
    sort_by: LiteralString = "1"


async def listed(
    request: web.Request, database: Database, listing: Listing, *values: object
) -> web.Response:
    """Answer with the asked part of the rows."""
    limit, offset = limits(request)
    try:
        counted = await database.run(
            f"SELECT count(*) FROM ({listing.select}) AS found",  # noqa: S608 - a literal
            *values,
        )
        rows = await database.run(
            f"{listing.select} ORDER BY {listing.sort_by} LIMIT %s OFFSET %s",
            *values,
            limit,
            offset,
        )
    except psycopg.OperationalError as fault:
        raise web.HTTPInternalServerError(text=f"database: {fault}") from fault
    entries = [dict(zip(listing.fields, map(_shown, row), strict=True)) for row in rows]
    return result(request, entries, counted[0][0])


def _shown(value: object) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, datetime):
        return format_datetime(value)
    return str(value) if isinstance(value, uuid.UUID) else value
