"""The facts of a machine are read as they are, and what is missing is unknown."""

import asyncio
import getpass
import os
import signal
import socket
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from activities.ledger.store import LedgerCommand
from activities.nodes import linux_facts
from activities.nodes.linux_facts import parse_facts
from activities.nodes.operating_systems import open_ledger
from activities.transport.ssh import Command, Shell
from tests.support import estates
from tests.support.ssh_machines import Installation, SshServer
from tests.support.unix_machines import MACHINES, UnixMachine
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Node
from workflows.model.observations import MachineFacts

WHOLE = """\
user st
system Linux
owner st
ledger yes
free 2048
systemd yes
login KillOnlyUsers=
login KillExcludeUsers=root
login KillUserProcesses=no
addresses 192.0.2.61 127.0.0.1 20010db8000000000000000000000061
files 2
conf {a}  ./a.xml
conf {b}  ./deep/b c.xml
end
""".format(a="a" * 64, b="b" * 64)


async def read(shell: Shell, node: Node) -> MachineFacts:
    """Ask the machine."""
    return parse_facts((await shell.run(node, linux_facts.facts_command(node))).out)


def own_addresses() -> set[str]:
    """Return the address that this machine would send from; none where it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unsent:
        try:
            unsent.connect(("198.51.100.1", 9))
        except OSError:
            return set()
        return {unsent.getsockname()[0]}


@pytest.fixture
def installed(server: Node) -> Installation:
    """Return an installation that lacks nothing."""
    installation = Installation(server, "sshd", "tm")
    for name in ("start_all", "stop_all"):
        installation.script(name, "#!/bin/sh\n")
    return installation


async def test_a_machine_that_lacks_nothing(
    server: Node, shell: Shell, installed: Installation
) -> None:
    """Everything that is needed is there, in one answer."""
    facts = await read(shell, server)
    assert facts.user == facts.owner == getpass.getuser()
    assert facts.system == "Linux"
    assert facts.unusable == ()
    assert own_addresses() <= set(facts.addresses)
    assert facts.ledger_writable
    assert facts.ledger_free > 0
    assert facts.pending == ()


async def test_scripts_that_cannot_be_run_are_named(
    server: Node, shell: Shell, installed: Installation
) -> None:
    """Missing ones and those without the right; a disabled server's are renamed on purpose."""
    bin_ = installed.home / "bin"
    (bin_ / "stop_tm").unlink()
    (bin_ / "start_sshd").chmod(0o644)
    (bin_ / "stop_monitord").rename(bin_ / "stop_monitord.disable")
    assert (await read(shell, server)).unusable == ("start_sshd", "stop_tm")


async def test_a_missing_installation_has_no_owner(
    server: Node, shell: Shell, installed: Installation
) -> None:
    """Known by its bin directory."""
    (installed.home / "bin").rename(installed.home / "nib")
    assert (await read(shell, server)).owner is None


async def test_a_ledger_that_cannot_be_written_is_known(
    server: Node, shell: Shell, installed: Installation
) -> None:
    """A file stands where its directory should be; missing ones can be made."""
    (installed.home.parent / f"{server.name}-ledger").write_text("")
    assert not (await read(shell, server)).ledger_writable


@pytest.mark.parametrize("way", ["link", "writable", "moved"])
async def test_a_ledger_that_others_can_change_is_known(
    server: Node, shell: Shell, installed: Installation, tmp_path: Path, way: str
) -> None:
    """Before a run, since each of its commands would be refused there."""
    ledger = tmp_path / "place/ledger"
    ledger.mkdir(parents=True, mode=0o700)
    exposed = server.model_copy(update={"ledger": str(ledger)})
    assert (await read(shell, exposed)).ledger_exposed is None
    if way == "link":
        ledger.rename(tmp_path / "real")
        ledger.symlink_to(tmp_path / "real")
    else:
        (ledger if way == "writable" else ledger.parent).chmod(0o777)
    words = f"{ledger} is a link" if way == "link" else "others may write to"
    assert words in ((await read(shell, exposed)).ledger_exposed or "")


