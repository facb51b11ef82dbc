"""Requests to a node's admin REST API (docs/securetransport.md, section 8)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, urlencode

from workflows.model.results import Service

BASE = "/api/v2.0"
PAGE_SIZE = 100

CLUSTER_SERVICES = {Service.SCHEDULER: "Scheduler", Service.FOLDER_MONITOR: "FolderMonitor"}

Query = Mapping[str, str | int]
ServiceOperation = Literal["start", "stop"]


@dataclass(frozen=True)
class Call:
    """One request, as it is sent."""

    method: Literal["GET", "POST"]
    path: str
    query: Query = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET"

    @property
    def target(self) -> str:
        """What follows the node's address."""
        query = urlencode(self.query, safe=",", quote_via=quote)
        return f"{BASE}/{self.path}{f'?{query}' if query else ''}"

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


SESSIONS = Call("GET", "sessions")


def operation(verb: ServiceOperation, service: Service) -> Call:
    """Return the request to start or stop a Server's Scheduler or Folder Monitor."""
    query = {"operation": verb, "serviceName": CLUSTER_SERVICES[service]}
    return Call("POST", "clusterServices/operations", query)


def start_server(name: str) -> Call:
    """Return the request to start one of the servers that listen for a daemon."""
    return Call("POST", "servers/operations", {"operation": "start", "serverName": name})


def state(service: Service) -> Call:
    """Return the request for the state of a Server's Scheduler or Folder Monitor."""
    return Call("GET", "clusterServices", {"serviceName": CLUSTER_SERVICES[service]})


def counting(path: str, query: Query | None = None) -> Call:
    """Return the request for the number of items of a list."""
    return Call("GET", path, {**(query or {}), "limit": 1, "fields": "id"})


def first(path: str, limit: int = PAGE_SIZE) -> Call:
    """Return the request for the first items of a list, with all of their fields."""
    return Call("GET", path, {"limit": limit})


def page(path: str, query: Query | None = None, offset: int = 0) -> Call:
    """Return the request for one page of a list."""
    return Call("GET", path, {**(query or {}), "limit": PAGE_SIZE, "offset": offset})
