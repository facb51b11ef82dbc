"""A redirect by hosts file rewrites only our lines and reloads, or refuses."""

# ruff: noqa: ASYNC240 - the files are small, and nothing else runs

import os
import stat
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from activities.ledger.store import LedgerCommand
from activities.load_balancer.activities import LoadBalancerActivities
from activities.load_balancer.file_scripts import REWRITE
from activities.nodes.operating_systems import open_ledger
from activities.transport.ssh import Command, Shell
from tests.activities.load_balancer.conftest import Inputs
from tests.support.ledger_tasks import SHELLS, shell_words
from tests.support.mount_namespace import NEEDS_ROOT, mounted
from tests.support.ssh_machines import Attempt
from workflows.errors import CommandFailed, NotReady, OutcomeUnknown, Unresolved
from workflows.model.actions import Redirect
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer, LoadBalancerHost
from workflows.model.results import Report

TO_TWO = Redirect(host="lb1", to="two", back_to="one")
SECOND = timedelta(seconds=1)
TO_ONE = Redirect(host="lb1", to="one", back_to="two")

Attempts = Callable[..., Awaitable[Report]]


@pytest.fixture
def host(hosts_file_balancer: HostsFileLoadBalancer) -> LoadBalancerHost:
    """The one host."""
    return hosts_file_balancer.host("lb1")


@pytest.fixture
def in_place(host: LoadBalancerHost) -> tuple[LoadBalancerHost, ...]:
    """The host, whose estate says that its file is written where it is."""
    return (host.model_copy(update={"write": "in_place"}),)


@pytest.fixture
def redirect(load_balancers: LoadBalancerActivities, inputs: Inputs) -> Attempts:
    """Make one attempt at a redirect."""

    async def run(
        action: Redirect, identity: str = "run-1", *, undo: bool = False, **changes: object
    ) -> Report:
        given = inputs.of(action, identity, undo=undo, **changes)
        return await Attempt().run(load_balancers.redirect, given)

    return run


def text(file: Path) -> str:
    """Read a file."""
    return file.read_text()


def add_line(file: Path, line: str) -> None:
    """Append a line."""
    file.write_text(f"{file.read_text()}{line}\n")


def drafts(folder: Path) -> list[Path]:
    """Return drafts that were not moved into place."""
    return list(folder.glob("hosts.*"))


async def test_a_rewrite_keeps_everything_else(
    redirect: Attempts, hosts: Path, tmp_path: Path
) -> None:
    """The file's mode, and every other line; no draft remains, and the reload follows."""
    mode = hosts.stat().st_mode
    before = text(hosts)
    await redirect(TO_TWO)
    assert text(hosts) == before.replace("10.1.0.1", "10.2.0.1")
    assert text(tmp_path / "loaded") == text(hosts)
    assert hosts.stat().st_mode == mode
    assert drafts(tmp_path) == []


@pytest.mark.parametrize(
    "content",
    [
        b"# B\xfcro\n127.0.0.1 localhost\r\n10.1.0.1\tedge1.dmz EDGE1 # here\r\n10.9.9.9 other",
        b"10.1.0.1 edge1\n" + b"".join(b"0.0.0.0 ads%d\n" % number for number in range(50_000)),
        b"10.1.0.1 edge1",
    ],
    ids=["another encoding, and no newline at the end", "800 kB", "one line"],
)
async def test_whatever_else_the_file_holds_stays(
    redirect: Attempts, hosts: Path, content: bytes
) -> None:
    """Byte for byte, there and back."""
    hosts.write_bytes(content)
    assert (await redirect(TO_TWO)).outcome == "changed"
    assert hosts.read_bytes() == content.replace(b"10.1.0.1", b"10.2.0.1")
    assert (await redirect(TO_ONE, "run-2")).outcome == "changed"
    assert hosts.read_bytes() == content


async def test_a_file_that_is_right_already_is_reloaded_all_the_same(
    redirect: Attempts, hosts: Path, tmp_path: Path
) -> None:
    """It may have been written without a reload."""
    before = text(hosts)
    report = await redirect(TO_ONE)
    assert report.outcome == "unchanged"
    assert text(hosts) == before
    assert text(tmp_path / "reloads") == f"{tmp_path}/reload --now\n"


async def test_an_undo_of_what_never_began_needs_no_right(
    redirect: Attempts, hosts: Path, tmp_path: Path
) -> None:
    """Whatever else is wrong there: the reload command is gone, and the file may not be edited."""
    add_line(hosts, "10.9.9.9 edge2")
    (tmp_path / "reload").unlink()
    hosts.chmod(0o444)
    before = hosts.stat()
    report = await redirect(TO_ONE, undo=True)
    assert (report.outcome, report.message) == (
        "unchanged",
        "lb1 points at one; this run has not redirected it",
    )
    after = hosts.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


