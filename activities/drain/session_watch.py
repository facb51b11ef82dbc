"""Read the client sessions of a node, and report those that began after the redirect."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from activities.nodes.operating_system import SocketFilter
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.partial_reading import QUICK_READING, PartialReading
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_responses import CLOCK_TOLERANCE, Session
from workflows.errors import CommandFailed, OutcomeUnknown, Unreachable
from workflows.model.actions import AwaitSessions, ReadSessions
from workflows.model.findings import Finding, Severity
from workflows.model.results import RemainingSessions
from workflows.model.text import first
from workflows.ports.inputs import SessionInput
from workflows.preflight import access

READING_FAILED = (Unreachable, OutcomeUnknown, CommandFailed)
"""Errors of one reading, which the wait reports and outlasts."""

NO_READING = access.no_reading
MAX_ACCOUNTS = 100
"""That one reading names: it is a heartbeat, and goes into history."""
MAX_LATE_SESSIONS = 100
"""That are each a finding; a wait may take weeks."""
MAX_NAME = 100


class SessionWatch:
    """Reads one node's sessions, and remembers those that should not have begun."""

    def __init__(
        self,
        status: ServiceStatusReader,
        admin: AdminClient,
        given: SessionInput[AwaitSessions] | SessionInput[ReadSessions],
    ) -> None:
        self._status = status
        self._admin = admin
        self._input = given
        self._filter = SocketFilter(given.node.listen_on, given.ignored_peers)
        self._late: dict[str, Finding] = {}
        self._unnamed = False

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Sessions that began here after the redirect, each once."""
        late = tuple(self._late.values())
        if not self._unnamed:
            return late
        more = f"sessions besides these {MAX_LATE_SESSIONS}, which are not counted"
        return (*late, late[0].model_copy(update={"seen": more}))

    async def read(self) -> RemainingSessions:
        """Read once; why a part could not be read is in ``error``."""
        node, ignored = self._input.node, self._input.ignored_peers
        remaining = RemainingSessions(node=node.name, at=datetime.now(UTC))
        try:
            connections = await self._status.connections(node, ignored)
            remaining = remaining.model_copy(update={"connections": connections})
            listed, clock = await self._admin.sessions(node)
        except READING_FAILED as error:
            return remaining.model_copy(update={"error": str(error)})
        counted = self._counted(listed)
        self._note_late(counted, clock)
        changes = {"accounts": _accounts(counted), "at": datetime.now(UTC)}
        return remaining.model_copy(update=changes)

    async def read_quickly(self) -> RemainingSessions:
        """Read once within seconds, both parts side by side; report a part that takes longer."""
        node, ignored = self._input.node, self._input.ignored_peers
        parts = PartialReading(node.name, QUICK_READING)
        connections, (listed, _) = await asyncio.gather(
            parts.part(lambda: self._status.connections(node, ignored), NO_READING, {}),
            parts.part(lambda: self._admin.sessions(node), NO_READING, ((), None)),
        )
        return RemainingSessions(
            node=node.name,
            at=datetime.now(UTC),
            connections=connections,
            accounts=_accounts(self._counted(listed)),
            error=parts.error,
        )

    def _counted(self, listed: Iterable[Session]) -> list[Session]:
        return [session for session in listed if not self._filter.ignores(session.host)]

    def _note_late(self, sessions: list[Session], clock: datetime) -> None:
        redirected = self._input.redirected_at
        if redirected is None:
            return
        ahead = clock - datetime.now(UTC)
        for session in sessions:
            began = session.began
            # One that began soon after the redirect may have been on its way.
            if began is not None and began - ahead > redirected + CLOCK_TOLERANCE:
                key = str(session.id)[:MAX_NAME]
                if key not in self._late and len(self._late) == MAX_LATE_SESSIONS:
                    self._unnamed = True
                    return
                user = session.user[:MAX_NAME] or "unknown user"
                name = f"{user} from {session.host[:MAX_NAME] or 'an unknown address'}"
                self._late[key] = Finding(
                    name="session_after_redirect",
                    place=self._input.node.name,
                    seen=f"{name} over {session.protocol[:MAX_NAME]}, since {began:%H:%M:%S} UTC",
                    expected=f"no session on the source after {redirected:%H:%M:%S} UTC",
                    advice="find out which client bypasses the load balancer, or is pinned to it",
                    severity=Severity.WARNS,
                )


def _accounts(sessions: Iterable[Session]) -> tuple[str, ...]:
    return first(sorted({str(session) for session in sessions}), MAX_ACCOUNTS)
