"""Who has the hosts file mounted by itself, and would keep an old one, is found beforehand."""

import subprocess
from pathlib import Path

import pytest

from activities.load_balancer import file_mounts
from activities.load_balancer.activities import LoadBalancerActivities
from activities.load_balancer.file_scripts import MOUNTED
from tests.activities.load_balancer.conftest import NOBODY, Host, Inputs, give
from tests.support.ledger_tasks import SHELLS, shell_words
from tests.support.mount_namespace import NEEDS_ROOT, mounted
from tests.support.ssh_machines import Attempt, SshServer
from workflows.model.actions import ObserveTraffic
from workflows.model.findings import Severity

CHECK = "hosts_file_mounted_elsewhere"
IN_PLACE = {"write": "in_place"}


async def names(host: Host, **changes: object) -> list[str]:
    """Return the names of what is found."""
    return [one.name for one in await host.findings(**changes)]


def replaced(file: Path) -> None:
    """Put a new file in the old one's place, as an editor does."""
    draft = file.with_name("draft")
    draft.write_bytes(file.read_bytes())
    give(draft, NOBODY)
    draft.rename(file)


@NEEDS_ROOT
async def test_a_file_that_a_container_has_mounted_is_found(host: Host, tmp_path: Path) -> None:
    """With its mount point and a process, as long as that runs, and for any user."""
    assert await host.findings() == ()
    with mounted(host.hosts, tmp_path / "inside") as container:
        [found] = await host.findings()
        assert await host.findings(**IN_PLACE) == ()
    assert (found.name, found.place, found.severity) == (CHECK, "lb1", Severity.BLOCKS)
    who = f"cat (process {container.process}) has it mounted at {container.point}"
    assert found.seen == f"{host.hosts}: {who}"
    assert "`write: in_place`" in found.advice
    assert "restart" not in found.advice
    assert await host.findings() == ()


@NEEDS_ROOT
async def test_a_container_that_has_an_old_file_is_found(host: Host, tmp_path: Path) -> None:
    """Writing the present one in place does not reach it; mounting it again does."""
    with mounted(host.hosts, tmp_path / "inside"):
        replaced(host.hosts)
        [found], [in_place] = await host.findings(), await host.findings(**IN_PLACE)
    assert found.name == in_place.name == CHECK
    assert found.seen.endswith(f"at {tmp_path}/inside, and the file was replaced since")
    assert in_place.seen == found.seen
    assert "restart" in found.advice
    assert "write: in_place" in found.advice
    assert "write: in_place" not in in_place.advice
    with mounted(host.hosts, tmp_path / "inside"):
        assert await host.findings(**IN_PLACE) == ()


@NEEDS_ROOT
async def test_a_file_that_is_not_replaced_is_in_order(host: Host, tmp_path: Path) -> None:
    """A redirect writes it in place anyway: by a link, or where the folder takes no new file."""
    with mounted(host.hosts, tmp_path / "inside"):
        link = host.folder / "link"
        link.symlink_to(host.hosts)
        assert await names(host, hosts_file=str(link)) == []
        assert await names(host) == [CHECK]
        give(host.folder, 0, 0o755)
        assert await names(host) == []


@NEEDS_ROOT
@pytest.mark.parametrize(("place", "found"), [("hosts", []), ("jail", [CHECK])])
async def test_a_file_may_be_mounted_on_the_host_itself(
    place: str, found: list[str], host: Host, ssh_server: SshServer
) -> None:
    """In its own place it is written in place; in another, such as a jail, it is one more."""
    point, folder = host.folder / place, host.folder.parent / "link"
    point.touch()
    folder.symlink_to(host.folder)
    _each_command_first(ssh_server, host.folder, f"mount --bind {host.hosts} {point}")
    assert await names(host) == found
    assert await names(host, hosts_file=str(folder / "hosts")) == found