async def test_an_undo_of_what_began_reloads_also_where_the_file_is_right(
    redirect: Attempts, hosts: Path, tmp_path: Path
) -> None:
    """An administrator corrected the file meanwhile, and perhaps did not reload."""
    before = text(hosts)
    await redirect(TO_TWO)
    hosts.write_text(before)
    assert (await redirect(TO_ONE, undo=True)).outcome == "unchanged"
    assert len(text(tmp_path / "reloads").splitlines()) == 2
    assert text(tmp_path / "loaded") == before


async def test_an_undo_of_another_run_s_redirect_is_made(redirect: Attempts, hosts: Path) -> None:
    """The baseline is what counts, whoever left it."""
    before = text(hosts)
    await redirect(TO_TWO, "run-0")
    assert (await redirect(TO_ONE, undo=True)).outcome == "changed"
    assert text(hosts) == before


async def test_a_redirect_that_others_overtook_changes_nothing(
    redirect: Attempts, host: LoadBalancerHost, hosts: Path, shell: Shell
) -> None:
    """What was read before another redirect ended is old: neither rewritten nor called right."""
    begun = hosts.with_name("begun")
    argv = ("sh", "-c", f": >{begun}; sleep 1; echo 10.3.0.1 other >>{hosts}")
    slow = LedgerCommand("other", "traffic", Command(argv), timedelta(seconds=30))
    await open_ledger(shell).claim(host, slow)
    for number, action in enumerate((TO_ONE, TO_TWO)):
        with pytest.raises(CommandFailed, match="was changed meanwhile"):
            await redirect(action, f"run-{number}")
        add_line(hosts, "# one more")
        await open_ledger(shell).claim(host, replace(slow, operation=f"other{number}"))
    assert "10.2.0.1" not in text(hosts)
    assert drafts(hosts.parent) == []


async def test_a_file_that_can_only_be_written_in_place_is(
    redirect: Attempts, hosts: Path, tmp_path: Path
) -> None:
    """A link stays a link, as a mounted file stays mounted."""
    real = tmp_path / "real"
    hosts.rename(real)
    hosts.symlink_to(real)
    await redirect(TO_TWO)
    assert text(hosts) == text(real)
    assert stat.S_ISLNK(hosts.lstat().st_mode)
    assert "10.2.0.1 edge1" in text(real)


