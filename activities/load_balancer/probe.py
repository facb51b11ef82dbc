"""Find the node on which a login through the load balancer lands.

Both clusters show the same host keys, so only the nodes' own session lists can tell.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from activities.load_balancer.client_login import ClientLogins, LoginTarget
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_requests import SESSIONS
from activities.securetransport.admin_responses import CLOCK_TOLERANCE, Session
from activities.transport.secrets import Secrets
from workflows.errors import SwitchoverError
from workflows.model import estate
from workflows.model.estate import Cluster, Node

SEARCH_TIME = timedelta(seconds=4)
"""How long a login is searched for: the session list is not stable between calls (section 8)."""
MIN_READINGS = 6
"""Fewer prove nothing, however long they took: each list may omit the login."""
LONGER = 3
"""How many times as long it is searched for beside nodes that do not answer. A drained cluster's
refuse at once; a reading that waits for a silent node is long, and more of them prove no more."""
READING_INTERVAL = timedelta(seconds=0.3)


def preview_logins(probe: estate.Probe, cluster: str, times: int) -> tuple[str, str]:
    """Return the logins, and the request that finds their sessions on nodes of the cluster."""
    repeated = f", {times} times in a row" if times > 1 else ""
    return (
        f"login as {probe.user} over {probe.protocol} at {probe.address}:{probe.port}{repeated}",
        f"on every node that serves {probe.protocol}, until one of {cluster} lists it: {SESSIONS}",
    )


SessionKeys = frozenset[tuple[str, str]]
"""Sessions by the node that lists them, and their id there."""


@dataclass(frozen=True)
class LoginLocation:
    """The node on which a login was found, or the nodes that could not be read."""

    node: str | None = None
    unread: tuple[str, ...] = ()
    sessions: SessionKeys = frozenset()
    """Every session that might have been it: none of them is a later login."""


class Probes:
    """Logs in, holds the session open, and searches every node that serves the protocol for it."""

    def __init__(self, admin: AdminClient, secrets: Secrets) -> None:
        self._admin = admin
        self._logins = ClientLogins(secrets)

    async def locate(
        self, probe: estate.Probe, clusters: tuple[Cluster, ...], earlier: SessionKeys = frozenset()
    ) -> LoginLocation:
        """Return the node that a login lands on now; *earlier* are sessions of earlier logins.

        Raises:
            Unreachable: the load balancer does not answer.
            AccessRefused: the login, or the server's key or certificate, is not accepted.
        """
        nodes = [n for cluster in clusters for n in cluster.nodes if probe.protocol in n.protocols]
        since = datetime.now(UTC)
        target = LoginTarget(probe, f"{probe.protocol} probe at {probe.address}:{probe.port}")
        async with self._logins.session(target):
            began, readings = datetime.now(UTC), 0
            while True:
                location, readings = await self._find(probe, nodes, since, earlier), readings + 1
                searched = datetime.now(UTC) - began
                enough = readings >= MIN_READINGS and searched >= SEARCH_TIME
                silent = location.unread and searched >= LONGER * SEARCH_TIME
                if location.node is not None or enough or silent:
                    return location
                await asyncio.sleep(READING_INTERVAL.total_seconds())

    async def _find(
        self, probe: estate.Probe, nodes: list[Node], since: datetime, earlier: SessionKeys
    ) -> LoginLocation:
        lists = await asyncio.gather(*(self._sessions(probe, node, since) for node in nodes))
        unread = tuple(one for one in lists if isinstance(one, str))
        found = [
            (session.began or since, node.name, str(session.id))
            for node, sessions in zip(nodes, lists, strict=True)
            if not isinstance(sessions, str)
            for session in sessions
            if (node.name, str(session.id)) not in earlier
        ]
        keys = frozenset((node, key) for _, node, key in found)
        # An earlier probe may still be listed: ours began last.
        return LoginLocation(max(found)[1] if found else None, unread, keys)

    async def _sessions(
        self, probe: estate.Probe, node: Node, since: datetime
    ) -> list[Session] | str:
        """Return the sessions on a node that may be ours, or why they could not be read."""
        try:
            listed, clock = await self._admin.sessions(node)
        except SwitchoverError as error:
            return str(error)
        earliest = since + (clock - datetime.now(UTC)) - CLOCK_TOLERANCE
        return [
            session
            for session in listed
            if session.user == probe.user
            and session.uses(probe.protocol)
            and (session.began is None or session.began >= earliest)
        ]
