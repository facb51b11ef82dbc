"""Where does a login through the load balancer really land?

Both clusters show the same host keys, so only the nodes' own session lists can tell.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from activities.load_balancer.client_login import Door, Logins
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_responses import Session
from activities.transport.secrets import Secrets
from workflows.errors import SwitchoverError
from workflows.model import estate
from workflows.model.estate import Cluster, Node

LOOK_FOR = timedelta(seconds=4)
"""How long a login is looked for: the session list is not stable between calls (section 8)."""
LOOKS = 6
"""Fewer say nothing, however long they took: each list may leave the login out."""
LOOK_EVERY = timedelta(seconds=0.3)
CLOCK_STEP = timedelta(seconds=2)
"""A Date header counts whole seconds."""


@dataclass(frozen=True)
class LoginLocation:
    """Where a login was found, or why it may not have been."""

    node: str | None = None
    unread: tuple[str, ...] = ()


class Probes:
    """Logs in, holds the session open, and looks for it on every node that could have it."""

    def __init__(self, admin: AdminClient, secrets: Secrets) -> None:
        self._admin = admin
        self._logins = Logins(secrets)

    async def landing(self, probe: estate.Probe, clusters: tuple[Cluster, ...]) -> LoginLocation:
        """Return the node that a login lands on now.

        Raises:
            Unreachable: nobody answers at the load balancer.
            AccessRefused: the login, or what answers it, is not accepted.
        """
        nodes = [n for cluster in clusters for n in cluster.nodes if probe.protocol in n.protocols]
        since = datetime.now(UTC)
        async with self._logins.held(Door.of(probe)):
            deadline, looks = datetime.now(UTC) + LOOK_FOR, 0
            while True:
                landing, looks = await self._find(probe, nodes, since), looks + 1
                # With a node that does not answer, a look is long, and more of them tell no more.
                enough = looks >= LOOKS or landing.unread
                if landing.node is not None or (enough and datetime.now(UTC) >= deadline):
                    return landing
                await asyncio.sleep(LOOK_EVERY.total_seconds())

    async def _find(self, probe: estate.Probe, nodes: list[Node], since: datetime) -> LoginLocation:
        looks = await asyncio.gather(*(self._sessions(probe, node, since) for node in nodes))
        unread = tuple(look for look in looks if isinstance(look, str))
        found = [
            (session.began or since, node.name)
            for node, look in zip(nodes, looks, strict=True)
            if not isinstance(look, str)
            for session in look
        ]
        # An earlier probe may still be listed: ours began last.
        return LoginLocation(max(found)[1] if found else None, unread)

    async def _sessions(
        self, probe: estate.Probe, node: Node, since: datetime
    ) -> list[Session] | str:
        """Return the sessions on a node that may be ours, or why they could not be read."""
        try:
            listed, clock = await self._admin.sessions(node)
        except SwitchoverError as trouble:
            return str(trouble)
        earliest = since + (clock - datetime.now(UTC)) - CLOCK_STEP
        return [
            session
            for session in listed
            if session.user == probe.user
            and session.is_over(probe.protocol)
            and (session.began is None or session.began >= earliest)
        ]
