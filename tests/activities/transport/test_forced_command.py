"""The forced command of docs/examples, on a real OpenSSH server, with and without a real sudo."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import asyncssh
import pytest

from activities.ledger.ledger import Ledger
from activities.nodes import run_as
from activities.nodes.operating_systems import open_ledger
from activities.transport import sudo
from activities.transport.framing import Frame
from activities.transport.ssh import Command, Shell, script
from tests.activities.conftest import NodeMaker
from tests.support.ledger_tasks import task, writing
from tests.support.openssh import OpenSsh
from tests.support.ssh_machines import CLIENT_KEY
from tests.support.sudo_machine import EXAMPLES, LOGIN, OWNER, SudoMachine, sudo_machine
from workflows.errors import ForwardingRefused, OutcomeUnknown
from workflows.model.estate import Node

INSTALLED = "/usr/local/libexec/switchover-command"
PAGE = (EXAMPLES.parent / "machines.md").read_text(encoding="utf-8")
[OPTIONS] = re.findall(r'^(command="\S+ st",\S+) ssh-ed25519 AAAA', PAGE, re.MULTILINE)
"""What stands before the key in ``authorized_keys``, as the page shows it."""


@dataclass
class Restricted:
    """A machine whose worker's key is restricted to the forced command."""

    machine: SudoMachine
    server: OpenSsh

    def log(self) -> str:
        """What the forced command has logged."""
        file = self.machine.root / LOGIN / "log"
        return file.read_text() if file.exists() else ""

    def permit(self, options: str, port: int = 1) -> None:
        """Restrict the key so, with forwarding to this port."""
        command = str(self.machine.root / "switchover-command")
        options = options.replace(INSTALLED, command)
        self.machine.restrict_key(
            re.sub(r'permitopen="[^"]*"', f'permitopen="127.0.0.1:{port}"', options)
        )

    async def client(self, command: str | None) -> asyncssh.SSHCompletedProcess:
        """Run a client that is not the worker with the worker's key."""
        async with asyncssh.connect(
            "127.0.0.1",
            self.server.port,
            username=LOGIN,
            client_keys=[CLIENT_KEY],
            known_hosts=None,
            config=None,
        ) as connection:
            return await connection.run(command, stdin=asyncssh.DEVNULL)


@pytest.fixture
def machine() -> Iterator[SudoMachine]:
    """A machine on which the forced command is installed, with a log of the test's own."""
    with sudo_machine() as made:
        shutil.copy(EXAMPLES / "switchover-command", made.root / "switchover-command")
        (made.root / "bin").mkdir()
        logger = made.root / "bin/logger"
        logger.write_text(f'#!/bin/sh\necho "$*" >>{made.root / LOGIN}/log\n')
        logger.chmod(0o755)
        yield made


@pytest.fixture
async def restricted(machine: SudoMachine) -> AsyncIterator[Restricted]:
    """The machine with its server, and its key as the page shows it."""
    async with machine.serving(f"PATH={machine.root}/bin:/usr/bin:/bin") as server:
        one = Restricted(machine, server)
        one.permit(OPTIONS)
        yield one


@pytest.fixture
def owned(restricted: Restricted, node_maker: NodeMaker) -> Node:
    """The machine as a node whose owner runs everything."""
    ledger = str(restricted.machine.home / "ledger")
    return node_maker(**restricted.machine.access(restricted.server), ledger=ledger)


async def test_the_worker_works_as_ever_and_is_logged(
    owned: Node, restricted: Restricted, shell: Shell
) -> None:
    """Commands, the ledger with a detached command, the questions about sudo; each is logged."""
    ran = restricted.machine.home / "ran"
    answer = await shell.run(owned, script('id -un; echo "$1"; exit 3', "it's\n$5"))
    assert (answer.out, answer.status) == (f"{OWNER}\nit's\n$5\n", 3)
    record = await open_ledger(shell).run_once(owned, task(writing(ran, "id -un")))
    assert (record.status, record.output) == (0, OWNER)
    assert ran.read_text() == "ran\n"
    assert await run_as.findings(shell, owned, owned.name) == ()
    log = restricted.log()
    assert f"-p auth.info -- 127.0.0.1: as {OWNER}: sh -c 'id -un; echo" in log
    assert f"echo ran >>{ran}" in log
    assert f"127.0.0.1: as {LOGIN}: sh -c" in log
    assert "refused" not in log
    assert max(map(len, log.splitlines())) < 1000


