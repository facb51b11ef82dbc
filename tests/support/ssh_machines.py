"""Machines for the activities to reach: real servers, in this process and on loopback."""

import asyncio
import dataclasses
import re
import stat
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
from temporalio.testing import ActivityEnvironment

from activities.transport.secrets import Secrets
from workflows.model.actions import Action
from workflows.model.estate import Cluster, Kind, Node, Protocol, SshAccess, Timing
from workflows.model.results import Operation, Report
from workflows.ports.inputs import NodeInput, SessionInput

T = TypeVar("T")
E = TypeVar("E")

CLIENT_KEY = asyncssh.generate_private_key("ssh-ed25519")
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
HOST_KEY_LINE = HOST_KEY.export_public_key("openssh").decode().strip()

SECRETS = Secrets(
    {
        "KEY": CLIENT_KEY.export_private_key("openssh").decode(),
        "ADMIN": "admin-secret",
        "PROBE": "probe-secret",
        "DATABASE": "database-secret",
        "TSIG": "c3dpdGNob3Zlci10ZXN0cy0wMTIzNDU2Nzg5YWJjZGU=",
    },
    [Path(tempfile.gettempdir())],
)

QUICK = Timing(
    grace=timedelta(seconds=2),
    transaction_manager_grace=timedelta(seconds=30),
    stop_margin=timedelta(seconds=1),
    start_timeout=timedelta(seconds=5),
    takeover=timedelta(seconds=0.2),
    storage_delay=timedelta(seconds=0.2),
    replication_timeout=timedelta(seconds=8),
    reading_interval=timedelta(seconds=0.05),
    readings=3,
)


FRAMED = re.compile(r"\n\( (.*) \)\nstatus=", re.DOTALL)


def unframed(line: str) -> str:
    """Return the command that a line brings to a POSIX shell."""
    whole = line.replace("' '", "")
    text = re.sub(r"\\0([0-7]{3})", lambda found: chr(int(found[1], 8)), whole)
    found = FRAMED.search(text.encode("latin-1").decode())
    return found[1] if found else line


