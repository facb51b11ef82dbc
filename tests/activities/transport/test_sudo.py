"""Machines on which sudo runs every command as another account: a real sudo behind OpenSSH."""

# ruff: noqa: ASYNC240 - the files are small, and nothing else runs

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from activities.ledger.ledger import Ledger
from activities.nodes import run_as
from activities.nodes.operating_systems import open_ledger, operating_system
from activities.runtime.partial_reading import reading_or_finding
from activities.transport import sudo
from activities.transport.ssh import Command, Shell, script
from tests.activities.conftest import NodeMaker
from tests.support.ledger_tasks import task, until, writing
from tests.support.openssh import OpenSsh
from tests.support.sudo_machine import IDS, LOGIN, OWNER, RULES, SudoMachine, sudo_machine
from workflows.errors import RunAsRefused
from workflows.model.estate import Node
from workflows.model.findings import Finding
from workflows.preflight import access

RULE = f"{LOGIN} ALL=({OWNER}) NOPASSWD: /bin/sh"


@pytest.fixture
def machine() -> Iterator[SudoMachine]:
    """The files of a machine with sudo."""
    with sudo_machine() as made:
        yield made


@pytest.fixture
async def openssh(machine: SudoMachine) -> AsyncIterator[OpenSsh]:
    """Its SSH server."""
    async with machine.serving() as server:
        yield server


@pytest.fixture
def owned(machine: SudoMachine, openssh: OpenSsh, node_maker: NodeMaker) -> Node:
    """A node that the worker logs in to without rights, and whose owner has no login."""
    ledger = str(machine.home / "ledger")
    return node_maker(**machine.access(openssh), ledger=ledger, listen_on=())


async def test_every_command_runs_as_the_owner(
    owned: Node, shell: Shell, machine: SudoMachine
) -> None:
    """With the owner's home directory, in a directory that everybody may enter, over one login."""
    here = script('id -un; echo "$HOME"; pwd; echo "$1"; echo printed >&2; exit 3', "it's\n$5")
    answers = await asyncio.gather(*(shell.run(owned, here) for _ in range(12)))
    expected = f"{OWNER}\n{machine.home}\n/\nit's\n$5\n"
    assert {(a.out, a.err, a.status) for a in answers} == {(expected, "printed\n", 3)}
    asked = await shell.run(sudo.without(owned), Command(("id", "-un")))
    assert asked.out == f"{LOGIN}\n"
    log = (machine.root / "sshd.log").read_text()
    assert log.count("Accepted publickey") == 1


async def test_without_sudo_the_account_can_do_nothing_there(
    owned: Node, shell: Shell, machine: SudoMachine
) -> None:
    """Otherwise the other tests would show nothing."""
    (machine.home / "file").write_text("of the owner")
    read = Command(("cat", str(machine.home / "file")))
    assert (await shell.run(sudo.without(owned), read)).status != 0
    assert (await shell.run(owned, read)).status == 0


@pytest.mark.parametrize("setting", ["use_pty", "!use_pty", "umask=027", "!env_reset"])
async def test_a_detached_command_outlives_sudo_and_the_session(
    setting: str, owned: Node, machine: SudoMachine, shell: Shell, ledger: Ledger
) -> None:
    """It runs once, as the owner, in a ledger that the owner alone may enter."""
    machine.sudoers = f"Defaults {setting}\n{RULES}"
    ran, wanted = machine.home / "ran", task(writing(machine.home / "ran", "sleep 1; id -un"))
    claiming = [asyncio.create_task(ledger.claim(owned, wanted)) for _ in range(4)]
    await asyncio.gather(*claiming)
    await until(ran)
    await shell.close()  # the end of every session, and of what sudo started in it
    again = open_ledger(shell)
    records = await asyncio.gather(*(again.run_once(owned, wanted) for _ in range(4)))
    assert {(record.status, record.output) for record in records} == {(0, OWNER)}
    assert ran.read_text() == "ran\n"
    private = Path(owned.ledger).stat()
    assert (private.st_uid, private.st_mode & 0o777) == (IDS[OWNER], 0o700)