async def test_conf_files_are_told_apart(
    server: Node, shell: Shell, installed: Installation
) -> None:
    """By their digests, also those with a name that needs quotes."""
    deep = installed.home / "conf/deep"
    deep.mkdir(parents=True)
    (deep / "it's a file.xml").write_text("one")
    (installed.home / "conf/a.xml").write_text("two")
    before = (await read(shell, server)).conf
    assert sorted(before) == ["a.xml", "deep/it's a file.xml"]
    (installed.home / "conf/a.xml").write_text("three")
    after = (await read(shell, server)).conf
    assert {name for name in before if before[name] != after[name]} == {"a.xml"}


@pytest.mark.parametrize("kind", MACHINES)
async def test_other_shells_and_programs_read_the_same(  # noqa: PLR0913, PLR0917 - fixtures
    server: Node,
    shell: Shell,
    ssh_server: SshServer,
    installed: Installation,
    tmp_path: Path,
    kind: str,
) -> None:
    """Under each shell, with busybox or few programs; a graceful stop of somebody's, too."""
    deep = installed.home / "conf/deep"
    deep.mkdir(parents=True)
    for name in ("it's a file.xml", "-n", "back\\slash", "ü"):
        (deep / name).write_text(name)
    (installed.home / "bin/stop_tm").unlink()
    machine = UnixMachine.of(tmp_path, kind)
    installed.set("blocks")
    installed.set("sshd.late", "60")
    command = [str(installed.home / "bin/stop_sshd"), "-g", "-timeout", "60"]
    stop = await asyncio.create_subprocess_exec(*command, start_new_session=True)
    try:
        await until_runs(stop.pid, "stop_sshd")
        usual = await read(shell, server)
        ssh_server.sh = machine.login_shell()
        other = await read(shell, server)
    finally:
        os.killpg(stop.pid, signal.SIGKILL)
        await stop.wait()
    assert usual.pending == ("ssh",)
    assert len(usual.conf) == 4
    unequal = {"ledger_free": 0, "kills_processes": None}
    assert other.model_copy(update=unequal) == usual.model_copy(update=unequal)


async def test_files_that_cannot_be_listed_are_unknown(
    server: Node, shell: Shell, installed: Installation
) -> None:
    """If conf is no directory, its files are unknown."""
    (installed.home / "conf").write_text("")
    with pytest.raises(OutcomeUnknown, match="conf cannot be read"):
        await read(shell, server)


async def test_a_graceful_stop_that_was_not_ours_is_found(
    server: Node, shell: Shell, installed: Installation
) -> None:
    """Any process that runs it counts; one with its path among the arguments does not."""
    installed.set("blocks")
    installed.set("sshd.late", "60")
    command = [str(installed.home / "bin/stop_sshd"), "-g", "-timeout", "60"]
    stop = await asyncio.create_subprocess_exec(*command, start_new_session=True)
    try:
        await until_runs(stop.pid, "stop_sshd")
        assert (await read(shell, server)).pending == ("ssh",)
    finally:
        os.killpg(stop.pid, signal.SIGKILL)
        await stop.wait()


async def test_a_graceful_stop_in_the_ledger_is_pending_until_it_has_completed(
    server: Node, shell: Shell, installed: Installation
) -> None:
    """Its command has ended, and it may complete until its deadline; once settled, it has."""
    ledger = open_ledger(shell)
    task = LedgerCommand(
        "run.stage.stop.1", "ssh", Command(("true",)), timedelta(minutes=1), completes_on="deadline"
    )
    await ledger.run_once(server, task)
    assert (await read(shell, server)).pending == ("ssh",)
    await ledger.settle(server, task)
    assert (await read(shell, server)).pending == ()


async def test_a_claim_that_cannot_be_read_is_not_taken_for_none(
    server: Node, shell: Shell, installed: Installation
) -> None:
    """It may be a graceful stop."""
    (installed.home.parent / f"{server.name}-ledger/claims/1").mkdir(parents=True)
    with pytest.raises(OutcomeUnknown, match="claims/1 cannot be read"):
        await read(shell, server)