@dataclass
class SshServer:
    """A machine's SSH server: it runs what it is asked in a real shell."""

    port: int = 0
    commands: list[str] = field(default_factory=list)
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    sh: str = "/bin/sh"
    acceptor: asyncssh.SSHAcceptor | None = None

    async def handle(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run one command and pass on what it prints."""
        self.commands.append(unframed(process.command or ""))
        child = await asyncio.create_subprocess_exec(
            *(self.sh, "-c", process.command or ""),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await child.communicate()
        process.stdout.write(out)
        process.stderr.write(err)
        process.exit(child.returncode or 0)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve every client that has the client key."""
        server = self

        class Accepting(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                server.connections.append(conn)

            def connection_requested(self, *_: object) -> bool:
                return True

        line = CLIENT_KEY.export_public_key("openssh").decode()
        self.acceptor = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Accepting,
            server_host_keys=[HOST_KEY],
            authorized_client_keys=asyncssh.import_authorized_keys(line),
            process_factory=self.handle,
            encoding=None,
            config=None,
        )
        self.port = self.acceptor.get_port()
        yield
        self.cut()
        self.acceptor.close()
        await self.acceptor.wait_closed()

    def refuse_more(self) -> None:
        """Accept no new connection; the old ones live on."""
        assert self.acceptor is not None
        self.acceptor.close()

    def cut(self) -> None:
        """Lose every connection without a word."""
        for connection in self.connections:
            connection.abort()
        self.connections.clear()


def make_node(server: SshServer, root: Path, name: str = "server1", **given: object) -> Node:
    """Return a node that lives in a directory of its own behind the SSH server."""
    home = root / name
    (home / "bin").mkdir(parents=True, exist_ok=True)
    (home / "var/run/admin").mkdir(parents=True, exist_ok=True)
    facts: dict[str, object] = {
        "name": name,
        "address": "127.0.0.1",
        "kind": Kind.SERVER,
        "ssh": SshAccess(user="st", key="env:KEY", port=server.port),
        "host_key": HOST_KEY_LINE,
        "ledger": str(root / f"{name}-ledger"),
        "filedrivehome": str(home),
        "admin": admin_access(1),
        "protocols": {Protocol.SSH: (8022,)},
        "listen_on": ("127.0.0.1",),
        **given,
    }
    return Node.model_validate(facts)


def admin_access(port: int, **trust: str) -> dict[str, object]:
    """Return access to an admin API on loopback, trusting no certificate unless one is given."""
    known = {"user": "admin", "password": "env:ADMIN", "port": port, "via": "direct"}
    return {**known, **(trust or {"fingerprint": "0" * 64})}


def make_cluster(name: str, *nodes: Node, **facts: object) -> Cluster:
    """Return a cluster of these nodes, with a database that nothing connects to."""
    database = {"name": f"database-{name}", "address": "127.0.0.1", "database": "st", "user": "st"}
    given = {"database": {**database, "password": "env:DATABASE"}, "storage": "/storage", **facts}
    return Cluster.model_validate({"name": name, "nodes": nodes, **given})


_SCRIPT = """#!/bin/sh
cd '{home}/state' || exit 1
name={name} verb={verb}
echo "$verb $name $*" >>calls
[ -e "$verb.$name.fails" ] && {{ cat "$verb.$name.fails"; rm "$verb.$name.fails"; exit 1; }}
[ "$verb" = status ] || [ ! -e slow ] || sleep 1
case $verb in
status)
  cat noise 2>/dev/null
  [ -e admin ] || {{ echo "The administration server does not answer."; exit 1; }}
  if [ -e "$name" ]; then echo "$name is alive"; else echo "$name is down"; fi ;;
start) : >"$name"; : >monitord ;;
stop)
  if [ -e "$name.late" ]; then
    after=$(cat "$name.late")
    if [ -e blocks ]; then sleep "$after"; rm -f "$name"
    else (sleep "$after"; rm -f "$name") >/dev/null 2>&1 & fi
  elif [ ! -e "$name.never" ]; then rm -f "$name"; fi ;;
esac
"""


class Installation:
    """What SecureTransport's scripts do on a node, as far as its facts say; files are its state."""

    def __init__(self, node: Node, *running: str) -> None:
        self.home = Path(node.filedrivehome)
        self.state = self.home / "state"
        self.state.mkdir()
        names = ("monitord", "ftpd", "httpd", "as2d", "sshd", "pesitd", "admin")
        for name in (*names, *(("tm",) if node.kind is Kind.SERVER else ("socks", "db"))):
            for verb in ("start", "stop", "status"):
                self.script(f"{verb}_{name}", _SCRIPT.format(home=self.home, name=name, verb=verb))
        for name in ("admin", *running):
            self.set(name)

    def script(self, name: str, text: str) -> None:
        """Put a script into bin."""
        file = self.home / "bin" / name
        file.write_text(text)
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def set(self, name: str, text: str = "") -> None:
        """Let a service run, or a switch be on."""
        (self.state / name).write_text(text)

    def clear(self, *names: str) -> None:
        """Let services be down, or switches be off."""
        for name in names:
            (self.state / name).unlink(missing_ok=True)

    def runs(self, name: str) -> bool:
        """Whether a service runs."""
        return (self.state / name).exists()

    @property
    def changes(self) -> list[str]:
        """Every start and stop that was asked of it."""
        calls = self.state / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line.strip() for line in lines if not line.startswith("status")]


def input_for(node: Node, action: Any, attempt_of: str = "run-1") -> NodeInput[Any]:  # noqa: ANN401 - any action
    """Return the action for a node, as a switchover would send it."""
    return NodeInput(
        operation=Operation(identity=attempt_of, stage="stage", action=action.key),
        action=action,
        timing=QUICK,
        node=node,
    )


def watching(node: Node, action: Any, **given: Any) -> SessionInput[Any]:  # noqa: ANN401 - any action
    """Return an action that counts the sessions of a node."""
    return SessionInput(**{**dict(input_for(node, action)), **given})


@dataclass
class Attempt:
    """One attempt at an activity, as the engine makes it."""

    limit: timedelta = timedelta(seconds=30)
    age: timedelta = timedelta()
    beats: list[Any] = field(default_factory=list)
    heartbeats: int = 0

    async def run(self, activity: Callable[[E], Awaitable[T]], given: E) -> T:
        """Run it to its end."""
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(
            environment.info,
            started_time=datetime.now(UTC) - self.age,
            start_to_close_timeout=self.limit,
        )

        def heartbeat(*details: Any) -> None:  # noqa: ANN401 - any details
            self.heartbeats += 1
            self.beats.extend(details)

        environment.on_heartbeat = heartbeat
        return await environment.run(activity, given)


@dataclass(frozen=True)
class Executor:
    """Executes actions on one node, each by the activity of its kind."""

    port: object
    node: Node

    async def __call__(
        self,
        action: Action,
        attempt: Attempt | None = None,
        *,
        node: Node | None = None,
        identity: str = "run-1",
    ) -> Report:
        """Make one attempt, on another node if one is given."""
        given = input_for(node or self.node, action, identity)
        return await (attempt or Attempt()).run(getattr(self.port, action.kind), given)
