"""Compare the lists of configured objects that both clusters must share."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_responses import short
from workflows.errors import OutcomeUnknown
from workflows.model.checks import Check
from workflows.model.estate import Cluster, Node
from workflows.model.observations import Difference
from workflows.preflight import parity

MAX_NAMES = 2000
"""Longer lists are compared by their number alone: a page has a hundred items."""
LIST_READINGS = 3
"""So often a list is read that changes while it is read."""
UNAVAILABLE = "neither cluster's admin API has this list (404)"

_NAMES = ("name", "alias", "title")
_OTHER_KEYS = {"account": "accountName", "name": "alias"}


@dataclass(frozen=True)
class Resource:
    """A list of the admin API, and what tells its items apart (section 9): ids are generated."""

    path: str
    check: Check
    keys: tuple[str, ...] = ("name",)


RESOURCES = (
    Resource("accounts", parity.accounts_differ),
    Resource("businessUnits", parity.business_units_differ),
    Resource("sites", parity.sites_differ, ("account", "name")),
    Resource("routes", parity.routes_differ, ("type", "account", "name")),
    Resource("subscriptions", parity.subscriptions_differ, ("account", "application", "folder")),
    Resource("applications", parity.applications_differ),
    Resource("certificates", parity.certificates_differ, ("usage", "account", "name")),
)


@dataclass(frozen=True)
class ItemList:
    """How many items a list has, and each of them; no items where not all were read."""

    total: int
    items: list[Mapping[str, Any]] | None


@dataclass(frozen=True)
class ListedNames:
    """How many items a list has, and how often each name; no names where not all were read."""

    total: int
    names: Counter[str] | None


Pair = tuple[ListedNames | None, ListedNames | None]
"""One list of the source and of the target; None where the version has no such list."""


@dataclass(frozen=True)
class ListComparison:
    """What differs between two lists; or why there is nothing to compare, or not enough."""

    differences: tuple[Difference, ...] = ()
    not_available: str = ""
    not_read: str = ""


class ListReader:
    """Reads lists from the first Server of each cluster."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin

    async def pair(self, source: Cluster, target: Cluster, resource: Resource) -> Pair:
        """Read one list of both clusters."""
        here, there = await asyncio.gather(
            *(self._read(side.servers[0], resource) for side in (source, target))
        )
        return here, there

    async def _read(self, node: Node, resource: Resource) -> ListedNames | None:
        read = await read_list(self._admin, node, resource, MAX_NAMES)
        if read is None:
            return None
        names = (named(item, resource.keys, node.name) for item in read.items or ())
        return ListedNames(read.total, None if read.items is None else Counter(names))


async def read_list(
    admin: AdminClient, node: Node, resource: Resource, most: int
) -> ItemList | None:
    """Read the items of a list, or the number alone where there are more than *most*.

    None where this version of the API has no such list.
    """
    total = 0
    for _ in range(LIST_READINGS):
        page = await admin.listing(node, resource.path, most)
        if page is None:
            return None
        total, items = page.total, _distinct(page.result)
        if len(items) == total:
            return ItemList(total, items)
        if total > most:
            break
        # Of a shorter one, an item may have been added or removed between two pages.
    return ItemList(total, None)


def _distinct(items: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return each item once: pages overlap. Two items may have one name, but never one id."""
    by_id = {str(item.get("id") or json.dumps(item, sort_keys=True)): item for item in items}
    return list(by_id.values())


def named(item: Mapping[str, Any], keys: tuple[str, ...], place: str) -> str:
    """Return what tells an item from others, as text; OutcomeUnknown without any name."""
    found = {key: text for key in keys if (text := _text(item, key, _OTHER_KEYS.get(key)))}
    if keys[-1] not in found and (name := _text(item, *_NAMES)):
        found[keys[-1]] = name
    if keys[-1] not in found:
        raise OutcomeUnknown(f"{place}: an item of a list has no {keys[-1]}")
    first, *rest = reversed(found.items())
    return f"{first[1]}{_described(rest)}"


def compare(source: str, target: str, pair: Pair) -> ListComparison:
    """Compare one list of both clusters, as far as both could be read."""
    here, there = pair
    if here is None and there is None:
        return ListComparison(not_available=UNAVAILABLE)
    if here is None or there is None:
        side = target if there is not None else source
        only = Difference(place=target, item="list", seen=f"only on {side}", expected="on both")
        return ListComparison((only,))
    if here.names is not None and there.names is not None:
        return ListComparison(tuple(_unequal((source, here.names), (target, there.names))))
    if here.total != there.total:
        number = Difference(
            place=target, item="number", seen=str(there.total), expected=str(here.total)
        )
        return ListComparison((number,))
    return ListComparison(
        not_read=f"only the numbers were compared, {here.total} on both: the names are not read of "
        f"more than {MAX_NAMES}, or not all were shown"
    )


def _unequal(
    here: tuple[str, Counter[str]], there: tuple[str, Counter[str]]
) -> Iterator[Difference]:
    """Yield what is on one side only, then what is there at another number."""
    for (side, names), (_, others) in ((here, there), (there, here)):
        for name in sorted(names.keys() - others.keys()):
            yield Difference(place=there[0], item=name, seen=f"only on {side}", expected="on both")
    for name in sorted(here[1].keys() & there[1].keys()):
        if here[1][name] != there[1][name]:
            seen, expected = (f"{names[name]} of this name" for _, names in (there, here))
            yield Difference(place=there[0], item=name, seen=seen, expected=expected)


def _text(item: Mapping[str, Any], *keys: str | None) -> str:
    values = (item.get(key) for key in keys if key)
    texts = (short(str(value)) for value in values if isinstance(value, str | int))
    return next(filter(None, texts), "")


def _described(parts: Iterable[tuple[str, str]]) -> str:
    words = ", ".join(f"{key} {text}" for key, text in parts)
    return f" ({words})" if words else ""
