"""A redirect by hosts file rewrites only our lines and reloads, or refuses."""

# ruff: noqa: ASYNC240 - the files are small, and nothing else runs

import stat
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from activities.ledger.store import LedgerCommand
from activities.load_balancer.activities import LoadBalancerActivities
from activities.nodes.operating_systems import open_ledger
from activities.transport.ssh import Command, Shell
from tests.activities.load_balancer.conftest import Inputs
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
    assert hosts.stat() == before


async def test_an_undo_of_what_began_reloads_also_where_the_file_is_right(
    redirect: Attempts, hosts: Path, tmp_path: Path
) -> None:
    """Somebody put the file right meanwhile, and perhaps did not reload."""
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
