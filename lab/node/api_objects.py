"""Accounts, sites, routes and other objects in the admin API of a Server.

What operators configure is in the cluster's database; an Edge has none and answers 404.
Fault (``SimulationOptions.faults``): ``without``: the list that this edition does not have.
"""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from lab.node.database import Database
from lab.node.paging import missing
from lab.node.service import Context
from lab.node.tables import Listing, listed

LISTINGS: Mapping[str, Listing] = {
    "accounts": Listing(
        "SELECT name, type, business_unit, note FROM account",
        ("name", "type", "businessUnit", "notes"),
    ),
    "businessUnits": Listing("SELECT name, base_folder FROM business_unit", ("name", "baseFolder")),
    "sites": Listing(
        "SELECT md5(account || '/' || name), name, account, protocol, host FROM site",
        ("id", "name", "account", "protocol", "host"),
        sort_by="3, 2",
    ),
    "routes": Listing(
        "SELECT md5(id::text), name, type, condition, account FROM route",
        ("id", "name", "type", "condition", "account"),
        sort_by="2, 1",
    ),
    "subscriptions": Listing(
        "SELECT md5(account || '/' || folder), account, folder, application FROM subscription",
        ("id", "account", "folder", "application"),
        sort_by="2, 3",
    ),
    "applications": Listing("SELECT name, type FROM application", ("name", "type")),
    "certificates": Listing(
        "SELECT md5(alias), alias, subject, usage, expires FROM certificate",
        ("id", "name", "subject", "usage", "expirationTime"),
        sort_by="2",
    ),
}
"""By the resource's name."""


class Objects:
    """What is configured in the cluster's database."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._database = Database(context.cluster.dsn)

    def routes(self, base: str) -> list[web.RouteDef]:
        """Every resource, below *base*."""
        return [
            web.get(f"{base}/{name}", self._list(name, listing))
            for name, listing in LISTINGS.items()
        ]

    def _list(
        self, name: str, listing: Listing
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handler(request: web.Request) -> web.StreamResponse:
            if self._context.node.kind == "edge" or self._context.faults.get("without") == name:
                raise missing()
            return await listed(request, self._database, listing)

        return handler