async def test_a_command_whose_connection_is_killed_runs_to_its_end(
    owned: Node, machine: SudoMachine, openssh: OpenSsh, ledger: Ledger
) -> None:
    """Neither sshd's end nor sudo's takes it along."""
    ran = machine.home / "ran"
    wanted = task(writing(ran, "sleep 1; echo done"))
    await ledger.claim(owned, wanted)
    await until(ran)
    for session in _processes(f"sshd: {LOGIN}"):
        os.kill(session, signal.SIGKILL)
    claim = (Path(owned.ledger) / "claims/1").read_text().split()
    while not (status := Path(owned.ledger, claim[0], claim[-1], "status")).exists():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    assert status.read_text().startswith("0 ")
    assert ran.read_text() == "ran\n"


async def test_facts_name_the_owner(owned: Node, machine: SudoMachine, shell: Shell) -> None:
    """The ledger can be written, and it is the session of the login that may end processes."""
    facts = await operating_system(shell, owned).ledger_facts(owned)
    assert (facts.user, facts.writable, facts.exposed) == (OWNER, True, None)


async def test_long_commands_travel_through_sudo(owned: Node, shell: Shell) -> None:
    """As long as without it: sudo logs them, and cuts only its log."""
    long = "x" * 90_000
    assert (await shell.run(owned, script('echo "${#1}"', long))).out == "90000\n"