@NEEDS_ROOT
@pytest.mark.parametrize("address", ["10.2.0.1", "10.222.0.111", "9.9.9.9"])
async def test_a_container_sees_what_is_written_in_place(
    address: str,
    redirect: Attempts,
    in_place: tuple[LoadBalancerHost, ...],
    hosts: Path,
    tmp_path: Path,
) -> None:
    """Of the same length, longer or shorter, there and back; a file in its place is another one."""
    before, inode = text(hosts), hosts.stat().st_ino
    names = {"edge1": {"one": "10.1.0.1", "two": address}}
    with mounted(hosts, tmp_path / "inside") as container:
        assert (await redirect(TO_TWO, hosts=in_place, names=names)).outcome == "changed"
        wanted = before.replace("10.1.0.1", address)
        assert (text(hosts), text(tmp_path / "loaded")) == (wanted, wanted)
        assert text(container.file) == wanted
        assert (await redirect(TO_ONE, hosts=in_place, names=names)).outcome == "changed"
        assert text(container.file) == before
        assert hosts.stat().st_ino == inode
        await redirect(TO_TWO, "run-2", names=names)
        assert hosts.stat().st_ino != inode
        assert (text(hosts), text(container.file)) == (wanted, before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two pages."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@NEEDS_ROOT
async def test_a_file_that_is_half_written_gets_its_old_text_back(
    redirect: Attempts, host: LoadBalancerHost, small_disk: Path, tmp_path: Path
) -> None:
    """A disk that is full in the middle of it costs no byte; nothing is reloaded."""
    file = small_disk / "hosts"
    before = b"10.1.0.1 edge1\n".ljust(8191, b"#") + b"\n"
    file.write_bytes(before)
    here = host.model_copy(update={"write": "in_place", "hosts_file": str(file)})
    names = {"edge1": {"one": "10.1.0.1", "two": "10.222.0.111"}}
    with pytest.raises(CommandFailed, match=f"{file} could not be written and has its old text"):
        await redirect(TO_TWO, hosts=(here,), names=names)
    assert file.read_bytes() == before
    assert not (tmp_path / "reloads").exists()


async def test_a_text_that_cannot_be_put_back_is_kept(
    redirect: Attempts,
    in_place: tuple[LoadBalancerHost, ...],
    hosts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What stands in the file is compared, whatever the program says that wrote it."""
    before = text(hosts)
    broken = 'for word; do case $word in of=*) echo x >"${word#of=}" ;; esac; done'
    shadowed(
        tmp_path, monkeypatch, dd=f'case $* in *{hosts}*) {broken} ;; *) exec /bin/dd "$@" ;; esac'
    )
    with pytest.raises(CommandFailed, match="nor its old text put back") as failed:
        await redirect(TO_TWO, hosts=in_place)
    [kept] = (tmp_path / "kept").iterdir()
    assert f"{kept} has the old text" in str(failed.value)
    assert text(kept) == before
    assert not (tmp_path / "reloads").exists()


@pytest.mark.parametrize("sh", SHELLS)
def test_a_draft_is_never_written_through_a_link(sh: str, hosts: Path, tmp_path: Path) -> None:
    """Whoever may write beside the hosts file can guess what a draft of it is called."""
    victim, words = tmp_path / "victim", (*shell_words(sh), "-c", REWRITE, "switchover")
    victim.write_text("untouched")
    hosts.write_text("old\n")
    # The process that makes the link becomes the one that redirects.
    prepared = f'ln -s {victim} {hosts}.switchover.$$ && exec "$@"'
    edit = (str(hosts), "replace", cksum(hosts), "4", "0", "3", "new", "--", "true")
    done = subprocess.run(
        ("sh", "-c", prepared, "sh", *words, *edit), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "rewritten\n")
    assert (text(hosts), text(victim)) == ("new\n", "untouched")


def cksum(file: Path) -> str:
    """Return what ``cksum`` prints of the file's content."""
    with file.open() as content:
        return subprocess.check_output(("cksum",), stdin=content, text=True).strip()


async def test_without_a_whole_draft_nothing_is_written_in_place(
    redirect: Attempts,
    in_place: tuple[LoadBalancerHost, ...],
    hosts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither without a place for it, nor without a program that the edit needs."""
    before = hosts.stat().st_mtime_ns
    for number, program in enumerate(("mktemp", "head")):
        with monkeypatch.context() as alone:
            shadowed(tmp_path / program, alone, **{program: "exit 1"})
            with pytest.raises(CommandFailed, match=f"{hosts} was not touched"):
                await redirect(TO_TWO, f"run-{number}", hosts=in_place)
        assert hosts.stat().st_mtime_ns == before
        assert list((tmp_path / program / "kept").iterdir()) == []


def shadowed(folder: Path, monkeypatch: pytest.MonkeyPatch, **programs: str) -> None:
    """Let the machine find these programs first, and make temporary files in a folder."""
    for name, program in programs.items():
        file = folder / "bin" / name
        file.parent.mkdir(parents=True)
        file.write_text(f"#!/bin/sh\n{program}\n")
        file.chmod(0o755)
    (folder / "kept").mkdir()
    monkeypatch.setenv("TMPDIR", str(folder / "kept"))
    monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")


async def test_a_reload_that_hangs_is_named_and_keeps_no_undo(
    redirect: Attempts,
    host: LoadBalancerHost,
    hosts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After its limit an operator is asked; the way back waits no longer than that."""
    monkeypatch.setattr("activities.load_balancer.hosts_file_driver.RELOAD_TIMEOUT", SECOND)
    hang = f"[ -e {tmp_path}/hung ] || {{ : >{tmp_path}/hung; sleep 30; }}"
    hanging = host.model_copy(update={"reload": ("sh", "-c", hang)})
    with pytest.raises(Unresolved, match=r"lb1: `sh -c .*` still runs, since .* limit of 1 s"):
        await redirect(TO_TWO, hosts=(hanging,))
    assert "10.2.0.1" in text(hosts)
    report = await redirect(TO_ONE, hosts=(hanging,))
    assert report.outcome == "changed"
    assert "10.1.0.1" in text(hosts)


async def test_a_reload_that_fails_says_why(redirect: Attempts, host: LoadBalancerHost) -> None:
    """The operator reads what the site's command printed."""
    refusing = host.model_copy(update={"reload": ("sh", "-c", "echo bad configuration; exit 3")})
    with pytest.raises(CommandFailed) as failed:
        await redirect(TO_TWO, hosts=(refusing,))
    assert "has the addresses of two, but the reload" in str(failed.value)
    assert str(failed.value).endswith("ended with 3: bad configuration")


async def test_an_ambiguous_hosts_file_is_not_changed(redirect: Attempts, hosts: Path) -> None:
    """A second line for the name might take effect instead."""
    add_line(hosts, "10.9.9.9 edge1")
    before = text(hosts)
    with pytest.raises(NotReady, match=r"line 4 gives edge1 the address 10\.9\.9\.9"):
        await redirect(TO_TWO)
    assert text(hosts) == before


async def test_a_hosts_file_that_cannot_be_read_settles_nothing(
    redirect: Attempts, hosts: Path
) -> None:
    """No file is not an empty one."""
    hosts.unlink()
    with pytest.raises(OutcomeUnknown, match="cannot be read"):
        await redirect(TO_TWO)
