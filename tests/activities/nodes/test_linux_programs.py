"""What scripts need on a machine is known before anything is changed, and named if missing."""

import dataclasses
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from activities.nodes import linux_programs, missing_programs
from activities.nodes.linux_programs import PROGRAMS
from activities.nodes.operating_system import MissingProgram, Use
from activities.transport.ssh import Shell
from tests.support import estates
from tests.support.mount_namespace import NEEDS_ROOT
from tests.support.ssh_machines import SshServer
from tests.support.unix_machines import INTERPRETERS, MACHINES, UnixMachine, commands
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Machine, Node
from workflows.preflight.nodes import program_missing

MACHINE = estates.estate().nodes[0]
NEEDED = [
    (use, entry.name)
    for use, entries in PROGRAMS.items()
    for entry in entries
    if use is Use.SERVER or entry not in PROGRAMS[Use.SERVER]
]
"""Each entry of the list once; a Server needs most of them."""
OLD = {
    "date": "echo %s",
    "dd": 'case $* in *fsync*) echo "dd: unknown conversion fsync" >&2; exit 1 ;; esac; cat',
    "find": 'for word do [ "$word" != -print0 ] || exit 1; done',
    "head": "exit 1",
    "ls": "exit 2",
    "stat": "echo 'stat: illegal option -- c' >&2; exit 1",
    "timeout": 'exec "$2" "$3" "$4"',
    "xargs": "exit 1",
}
"""Programs that are there, and are not what scripts need: old ones, or another system's."""


def missing(machine: UnixMachine, use: Use, asked: Machine = MACHINE) -> list[str]:
    """Return the names of what is missing there."""
    printed = machine.run(linux_programs.command(asked, use).argv)
    return [one.name for one in linux_programs.parse(printed, use)]


@pytest.mark.parametrize("kind", MACHINES)
@pytest.mark.parametrize("use", Use)
def test_nothing_is_missing_where_scripts_run(kind: str, use: Use, tmp_path: Path) -> None:
    """On the machines on which the tests of scripts are run."""
    assert missing(UnixMachine.of(tmp_path, kind), use) == []


@pytest.mark.parametrize(("use", "name"), [one for one in NEEDED if commands(one[1])])
def test_each_program_is_named_where_it_is_missing(use: Use, name: str, tmp_path: Path) -> None:
    """It, and nothing that is there."""
    machine = UnixMachine.of(tmp_path, "dash-needed")
    machine.without(commands(name))
    found = missing(machine, use)
    assert name in found
    assert {commands(one) for one in found} == {commands(name)}


@pytest.mark.parametrize(("program", "text"), OLD.items(), ids=OLD)
def test_a_program_that_cannot_do_what_is_needed_is_as_good_as_missing(
    program: str, text: str, tmp_path: Path
) -> None:
    """Its name alone says nothing."""
    machine = UnixMachine.of(tmp_path, "dash-needed")
    machine.without((program, "perl"))
    (machine.path / program).write_text(f"#!{machine.path}/sh\n{text}\n")
    (machine.path / program).chmod(0o755)
    found = {commands(one) for use in Use for one in missing(machine, use)}
    assert [one for one in found if program in one] == list(found)
    assert len(found) == 1


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_a_machine_without_any_program_says_so(interpreter: str, tmp_path: Path) -> None:
    """Nothing but the shell itself is needed to say it."""
    if interpreter == "busybox":
        pytest.skip("this shell has its programs built in")
    machine = UnixMachine.of(tmp_path, f"{interpreter}-needed")
    machine.without({one.name for one in machine.path.iterdir()} - {"sh"})
    lacking = {commands(one) for one in missing(machine, Use.SERVER)}
    assert lacking == {commands(one.name) for one in PROGRAMS[Use.SERVER]} - {()}


@NEEDS_ROOT
def test_a_machine_without_proc_is_no_linux_machine(tmp_path: Path) -> None:
    """AIX and Solaris are told so, before a script looks for processes there."""
    machine = UnixMachine.of(tmp_path, "dash-needed")
    argv = linux_programs.command(MACHINE, Use.SERVER).argv
    hiding = 'mount -t tmpfs none /proc && PATH=$1 && shift && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", hiding, "sh", str(machine.path), *argv]
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = linux_programs.parse(printed, Use.SERVER)
    assert [one.name for one in found] == ["/proc of Linux", "readable boot_id", "/proc/net/tcp"]
    assert "for no other Unix" in found[0].advice


def test_a_boot_id_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Also on a machine that is no node: a redirect would be refused there."""
    asked = MACHINE.model_copy(update={"boot_id": str(tmp_path / "nowhere")})
    machine = UnixMachine.of(tmp_path, "dash-needed")
    assert missing(machine, Use.EDITED_FILE, asked) == ["readable boot_id"]


@pytest.mark.parametrize("text", ["", "3", "end 3", "99999 end", "x end"])
def test_an_answer_that_is_not_whole_says_nothing(text: str) -> None:
    """Not that nothing is missing."""
    with pytest.raises(OutcomeUnknown, match="incomplete"):
        linux_programs.parse(text, Use.SERVER)


async def test_a_finding_says_what_is_missing_and_what_for(
    server: Node, shell: Shell, ssh_server: SshServer, tmp_path: Path
) -> None:
    """An operator installs it, or mounts it."""
    machine = UnixMachine.of(tmp_path, "dash-needed")
    machine.without(("timeout", "base64"))
    ssh_server.sh = machine.login_shell()
    [finding] = await missing_programs.findings(
        shell, server, Use.SERVER, program_missing, server.name
    )
    assert finding.seen == (
        "commands of st on server1 find no base64 with -d, timeout (to compare the storages)"
    )
    assert (finding.name, finding.place) == ("program_missing", "server1")
    assert finding.advice == linux_programs.INSTALL
    machine.link({name: name for name in ("timeout", "base64")})
    assert not await missing_programs.findings(
        shell, server, Use.SERVER, program_missing, server.name
    )


def test_every_purpose_is_named_once() -> None:
    """With all that is missing for it, and each advice once."""
    lacking = [
        MissingProgram("a", "to read", "install a"),
        MissingProgram("b", "to write", "install a"),
        MissingProgram("c", "to read", "mount c"),
    ]
    [finding] = missing_programs.judged(tuple(lacking), MACHINE, program_missing, "server1")
    assert finding.seen.endswith("find no a, c (to read), no b (to write)")
    assert finding.advice == "install a; mount c"
    assert missing_programs.judged((), MACHINE, program_missing, "server1") == ()


def entries() -> Iterator[dict[str, str]]:
    """Yield every entry of the list."""
    for programs in PROGRAMS.values():
        yield from map(dataclasses.asdict, programs)


def test_every_name_can_be_told_from_others_on_its_machine() -> None:
    """An entry that stands twice would be shown twice."""
    for programs in PROGRAMS.values():
        names = [one.name for one in programs]
        assert len(names) == len(set(names))
    assert all(entry["works"] and entry["advice"] for entry in entries())


def test_the_page_about_machines_has_the_list() -> None:
    """As it stands: `linux_programs.table()` prints it."""
    page = Path(__file__).parents[3] / "docs/machines.md"
    assert linux_programs.table() in page.read_text(encoding="utf-8")