REFUSALS = {
    "asks for a password": (f"{LOGIN} ALL=({OWNER}) /bin/sh", "password is required", RULE),
    "no rule": ("", "password is required", RULE),
    "requiretty": (f"Defaults requiretty\n{RULE}", "must have a tty", "!requiretty"),
    "allows less": (f"{LOGIN} ALL=({OWNER}) NOPASSWD: /bin/ls", "password is required", RULE),
    "another account": (f"{LOGIN} ALL=(games) NOPASSWD: /bin/sh", "password is required", RULE),
    "not for this machine": (f"{LOGIN} other=({OWNER}) NOPASSWD: /bin/sh", "password", RULE),
    "a syntax error": ("no rule (", "password is required", RULE),
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("language", ["en", "de"])
async def test_a_refusal_is_a_finding_that_names_the_line_for_sudoers(
    name: str, language: str, machine: SudoMachine, node_maker: NodeMaker, shell: Shell
) -> None:
    """It ran nothing; the finding blocks, whatever language sudo speaks there."""
    rules, seen, advice = REFUSALS[name]
    machine.sudoers = f"{rules}\n"
    async with machine.serving(f"LANG=C.UTF-8 LANGUAGE={language}") as server:
        node = node_maker(**machine.access(server), ledger=str(machine.home / "ledger"))
        found = await reading_or_finding(
            lambda: shell.run(node, script('echo ran >"$1"', str(machine.home / "ran"))),
            node.name,
            access.node_unreachable_ssh,
        )
    assert isinstance(found, Finding)
    assert found.name == "run_as_refused"
    assert f"sudo runs no command of {LOGIN} as {OWNER}" in found.seen
    assert seen in found.seen
    assert advice in found.seen
    assert not (machine.home / "ran").exists()


async def test_an_account_that_is_not_there_is_named(
    machine: SudoMachine, openssh: OpenSsh, node_maker: NodeMaker, shell: Shell
) -> None:
    """It is not a matter of the rule."""
    node = node_maker(**machine.access(openssh, run_as="nosuch"))
    with pytest.raises(RunAsRefused, match=r"unknown user nosuch.*create nosuch there"):
        await shell.run(node, Command(("true",)))


@pytest.mark.parametrize("login_shell", ["sh", "tcsh", "fish"])
async def test_a_machine_without_sudo_is_named(
    login_shell: str, machine: SudoMachine, node_maker: NodeMaker, shell: Shell
) -> None:
    """The message shows where it was looked for, whatever the login shell says."""
    if (program := shutil.which(login_shell)) is None:
        pytest.skip(f"{login_shell} is not installed")
    machine.use_shell(program)
    (machine.root / "bin").mkdir()
    (machine.root / "bin/sh").symlink_to("/bin/sh")
    async with machine.serving(f"PATH={machine.root}/bin") as server:
        node = node_maker(**machine.access(server))
        expected = f"no program sudo in {machine.root}/bin.*install it there"
        with pytest.raises(RunAsRefused, match=expected):
            await shell.run(node, Command(("true",)))


@pytest.mark.parametrize("login_shell", ["bash", "csh", "tcsh", "fish", "zsh", "ksh", "mksh"])
async def test_the_login_shell_may_be_any(
    login_shell: str, machine: SudoMachine, node_maker: NodeMaker, shell: Shell
) -> None:
    """It only has to start sudo."""
    if (program := shutil.which(login_shell)) is None:
        pytest.skip(f"{login_shell} is not installed")
    machine.use_shell(program)
    async with machine.serving() as server:
        node = node_maker(**machine.access(server))
        assert (await shell.run(node, script('echo "$1"', "!a $b"))).out == "!a $b\n"
        assert await run_as.findings(shell, node, node.name) == ()


async def test_banners_and_lectures_are_no_answer(
    owned: Node, machine: SudoMachine, shell: Shell
) -> None:
    """What sudo or the machine prints besides stands outside of the marks."""
    machine.sudoers = f"Defaults lecture=always\nDefaults fqdn\n{RULES}"
    (machine.root / LOGIN / ".hushlogin").touch()
    answer = await shell.run(owned, Command(("echo", "answer")))
    assert (answer.out, answer.err) == ("answer\n", "")


async def test_the_documented_rules_are_enough_and_not_too_much(owned: Node, shell: Shell) -> None:
    """The check finds nothing."""
    assert await run_as.findings(shell, owned, owned.name) == ()


@pytest.mark.parametrize(
    ("more", "seen"),
    [
        (f"{LOGIN} ALL=(ALL) NOPASSWD: ALL", "also lets switchover run commands as ALL"),
        (f"{LOGIN} ALL=(ALL:ALL) ALL", "also lets switchover run commands as ALL"),
        (
            f"{LOGIN} ALL=(root) NOPASSWD: /usr/bin/systemctl restart haproxy",
            "also lets switchover run commands as root",
        ),
        (f"{LOGIN} ALL=(games, #12, %adm) /bin/ls", "as games, #12, %adm"),
        (
            f"{LOGIN} ALL=NOPASSWD: /bin/{'x' * 90}, /bin/{'y' * 90}",
            "also lets switchover run commands as root",
        ),
    ],
)
async def test_more_rights_than_needed_are_a_warning(
    more: str, seen: str, owned: Node, machine: SudoMachine, shell: Shell
) -> None:
    """It names the accounts, and the one rule that is needed."""
    machine.sudoers = f"{RULES}\n{more}\n"
    [finding] = await run_as.findings(shell, owned, owned.name)
    assert finding.name == "run_as_not_minimal"
    assert finding.severity == "warns"
    assert seen in finding.seen
    assert RULE in finding.advice


async def test_a_list_that_sudo_does_not_give_is_a_warning(
    owned: Node, machine: SudoMachine, shell: Shell
) -> None:
    """Unknown is not minimal."""
    machine.sudoers = f"Defaults listpw=always\n{RULES}"
    [finding] = await run_as.findings(shell, owned, owned.name)
    assert "password is required" in finding.seen


async def test_a_rule_whose_commands_may_start_no_program_is_refused(
    owned: Node, machine: SudoMachine, shell: Shell
) -> None:
    """A shell alone would run, and none of SecureTransport's scripts."""
    machine.sudoers = RULES.replace("NOPASSWD:", "NOPASSWD: NOEXEC:")
    with pytest.raises(RunAsRefused, match="has NOEXEC"):
        await run_as.findings(shell, owned, owned.name)


async def test_a_machine_without_run_as_is_not_asked(node: Node, shell: Shell) -> None:
    """There is no sudo to speak of."""
    assert await run_as.findings(shell, node, node.name) == ()


@pytest.fixture
def ledger(shell: Shell) -> Ledger:
    """The ledgers of the test's machines."""
    return open_ledger(shell)


def _processes(title: str) -> list[int]:
    """Return the processes whose title begins so."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if line.startswith(title):
            found.append(int(entry.name))
    assert found
    return found
