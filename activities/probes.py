"""Where does a login through the load balancer really land?

Both clusters show the same host keys, so only the nodes' own session lists can tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncssh
import httpx

from activities.admin import Admin, bracketed, translated
from activities.answers import Session
from activities.secrets import Secrets
from activities.shell import CONNECT_WITHIN
from activities.tls import trust
from workflows import estate
from workflows.errors import AccessRefused, SwitchoverError, Unreachable
from workflows.estate import Cluster, Node

LOOK_FOR = timedelta(seconds=4)
"""How long a login is looked for: the session list is not stable between calls (section 8)."""
LOOKS = 6
"""Fewer say nothing, however long they took: each list may leave the login out."""
LOOK_EVERY = timedelta(seconds=0.3)
CLOCK_STEP = timedelta(seconds=2)
"""A Date header counts whole seconds."""


@dataclass(frozen=True)
class Landing:
    """Where a login was found, or why it may not have been."""

    node: str | None = None
    unread: tuple[str, ...] = ()


class Probes:
    """Logs in, holds the session open, and looks for it on every node that could have it."""

    def __init__(self, admin: Admin, secrets: Secrets) -> None:
        self._admin = admin
        self._secrets = secrets

    async def landing(self, probe: estate.Probe, clusters: tuple[Cluster, ...]) -> Landing:
        """Return the node that a login lands on now.

        Raises:
            Unreachable: nobody answers at the load balancer.
            AccessRefused: the login, or what answers it, is not accepted.
        """
        nodes = [n for cluster in clusters for n in cluster.nodes if probe.protocol in n.protocols]
        since = datetime.now(UTC)
        async with self._held(probe):
            deadline, looks = datetime.now(UTC) + LOOK_FOR, 0
            while True:
                landing, looks = await self._find(probe, nodes, since), looks + 1
                # With a node that does not answer, a look is long, and more of them tell no more.
                enough = looks >= LOOKS or landing.unread
                if landing.node is not None or (enough and datetime.now(UTC) >= deadline):
                    return landing
                await asyncio.sleep(LOOK_EVERY.total_seconds())

    async def _find(self, probe: estate.Probe, nodes: list[Node], since: datetime) -> Landing:
        looks = await asyncio.gather(*(self._sessions(probe, node, since) for node in nodes))
        unread = tuple(look for look in looks if isinstance(look, str))
        found = [
            (session.began or since, node.name)
            for node, look in zip(nodes, looks, strict=True)
            if not isinstance(look, str)
            for session in look
        ]
        # An earlier probe may still be listed: ours began last.
        return Landing(max(found)[1] if found else None, unread)

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

    @asynccontextmanager
    async def _held(self, probe: estate.Probe) -> AsyncIterator[None]:
        login = self._sftp if probe.protocol is estate.Protocol.SSH else self._https
        async with login(probe):
            yield

    @asynccontextmanager
    async def _sftp(self, probe: estate.Probe) -> AsyncIterator[None]:
        with _ssh_translated(probe):
            connection = await asyncssh.connect(
                probe.address,
                probe.port,
                username=probe.user,
                password=self._secrets.read(probe.password),
                client_keys=None,
                agent_path=None,
                preferred_auth="password,keyboard-interactive",
                known_hosts=([asyncssh.import_public_key(probe.host_key or "")], [], []),
                config=None,
                connect_timeout=CONNECT_WITHIN,
                login_timeout=CONNECT_WITHIN,
            )
        async with connection:
            with _ssh_translated(probe):
                await connection.start_sftp_client()
            yield

    @asynccontextmanager
    async def _https(self, probe: estate.Probe) -> AsyncIterator[None]:
        place = _place(probe)
        trusted = trust(place, probe.ca, probe.fingerprint)
        async with httpx.AsyncClient(
            auth=(probe.user, self._secrets.read(probe.password)),
            verify=trusted.context,
            timeout=CONNECT_WITHIN,
            trust_env=False,
        ) as client:
            url = f"https://{bracketed(probe.address)}:{probe.port}/"
            with translated(place, Unreachable):
                response = await client.get(url, extensions=dict(trusted.extensions))
            _require_login(place, response)
            yield  # the client keeps the connection, and with it the session


def _require_login(place: str, response: httpx.Response) -> None:
    """Any answer to a login that was accepted will do: what stands at the root is the site's."""
    if response.status_code in (401, 403):
        raise AccessRefused(f"{place}: the login was refused; look at its account and password")
    if response.status_code >= 500:  # noqa: PLR2004 - the server's own fault
        raise Unreachable(f"{place}: answered {response.status_code}")


@contextmanager
def _ssh_translated(probe: estate.Probe) -> Iterator[None]:
    place = _place(probe)
    try:
        yield
    except (asyncssh.PermissionDenied, asyncssh.HostKeyNotVerifiable) as refusal:
        raise AccessRefused(
            f"{place}: the login was not accepted, or its host key is another ({refusal}); "
            "look at account, password and host_key"
        ) from refusal
    except asyncssh.KeyImportError as mistake:
        raise AccessRefused(f"{place}: host_key is no public key; correct it") from mistake
    except (asyncssh.Error, OSError) as fault:
        raise Unreachable(f"{place}: no login ({str(fault) or type(fault).__name__})") from fault


def _place(probe: estate.Probe) -> str:
    return f"{probe.protocol} probe at {probe.address}:{probe.port}"
