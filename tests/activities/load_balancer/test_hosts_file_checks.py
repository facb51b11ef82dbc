"""What a redirect needs of a load balancer host is checked beforehand; nothing is changed."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from activities.nodes import machine_ledger
from activities.nodes.operating_system import LedgerFacts
from tests.activities.conftest import NodeMaker
from tests.activities.load_balancer.conftest import NOBODY, Host, give
from tests.support.ssh_machines import SshServer
from workflows.model.load_balancers import machines_checks
from workflows.preflight.catalogue import BY_NAME

SUDO = """#!/bin/sh
[ "$1 $2" = "-n -l" ] && shift 2 && [ "$*" = "-u lb /sbin/reload now" ]
"""


def metadata(file: Path) -> tuple[int, ...]:
    """Return what a write would change."""
    now = file.stat()
    return now.st_ino, now.st_mode, now.st_uid, now.st_size, now.st_mtime_ns, now.st_ctime_ns


def marked(file: Path, attribute: str) -> bool:
    """Change an attribute of the file system's; whether it knows it."""
    return subprocess.run(["chattr", attribute, file], check=False).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="files of others are made by root only")
@pytest.mark.parametrize(
    ("folder", "file", "writable"),
    [
        ((0, 0o755), (NOBODY, 0o644), True),  # written where it is
        ((0, 0o755), (0, 0o666), True),
        ((0, 0o755), (0, 0o644), False),
        ((NOBODY, 0o755), (0, 0o644), True),  # replaced
        ((0, 0o777), (0, 0o644), True),
        ((0, 0o1777), (0, 0o644), False),  # others' files stay in a sticky folder
        ((NOBODY, 0o755), (0, 0o600), False),  # its text cannot be taken over
        ((NOBODY, 0o755), (0, 0o444), False),  # the copy could not be written either
        ((NOBODY, 0o500), (0, 0o644), False),
    ],
)
async def test_a_hosts_file_is_writable_as_the_redirect_writes_it(
    folder: tuple[int, int], file: tuple[int, int], host: Host, *, writable: bool
) -> None:
    """In place, or by a new file in its place; an observation changes neither."""
    give(host.hosts, *file)
    give(host.folder, *folder)
    before = metadata(host.hosts)
    assert await host.writable() is writable
    assert metadata(host.hosts) == before
    assert [path.name for path in host.folder.iterdir()] == ["hosts"]


@pytest.mark.skipif(os.geteuid() != 0, reason="files of others are made by root only")
@pytest.mark.parametrize("write", ["replace", "in_place"])
async def test_a_file_that_is_written_in_place_has_to_be_writable_itself(
    write: str, host: Host
) -> None:
    """A folder in which a new file could be made does not help; nor does it need one."""
    give(host.hosts, 0, 0o644)
    assert await host.writable(write=write) is (write == "replace")
    give(host.hosts, NOBODY, 0o600)
    give(host.folder, 0, 0o755)
    assert await host.writable(write=write)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a file immutable")
@pytest.mark.parametrize("attribute", ["i", "a"])
async def test_an_immutable_hosts_file_is_not_writable(host: Host, attribute: str) -> None:
    """Neither it nor a new file in its place, although its mode and its folder's allow it."""
    if not marked(host.hosts, f"+{attribute}"):
        pytest.skip("this file system knows no such attribute")
    try:
        assert not await host.writable()
    finally:
        assert marked(host.hosts, f"-{attribute}")
    assert await host.writable()


async def test_a_hosts_file_that_is_none_is_not_writable(host: Host) -> None:
    """Missing, or a folder; a link is written where it leads."""
    real = host.folder.parent / "real"
    host.hosts.rename(real)
    assert not await host.writable()
    host.hosts.symlink_to(real)
    assert await host.writable()
    host.hosts.unlink()
    host.hosts.mkdir()
    assert not await host.writable()


