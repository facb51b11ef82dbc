"""The client sessions of a protocol server, and the record of them.

The vendor calls such a service a *daemon*, and what listens for it its *servers*. In the lab each
daemon has one: "Ssh Default" of ssh.

Faults (``SimulationOptions.faults``): ``refuses_account``: the account that protocol servers do not
accept; ``unrecorded`` (any text): sessions leave no record; ``servers_stay_inactive`` (any text): a
daemon that is started runs, and its server does not listen before it is started over REST.
"""

import asyncio
import json
import time
import uuid
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lab import records
from lab.forking import Message
from lab.node import services
from lab.node.draining import Draining
from lab.node.service import Context, Line
from lab.node.streaming import Stream

LOG_INTERVAL = 60.0
"""Seconds: the option ``GracefulShutdown.Logging.Interval``."""


@dataclass
class Session:
    """One client's login, from its begin to its end."""

    account: str
    peer: str
    disconnect: Callable[[], None]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    began: float = field(default_factory=time.time)
    command: str = ""
    transferring: int = 0


class ProtocolServer(Draining):
    """A protocol server whose sessions the admin API can list and end."""

    def __init__(self, context: Context, line: Line) -> None:
        super().__init__(context, line)
        self.sessions: dict[str, Session] = {}
        self._logging: asyncio.Task[None] | None = None
        self._started = False
        self._opens = asyncio.Lock()
        line.on("drain", self._drain_logged)
        line.on("sessions", self._list)
        line.on("end_session", self._end_one)
        line.on("active", self._answer_active)
        line.on("operate_server", self._operate_server)

    @property
    @abstractmethod
    def protocol(self) -> str:
        """Its name in the REST API."""

    async def come_up(self) -> None:
        """Listen, unless a fault leaves that to the admin API."""
        self._started = True
        if "servers_stay_inactive" not in self.context.faults:
            await self._activate()

    def stream(self) -> Stream:
        """A new stream to a Transaction Manager this node may use."""
        node, cluster = self.context.node, self.context.cluster
        servers = (node,) if node.kind == "server" else cluster.servers
        return Stream(node.name, self.protocol, tuple(server.address for server in servers))

    def begin_session(self, session: Session) -> Session:
        """Note that a client has logged in."""
        self.sessions[session.id] = session
        self._note(session, "begin")
        self._log(f"session {session.id} of {session.account} began, from {session.peer}")
        return session

    def end_session(self, session: Session) -> None:
        """Record its end, once."""
        if self.sessions.pop(session.id, None):
            self._note(session, "end")
            self._log(f"session {session.id} of {session.account} ended")

    def disconnect(self) -> None:
        """End every session."""
        for session in list(self.sessions.values()):
            session.disconnect()
            self.end_session(session)

    def refuses(self, account: str) -> bool:
        """Whether a fault refuses this account."""
        return self.context.faults.get("refuses_account") == account

    async def _activate(self) -> bool:
        """Listen; return whether that changed something."""
        async with self._opens:
            changed = self.listener is None
            if changed:
                await self.open()
            return changed

    def _answer_active(self, question: Message) -> None:
        self.line.answer(question, active=self.listener is not None)

    def _operate_server(self, question: Message) -> None:
        self._operating = asyncio.get_running_loop().create_task(self._operate(question))

    async def _operate(self, question: Message) -> None:
        """Start or stop what listens; a daemon that is starting or draining refuses."""
        accepted = self._started and self.admits
        if accepted:
            verb, changed = question.body["verb"], self.listener is not None
            if verb == "start":
                changed = await self._activate()
            else:
                self.close()
            records.append(
                self.context.layout.effects,
                place=self.context.node.name,
                service=services.server_of(self.protocol),
                effect=verb,
                by=question.body["by"],
                changed=changed,
            )
        self.line.answer(question, accepted=accepted)

    def _drain_logged(self, message: Message) -> None:
        self._logging = self._logging or asyncio.get_running_loop().create_task(
            self._log_connections()
        )
        self._drain(message)

    async def _log_connections(self) -> None:
        """List active connections in the server log while the stop is pending (section 4)."""
        while True:
            who = ", ".join(sorted(each.account for each in self.sessions.values())) or "none"
            self._log(f"graceful shutdown: active connections: {len(self.sessions)} ({who})")
            await asyncio.sleep(LOG_INTERVAL)

    def _note(self, session: Session, what: str) -> None:
        if "unrecorded" in self.context.faults:
            return
        records.append(
            self.context.layout.sessions,
            node=self.context.node.name,
            protocol=self.protocol,
            account=session.account,
            peer=session.peer,
            id=session.id,
            what=what,
        )

    def _log(self, message: str) -> None:
        log(self.context, self.context.service.script.upper(), message)

    def _list(self, question: Message) -> None:
        listed = [self._shown(session) for session in self.sessions.values()]
        self.line.answer(question, sessions=listed)

    def _shown(self, session: Session) -> dict[str, Any]:
        return {
            "id": session.id,
            "userName": session.account,
            "host": session.peer,
            "protocol": self.protocol,
            "command": session.command,
            "currentTransferBandwidth": 1000 if session.transferring else -1,
            "sessionCreationTime": int(session.began * 1000),
            "nodeIp": self.context.node.address,
        }

    def _end_one(self, question: Message) -> None:
        session = self.sessions.get(question.body["id"])
        if session:
            session.disconnect()
            self.end_session(session)
        self.line.answer(question, ended=session is not None)


def log(context: Context, component: str, message: str) -> None:
    """Write a line of the node's server log, which ``/logs/server`` shows."""
    file = context.node.home / "var/logs/server.jsonl"
    entry = json.dumps(
        {"at": time.time(), "component": component, "level": "INFO", "message": message}
    )
    with file.open("a", encoding="utf-8") as out:
        out.write(entry + "\n")
