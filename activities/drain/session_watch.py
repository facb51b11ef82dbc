"""Who is on a node, and who of them should not have come? Takes readings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from activities.nodes.linux import SocketFilter
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.partial_reading import join_errors, reading_or_finding
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_responses import Session
from workflows.errors import CommandFailed, OutcomeUnknown, Unreachable
from workflows.model.actions import AwaitSessions, ReadSessions
from workflows.model.findings import Finding, Severity
from workflows.model.results import RemainingSessions
from workflows.ports.inputs import SessionInput
from workflows.preflight import access

UNREAD = (Unreachable, OutcomeUnknown, CommandFailed)
"""What only says that a reading could not be made: the wait goes on, and says so."""

SILENT = access.no_reading

CLOCK_STEP = timedelta(seconds=2)
"""A Date header counts whole seconds: a session that began this close to the redirect may be one
that was on its way."""


class SessionWatch:
    """Takes readings of one node's sessions, and remembers those that should not have begun."""

    def __init__(
        self,
        survey: ServiceStatusReader,
        admin: AdminClient,
        given: SessionInput[AwaitSessions] | SessionInput[ReadSessions],
    ) -> None:
        self._survey = survey
        self._admin = admin
        self._input = given
        self._doors = SocketFilter(given.node.listen_on, given.ignored_peers)
        self._late: dict[str, Finding] = {}

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Sessions that began here after the redirect, each once."""
        return tuple(self._late.values())

    async def look(self) -> RemainingSessions:
        """Take one reading; the part that could not be made is the reading's trouble."""
        node, ignored = self._input.node, self._input.ignored_peers
        left = RemainingSessions(node=node.name, at=datetime.now(UTC))
        try:
            connections = await self._survey.connections(node, ignored)
            left = left.model_copy(update={"connections": connections})
            listed, clock = await self._admin.sessions(node)
        except UNREAD as trouble:
            return left.model_copy(update={"error": str(trouble)})
        counted = self._counted(listed)
        self._note_late(counted, clock)
        return left.model_copy(update={"accounts": _accounts(counted), "at": datetime.now(UTC)})

    async def glance(self) -> RemainingSessions:
        """Take one reading within seconds, whatever keeps a part of it from being made."""
        node, ignored = self._input.node, self._input.ignored_peers
        connections, listed = await asyncio.gather(
            reading_or_finding(lambda: self._survey.connections(node, ignored), node.name, SILENT),
            reading_or_finding(lambda: self._admin.sessions(node), node.name, SILENT),
        )
        known = () if isinstance(listed, Finding) else self._counted(listed[0])
        return RemainingSessions(
            node=node.name,
            at=datetime.now(UTC),
            connections={} if isinstance(connections, Finding) else connections,
            accounts=_accounts(known),
            error=join_errors(connections, listed),
        )

    def _counted(self, listed: Iterable[Session]) -> list[Session]:
        return [session for session in listed if not self._doors.ignores(session.host)]

    def _note_late(self, sessions: list[Session], clock: datetime) -> None:
        redirected = self._input.redirected_at
        if redirected is None:
            return
        ahead = clock - datetime.now(UTC)
        for session in sessions:
            began = session.began
            if began is not None and began - ahead > redirected + CLOCK_STEP:
                name = f"{session.user or 'someone'} from {session.host or 'an unknown address'}"
                self._late[str(session.id)] = Finding(
                    name="session_after_redirect",
                    place=self._input.node.name,
                    seen=f"{name} over {session.protocol}, since {began:%H:%M:%S} UTC",
                    expected=f"no session on the source after {redirected:%H:%M:%S} UTC",
                    advice="find out who connects past the load balancer, or is pinned to it",
                    severity=Severity.WARNS,
                )


def _accounts(sessions: Iterable[Session]) -> tuple[str, ...]:
    return tuple(sorted({str(session) for session in sessions}))