@pytest.mark.parametrize(
    ("content", "check", "seen"),
    [
        ("10.1.0.1 edge1.dmz EDGE1 # here\n", None, ""),
        ("10.9.9.9 edge1\n", "hosts_file_not_changeable", "line 1 gives edge1 the address"),
        ("10.1.0.2 edge2\n", "hosts_file_not_changeable", "no line gives edge1 an address"),
        ("10.1.0.1 edge1\n# by puppet\n", "hosts_file_managed", "names puppet"),
    ],
)
async def test_a_file_that_a_redirect_could_not_change_is_found(
    host: Host, content: str, check: str | None, seen: str
) -> None:
    """Before anything is changed, by the edit that it would make."""
    host.hosts.write_text(content, encoding="utf-8")
    found = await host.findings()
    assert [one.name for one in found] == ([] if check is None else [check])
    assert all(seen in one.seen for one in found)


async def test_an_edit_that_this_machine_cannot_make_is_found(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a program is missing that it needs."""
    host.hosts.write_text("127.0.0.1 localhost\n10.1.0.1 edge1\n", encoding="utf-8")
    head = host.folder / "head"
    head.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    head.chmod(0o755)
    monkeypatch.setenv("PATH", f"{host.folder}:{os.environ['PATH']}")
    found = {one.name: one for one in await host.findings()}
    assert set(found) == {"hosts_file_not_changeable", "host_program_missing"}
    assert "head, tail and wc" in found["hosts_file_not_changeable"].expected
    assert "find no head with -c (to edit" in found["host_program_missing"].seen


async def test_a_reload_command_has_to_be_there(host: Host) -> None:
    """By its path, or somewhere on the user's."""
    assert await host.runnable("/bin/true")
    assert await host.runnable("true", "--now")
    for word in ("/bin/nowhere", "nowhere", "/bin", str(host.hosts)):
        assert not await host.runnable(word)


async def test_a_reload_by_sudo_has_to_be_allowed_without_a_password(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With exactly these arguments, as sudo itself reports."""
    arguments = ("-u", "lb", "/sbin/reload", "now")
    sudo = host.folder / "sudo"
    assert not await host.runnable(str(sudo), *arguments)
    sudo.write_text(SUDO, encoding="utf-8")
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{host.folder}:{os.environ['PATH']}")
    for spelling in ("sudo", str(sudo)):
        assert await host.runnable(spelling, *arguments)
        assert not await host.runnable(spelling, *arguments, "too")


async def test_rights_that_cannot_be_read_are_unknown(host: Host, ssh_server: SshServer) -> None:
    """They are neither granted nor refused."""
    for nonsense in ("/bin/false", "/bin/echo"):
        ssh_server.sh = nonsense
        found = await host.findings()
        assert {one.name for one in found} == {"reading_unusable"}
        assert all("gave no whole answer" in one.seen for one in found)


async def test_a_configuration_is_read_whole_or_not_at_all(
    host: Host, ssh_server: SshServer
) -> None:
    """Missing, cut, or empty, it is unknown; where the estate names none, it is not checked."""
    file = host.folder / "haproxy.cfg"
    assert await host.findings() == ()
    for text in (None, "", "backend ssh\n server edge1 edge1:22", "# nothing\n"):
        if text is not None:
            file.write_text(text, encoding="utf-8")
        [unread] = await host.findings(configuration=str(file))
        assert (unread.name, unread.place) == ("reading_unusable", "lb1")
        assert str(file) in unread.seen
    ssh_server.sh = "/bin/true"
    unread_parts = await host.findings(configuration=str(file))
    assert all("gave no whole answer" in one.seen for one in unread_parts)


@pytest.mark.parametrize(
    ("configuration", "check", "seen"),
    [
        (
            "backend ssh\n server edge1 10.2.0.1:22\n",
            "edges_by_address",
            "backend ssh: server edge1 10.2.0.1:22, no server is reached as edge1",
        ),
        (
            "backend ssh\n stick-table type ip expire 1h\n stick on src\n server a edge1:22\n",
            "sticky_entries",
            "backend ssh: 1h",
        ),
        (
            "global\n hard-stop-after 5m\nbackend ssh\n server a edge1:22\n",
            "hard_stop_after_short",
            "hard-stop-after 5 minutes",
        ),
        ("global\n hard-stop-after 2d\nbackend ssh\n server a edge1:22\n", None, ""),
        (
            "global\n mworker-max-reloads 0\nbackend ssh\n server a edge1:22\n",
            "hard_stop_after_short",
            "mworker-max-reloads 0",
        ),
        (
            "global\n mworker-max-reloads 1\nbackend ssh\n server a edge1:22\n",
            "reloads_limited",
            "mworker-max-reloads 1",
        ),
        ("global\n mworker-max-reloads 2\nbackend ssh\n server a edge1:22\n", None, ""),
        (
            "backend ssh\n server a edge1:22\n server b edge2:22\n",
            "server_not_in_estate",
            "backend ssh: server b edge2:22",
        ),
        (
            "backend ssh\n server a edge1:22\nlisten http\n server b old:443\n",
            "server_not_in_estate",
            "listen http: server b old:443",
        ),
        ("backend ssh\n server a EDGE1.dmz.:22\n", None, ""),
        (
            "backend ssh\n server a edge1:22 resolvers dns\n",
            "reload_keeps_addresses",
            "backend ssh: server a edge1:22 asks the name servers of resolvers dns",
        ),
    ],
)
async def test_what_a_configuration_does_to_a_redirect_is_found(
    configuration: str, check: str | None, seen: str, host: Host
) -> None:
    """Each with its severity, what was expected, and what to do; what is in order is no finding."""
    host.hosts.write_text("10.1.0.1 edge1.dmz edge1\n10.2.0.1 old\n", encoding="utf-8")
    file = host.folder / "haproxy.cfg"
    file.write_text(configuration, encoding="utf-8")
    found = await host.findings(configuration=str(file))
    assert [(one.name, one.place, one.seen) for one in found] == (
        [] if check is None else [(check, "lb1", seen)]
    )
    for one in found:
        assert one.severity is BY_NAME[one.name].severity
        assert one.expected
        assert one.advice


async def test_what_can_be_read_is_known_where_the_rest_cannot(host: Host) -> None:
    """A missing configuration hides neither rights nor addresses."""
    host.hosts.unlink()
    found = await host.findings(configuration="/nowhere", reload=("/nowhere",))
    assert sorted(one.name for one in found) == [
        "hosts_file_not_writable",
        "reading_unusable",
        "reading_unusable",
        "reload_not_runnable",
    ]


async def test_a_ledger_that_cannot_be_kept_is_found(host: Host) -> None:
    """A redirect would be refused there, with replication off."""
    found = {one.name: one for one in await host.findings()}
    assert "host_ledger_not_usable" not in found
    found = {one.name: one for one in await host.findings(ledger="/proc/switchover")}
    assert "/proc/switchover cannot be written by" in found["host_ledger_not_usable"].seen


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"free": 2**20}, "1 MiB free for"),
        ({"exposed": "others may write to /"}, "others may write to /"),
        ({"kills_processes": True}, "KillUserProcesses applies to lb"),
        ({"kills_processes": None}, "no readable answer from loginctl"),
    ],
)
def test_a_ledger_needs_room_and_commands_that_last(
    changes: dict[str, Any], seen: str, node_maker: NodeMaker
) -> None:
    """Each reason is named, with what to do."""
    facts = LedgerFacts(user="lb", writable=True, free=2**30, kills_processes=False)
    machine = node_maker("lb1")
    assert (
        machine_ledger.judged(facts, machine, machines_checks.host_ledger_not_usable, "lb1") == ()
    )
    changed = replace(facts, **changes)
    [finding] = machine_ledger.judged(
        changed, machine, machines_checks.host_ledger_not_usable, "lb1"
    )
    assert seen in finding.seen
    assert finding.advice


def test_the_session_that_may_be_ended_is_that_of_the_account_that_logs_in(
    node_maker: NodeMaker,
) -> None:
    """Sudo begins none of its own."""
    ssh = {"user": "switchover", "run_as": "lb", "key": "env:KEY"}
    facts = LedgerFacts(user="lb", writable=True, free=2**30, kills_processes=True)
    [finding] = machine_ledger.judged(
        facts, node_maker("lb1", ssh=ssh), machines_checks.host_ledger_not_usable, "lb1"
    )
    assert "KillUserProcesses applies to switchover" in finding.seen