@NEEDS_ROOT
@pytest.mark.parametrize("hidden", [1, 2])
async def test_where_processes_are_hidden_it_is_unknown(
    hidden: int, host: Host, tmp_path: Path, ssh_server: SshServer
) -> None:
    """Neither a finding nor in order."""
    assert (await host.state()).not_read == {}
    _each_command_first(ssh_server, host.folder, f"mount -t proc -o hidepid={hidden} proc /proc")
    with mounted(host.hosts, tmp_path / "inside"):
        state = await host.state()
    assert state.findings == ()
    assert state.not_read == {CHECK: "processes of other users are hidden (status 1)"}


@NEEDS_ROOT
async def test_a_reading_says_what_is_unknown(
    load_balancers: LoadBalancerActivities, inputs: Inputs, ssh_server: SshServer, tmp_path: Path
) -> None:
    """So that stage 0 shows the check as such."""
    _each_command_first(ssh_server, tmp_path, "mount -t tmpfs none /proc")
    given = inputs.of(ObserveTraffic(host="lb1"))
    reading = await Attempt().run(load_balancers.observe_traffic, given)
    assert reading.not_read.keys() == {CHECK}


def test_a_process_that_may_not_be_read_is_said() -> None:
    """One that has ended meanwhile is nothing."""
    line = "grep: /proc/{}/mountinfo: {}\n"
    ended = line.format(4, "No such file or directory") + line.format(5, "Invalid argument")
    assert file_mounts.denied(ended) is None
    assert file_mounts.denied("") is None
    refused = line.format(6, "Permission denied") + ended + line.format(7, "Permission denied")
    assert file_mounts.denied(refused) == "what 2 processes have mounted may not be read"


def test_each_mount_is_named_once_with_its_first_process() -> None:
    """However many processes a container has; whatever their names are."""
    line = "/proc/{}/mountinfo:{} 43 8:1 /etc/hosts{} /etc/h\\040o\\134 rw - ext4 /dev/sda rw\t{}\n"
    found = file_mounts.mounts(
        line.format(1000, 63, "", "haproxy")
        + line.format(71, 90, "//deleted", "two words")
        + line.format(999, 63, "", "init\x1b[31m")
        + "grep: /proc/6/mountinfo: Permission denied\n"
    )
    assert list(map(str, found)) == [
        "two words (process 71) has it mounted at /etc/h o\\, and the file was replaced since",
        "init [31m (process 999) has it mounted at /etc/h o\\",
    ]


@NEEDS_ROOT
@pytest.mark.parametrize("sh", SHELLS)
def test_any_path_is_found_under_any_shell(sh: str, tmp_path: Path) -> None:
    """Also with characters that the kernel writes as numbers."""
    folder = tmp_path / "a b\\c\td"
    folder.mkdir()
    file = folder / "the hosts"
    file.write_text("10.1.0.1 edge1\n", encoding="utf-8")
    command = [*shell_words(sh), "-c", MOUNTED, "switchover", str(file)]

    def found(write: str) -> list[tuple[str, bool]]:
        printed = subprocess.run(
            [*command, write], check=True, capture_output=True, encoding="utf-8"
        )
        return [(one.point, one.old) for one in file_mounts.mounts(printed.stdout)]

    with mounted(file, folder / "in side"):
        seen = str(folder / "in side").replace("\t", " ")
        assert (found("replace"), found("in_place")) == ([(seen, False)], [])
        replaced(file)
        assert found("replace") == found("in_place") == [(seen, True)]


def _each_command_first(ssh_server: SshServer, folder: Path, mount: str) -> None:
    """Let each command of the host's user run in a namespace where something was mounted before."""
    sh = folder / "mounting"
    mounting = f'{mount} && exec {ssh_server.sh} "$@"'
    sh.write_text(f"#!/bin/sh\nexec unshare --mount sh -c '{mounting}' sh \"$@\"\n", "utf-8")
    sh.chmod(0o755)
    ssh_server.sh = str(sh)
