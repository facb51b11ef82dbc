"""When have clients and partners ended what they were doing? Only looks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.admin import Admin
from activities.answers import Session
from activities.linux import Doors
from activities.pulse import pause, pulse
from activities.shell import Shell
from activities.survey import Survey
from workflows.contract import NodeErrand, SessionErrand, Waits
from workflows.errors import CommandFailed, OutcomeUnknown, Unreachable
from workflows.estate import Node, Timing
from workflows.orders import AwaitQueue, AwaitSessions, AwaitWorkInHand
from workflows.reports import Finding, QueueLeft, Report, SessionsLeft, Severity, seen

UNREAD = (Unreachable, OutcomeUnknown, CommandFailed)
"""What only says that a reading could not be made: the wait goes on, and says so."""

CLOCK_STEP = timedelta(seconds=2)
"""A Date header counts whole seconds: a session that began this close to the redirect may be one
that was on its way."""


class NodeWaits(Waits):
    """Reads a node's sockets over its shell, and sessions, events and transfers over its API."""

    def __init__(self, shell: Shell, admin: Admin) -> None:
        self._survey = Survey(shell)
        self._admin = admin

    @activity.defn
    async def await_work_in_hand(self, errand: NodeErrand[AwaitWorkInHand]) -> Report:
        """Return once every event queued at the first reading has ended; heartbeats QueueLeft."""
        node, timing = errand.node, errand.timing
        first: set[str] | None = None

        async def look() -> QueueLeft:
            nonlocal first
            queued = await self._queued(node)
            first = queued if first is None else first & queued
            return QueueLeft(node=node.name, at=datetime.now(UTC), events=len(first))

        async with pulse() as beating:
            while True:
                left = await _tolerantly(look, node)
                beating.show(left)
                if left.events == 0:
                    break
                await pause(timing.reading_interval)
            # What the last of them wrote must reach the target's storage before its Folder Monitor.
            await pause(timing.storage_delay)
        words = f"the work in hand has ended, as {node.name} sees it"
        return seen(errand.order, words, datetime.now(UTC))

    @activity.defn
    async def await_queue(self, errand: NodeErrand[AwaitQueue]) -> Report:
        """Return once the queue is empty and nothing is active; heartbeats QueueLeft."""
        node = errand.node

        async def look() -> QueueLeft:
            events = await self._admin.total(node, "events")
            active = await self._admin.total(node, "transfers")
            return QueueLeft(node=node.name, at=datetime.now(UTC), events=events, active=active)

        async with pulse() as beating:
            in_a_row = 0
            while in_a_row < errand.timing.readings:
                left = await _tolerantly(look, node)
                empty = left.events == 0 and left.active == 0
                in_a_row = in_a_row + 1 if empty else 0
                beating.show(left.model_copy(update={"readings_at_zero": in_a_row}))
                await _between(errand.timing, in_a_row)
        words = f"the event queue is empty and nothing is active, as {node.name} sees it"
        return seen(errand.order, words, datetime.now(UTC))

    @activity.defn
    async def await_sessions(self, errand: SessionErrand[AwaitSessions]) -> Report:
        """Return once the sessions have left; heartbeats SessionsLeft."""
        watch = _SessionWatch(self._survey, self._admin, errand)
        async with pulse() as beating:
            in_a_row = 0
            while in_a_row < errand.timing.readings:
                left = await watch.look()
                gone = left.trouble is None and not any(left.connections.values())
                in_a_row = in_a_row + 1 if gone and not left.accounts else 0
                beating.show(left.model_copy(update={"readings_at_zero": in_a_row}))
                await _between(errand.timing, in_a_row)
        words = f"the sessions have left {errand.node.name}"
        return seen(errand.order, words, datetime.now(UTC), watch.findings)

    async def _queued(self, node: Node) -> set[str]:
        events = await self._admin.items(node, "events", {"fields": "id"})
        return {str(event.get("id")) for event in events}


class _SessionWatch:
    """Takes readings of one node's sessions, and remembers those that should not have begun."""

    def __init__(self, survey: Survey, admin: Admin, errand: SessionErrand[AwaitSessions]) -> None:
        self._survey = survey
        self._admin = admin
        self._errand = errand
        self._doors = Doors(errand.node.listen_on, errand.ignored_peers)
        self._late: dict[str, Finding] = {}

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Sessions that began here after the redirect, each once."""
        return tuple(self._late.values())

    async def look(self) -> SessionsLeft:
        """Take one reading; where it could not be made, say why instead of a number."""
        node = self._errand.node
        try:
            connections = await self._survey.connections(node, self._errand.ignored_peers)
            listed, clock = await self._admin.sessions(node)
        except UNREAD as trouble:
            return SessionsLeft(node=node.name, at=datetime.now(UTC), trouble=str(trouble))
        counted = [session for session in listed if not self._doors.ignores(session.host)]
        self._note_late(counted, clock)
        return SessionsLeft(
            node=node.name,
            at=datetime.now(UTC),
            connections=connections,
            accounts=tuple(sorted({session.user for session in counted})),
        )

    def _note_late(self, sessions: list[Session], clock: datetime) -> None:
        redirected = self._errand.redirected_at
        if redirected is None:
            return
        ahead = clock - datetime.now(UTC)
        for session in sessions:
            began = session.began
            if began is not None and began - ahead > redirected + CLOCK_STEP:
                name = f"{session.user or 'someone'} from {session.host or 'an unknown address'}"
                self._late[str(session.id)] = Finding(
                    name="session_after_redirect",
                    place=self._errand.node.name,
                    seen=f"{name} over {session.protocol}, since {began:%H:%M:%S} UTC",
                    expected=f"no session on the source after {redirected:%H:%M:%S} UTC",
                    advice="find out who connects past the load balancer, or is pinned to it",
                    severity=Severity.WARNS,
                )


async def _tolerantly(look: Callable[[], Awaitable[QueueLeft]], node: Node) -> QueueLeft:
    try:
        return await look()
    except UNREAD as trouble:
        return QueueLeft(node=node.name, at=datetime.now(UTC), trouble=str(trouble))


async def _between(timing: Timing, in_a_row: int) -> None:
    if in_a_row < timing.readings:
        await pause(timing.reading_interval)