def test_the_whole_answer_is_read() -> None:
    """Every line of it."""
    assert parse_facts(WHOLE) == MachineFacts(
        user="st",
        owner="st",
        system="Linux",
        ledger_writable=True,
        ledger_free=2048 * 1024,
        kills_processes=False,
        conf={"a.xml": "a" * 16, "deep/b c.xml": "b" * 16},
        addresses=("192.0.2.61", "2001:db8::61"),
    )


@pytest.mark.parametrize(
    ("lines", "kills"),
    [
        ("systemd yes\nlogin KillUserProcesses=yes", True),
        ("systemd yes\nlogin KillUserProcesses=no", False),
        ("systemd yes\nlogin KillUserProcesses=perhaps", None),
        ("systemd yes", None),
        ("systemd no", False),
        ("systemd no\nlogin KillUserProcesses=yes", True),
        ("systemd yes\nlogin KillUserProcesses=yes\nlogin KillExcludeUsers=root st", False),
        ("systemd yes\nlogin KillUserProcesses=yes\nlogin KillOnlyUsers=guest", False),
        ("systemd yes\nlogin KillUserProcesses=yes\nlogin KillOnlyUsers=guest st", True),
        # The session is the one of the account that logs in, where sudo changed it.
        ("session sw\nsystemd yes\nlogin KillUserProcesses=yes\nlogin KillExcludeUsers=st", True),
        ("session sw\nsystemd yes\nlogin KillUserProcesses=yes\nlogin KillExcludeUsers=sw", False),
    ],
)
def test_whether_a_session_takes_its_processes_along(lines: str, *, kills: bool | None) -> None:
    """Without an answer of logind it is unknown, unless there is no systemd at all."""
    head, tail = "user st\nsystem Linux\nledger yes\nfree 1\n", "\naddresses\nfiles 0\nend\n"
    assert parse_facts(f"{head}{lines}{tail}").kills_processes is kills


@pytest.mark.parametrize("line", WHOLE.splitlines()[:-1])
def test_an_answer_without_one_line_is_not_taken_for_whole(line: str) -> None:
    """Unless what that line says may be missing."""
    rest = WHOLE.replace(f"{line}\n", "", 1)
    if line.startswith(("owner", "login KillUser")):
        assert parse_facts(rest) != parse_facts(WHOLE)
        return
    if line.startswith("login"):  # with KillUserProcesses=no, they say nothing
        return
    with pytest.raises(OutcomeUnknown):
        parse_facts(rest)


async def until_runs(pid: int, name: str) -> None:
    """Wait until a process runs that program."""
    async with asyncio.timeout(10):
        cmdline = Path(f"/proc/{pid}/cmdline")
        while name not in cmdline.read_text():  # noqa: ASYNC110, ASYNC240 - a process of the test
            await asyncio.sleep(0.01)


def test_a_machine_without_any_program_is_not_kept_busy(tmp_path: Path) -> None:
    """The script ends where its PATH leads nowhere, and says less: it is not taken for whole."""
    machine = estates.estate().nodes[0].model_copy(update={"ledger": str(tmp_path / "a/b/c")})
    sh, *rest = linux_facts.ledger_facts_command(machine).argv
    ended = subprocess.run(
        [f"/bin/{sh}", *rest],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ended.stdout.endswith("end\n")
    with pytest.raises(OutcomeUnknown):
        linux_facts.parse_ledger_facts(ended.stdout)


def test_too_many_addresses_are_unknown() -> None:
    """And one that cannot be read is no answer."""
    many = " ".join(f"10.0.{n // 200}.{n % 200 + 1}" for n in range(201))
    assert parse_facts(WHOLE.replace("127.0.0.1", many)).addresses == ()
    assert parse_facts(WHOLE.replace("192.0.2.61 127.0.0.1", "")).addresses == ("2001:db8::61",)
    with pytest.raises(OutcomeUnknown, match="addresses"):
        parse_facts(WHOLE.replace("127.0.0.1", "127.0"))