async def test_without_sudo_it_runs_as_the_login(
    restricted: Restricted, node_maker: NodeMaker, shell: Shell
) -> None:
    """The account is left out of the line then; no sudo is run, though its rules allow it."""
    restricted.permit(OPTIONS.replace(f" {OWNER}", "", 1))
    own = restricted.machine.root / LOGIN
    access = restricted.machine.access(restricted.server)
    owned = node_maker(**access, ledger=str(own / "ledger"))
    node = sudo.without(owned)
    record = await open_ledger(shell).run_once(node, task(writing(own / "ran", "id -un")))
    assert (record.status, record.output) == (0, LOGIN)
    with pytest.raises(OutcomeUnknown, match="refused, it does not begin as a command"):
        await shell.run(owned, Command(("true",)))


def framed(command: str) -> str:
    """Return the line that the worker would send for a command."""
    return Frame().line(command, OWNER)


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        "id",
        "sh",
        "/usr/lib/openssh/sftp-server",
        "scp -t /tmp",
        framed("id").replace(f"-u {OWNER}", "-u root"),
        framed("id").replace(f"-u {OWNER}", "-u #0"),
        framed("id").replace(" -n ", " "),
        framed("id").replace("/bin/sh", "/bin/bash"),
        f"{framed('id')}; id",
        f"{framed('id')} 'id'",
        f"{framed('id')[:-1]}'; id; echo '",
        f"{framed('id')[:-1]}$(id)'",
        f"id; {framed('id')}",
        f"""exec sudo -n -H -u {OWNER} -- /bin/sh -c 'eval "$(printf %b "$0")"' 'id'""",
        """exec sh -c 'eval "$(printf %b "$0")"' 'id'""",
        f"""exec sudo -n -H -u {OWNER} -- /bin/sh -c 'eval "$(printf %b "$0" "$@")"' 'id'""",
        """exec sh -c 'eval "$(printf %b "$0" "$@")"' 'id'""",
        f"{framed('id')[:-1]}' 'id'",
        f"{framed('id')[:-1]}' $(id) 'id'",
        "exec sh -c 'id'",
        framed("id").replace("eval", "evil"),
    ],
)
async def test_anything_else_is_refused_and_logged(
    sent: str | None, restricted: Restricted
) -> None:
    """Nothing of it is run, and the log says what was sent."""
    result = await restricted.client(sent)
    assert result.exit_status == 126
    assert result.stdout == ""
    assert "switchover-command: refused, " in str(result.stderr)
    assert "auth.warning -- 127.0.0.1: refused" in restricted.log()
    assert "as " + OWNER not in restricted.log()


async def test_a_frame_by_hand_is_run(restricted: Restricted) -> None:
    """So the refusals before are not those of a machine that refuses everything."""
    result = await restricted.client(framed("id -un"))
    assert result.exit_status == 0
    assert f"\n{OWNER}\n" in str(result.stdout)


async def test_it_forwards_to_the_admin_api_alone(
    owned: Node, restricted: Restricted, shell: Shell
) -> None:
    """As ``permitopen`` says; the login has no terminal, and no agent."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"api")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as api:
        port = api.sockets[0].getsockname()[1]
        restricted.permit(OPTIONS, port)
        reader, writer = await asyncio.open_unix_connection(str(await shell.tunnel(owned, port)))
        assert await reader.read() == b"api"
        writer.close()
        with pytest.raises(ForwardingRefused):
            await shell.tunnel(owned, port + 1)


async def test_a_log_that_cannot_be_written_stops_nothing(
    owned: Node, restricted: Restricted, shell: Shell
) -> None:
    """A switchover would stand half-way otherwise."""
    (restricted.machine.root / "bin/logger").write_text("#!/bin/sh\nexit 1\n")
    assert (await shell.run(owned, Command(("id", "-un")))).out == f"{OWNER}\n"


@pytest.mark.parametrize("sh", ["dash", "bash", "busybox", "ksh", "mksh"])
async def test_it_runs_under_every_posix_shell(
    sh: str, owned: Node, restricted: Restricted, shell: Shell, ledger: Ledger
) -> None:
    """``/bin/sh`` is another one on every system."""
    if (program := shutil.which(sh)) is None:
        pytest.skip(f"{sh} is not installed")
    file = restricted.machine.root / "switchover-command"
    called = f"{program} sh" if sh == "busybox" else program
    file.write_text(file.read_text().replace("#!/bin/sh", f"#!{called}", 1))
    ran = restricted.machine.home / "ran"
    assert (await ledger.run_once(owned, task(writing(ran)))).status == 0
    assert ran.read_text() == "ran\n"
    refused = await restricted.client(f"{framed('id')}; id")
    assert refused.exit_status == 126


@pytest.fixture
def ledger(shell: Shell) -> Ledger:
    """The ledgers of the test's machines."""
    return open_ledger(shell)
