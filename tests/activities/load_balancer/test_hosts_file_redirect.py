"""A redirect by hosts file rewrites only our lines and reloads, or refuses."""

from __future__ import annotations

import stat
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
from workflows.errors import CommandFailed, NotReady, OutcomeUnknown
from workflows.model.actions import Redirect
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer, LoadBalancerHost

TO_TWO = Redirect(host="lb1", to="two", back_to="one")
TO_ONE = Redirect(host="lb1", to="one", back_to="two")


@pytest.fixture
def host(hosts_file_balancer: HostsFileLoadBalancer) -> LoadBalancerHost:
    """The one host."""
    return hosts_file_balancer.host("lb1")


def text(file: Path) -> str:
    """Read a file."""
    return file.read_text()


def mode_of(file: Path) -> int:
    """Return a file's mode."""
    return file.stat().st_mode


def add_line(file: Path, line: str) -> None:
    """Append a line."""
    before = file.read_text() if file.exists() else ""
    file.write_text(f"{before}{line}\n")


def link_to(file: Path, real: Path) -> None:
    """Move a file away and leave a link to it."""
    file.rename(real)
    file.symlink_to(real)


def hosts_itself(file: Path) -> int:
    """Return the mode of what stands there, a link perhaps."""
    return file.lstat().st_mode


def remove(file: Path) -> None:
    """Remove a file."""
    file.unlink()


def leftovers(folder: Path) -> list[Path]:
    """Return drafts that were not moved into place."""
    return list(folder.glob("hosts.*"))


async def test_a_rewrite_keeps_everything_else(
    load_balancers: LoadBalancerActivities, inputs: Inputs, hosts: Path, tmp_path: Path
) -> None:
    """The file's mode, and every other line; no draft remains, and the reload follows."""
    mode = mode_of(hosts)
    before = text(hosts)
    await Attempt().run(load_balancers.redirect, inputs.of(TO_TWO))
    assert text(hosts) == before.replace("10.1.0.1", "10.2.0.1")
    assert text(tmp_path / "loaded") == text(hosts)
    assert mode_of(hosts) == mode
    assert leftovers(tmp_path) == []


async def test_a_file_that_is_right_already_is_reloaded_all_the_same(
    load_balancers: LoadBalancerActivities, inputs: Inputs, hosts: Path, tmp_path: Path
) -> None:
    """Whoever wrote it may never have reloaded."""
    before = text(hosts)
    report = await Attempt().run(load_balancers.redirect, inputs.of(TO_ONE))
    assert report.outcome == "unchanged"
    assert text(hosts) == before
    assert text(tmp_path / "reloads") == f"{tmp_path}/reload --now\n"


async def test_a_redirect_that_others_overtook_changes_nothing(
    load_balancers: LoadBalancerActivities,
    inputs: Inputs,
    host: LoadBalancerHost,
    hosts: Path,
    shell: Shell,
) -> None:
    """What was read before another redirect ended is old: neither rewritten nor called right."""
    begun = hosts.with_name("begun")
    argv = ("sh", "-c", f": >{begun}; sleep 1; echo 10.3.0.1 other >>{hosts}")
    slow = LedgerCommand("other", "traffic", Command(argv), timedelta(seconds=30))
    await open_ledger(shell).claim(host, slow)
    for number, action in enumerate((TO_ONE, TO_TWO)):
        with pytest.raises(CommandFailed, match="was changed meanwhile"):
            await Attempt().run(load_balancers.redirect, inputs.of(action, f"run-{number}"))
        add_line(hosts, "# one more")
        await open_ledger(shell).claim(host, replace(slow, operation=f"other{number}"))
    assert "10.2.0.1" not in text(hosts)
    assert leftovers(hosts.parent) == []


async def test_a_file_that_can_only_be_written_in_place_is(
    load_balancers: LoadBalancerActivities, inputs: Inputs, hosts: Path, tmp_path: Path
) -> None:
    """A link stays a link, as a mounted file stays mounted."""
    real = tmp_path / "real"
    link_to(hosts, real)
    await Attempt().run(load_balancers.redirect, inputs.of(TO_TWO))
    assert text(hosts) == text(real)
    assert stat.S_ISLNK(hosts_itself(hosts))
    assert "10.2.0.1 edge1" in text(real)


async def test_a_reload_that_fails_says_why(
    load_balancers: LoadBalancerActivities, inputs: Inputs, host: LoadBalancerHost
) -> None:
    """The operator reads what the site's command printed."""
    refusing = host.model_copy(update={"reload": ("sh", "-c", "echo bad configuration; exit 1")})
    with pytest.raises(CommandFailed, match="bad configuration"):
        await Attempt().run(load_balancers.redirect, inputs.of(TO_TWO, hosts=(refusing,)))


async def test_a_hosts_file_that_is_not_ours_is_left_alone(
    load_balancers: LoadBalancerActivities, inputs: Inputs, hosts: Path
) -> None:
    """A second line for the name would decide by its number."""
    add_line(hosts, "10.9.9.9 edge1")
    before = text(hosts)
    with pytest.raises(NotReady, match="line 5 of the hosts file"):
        await Attempt().run(load_balancers.redirect, inputs.of(TO_TWO))
    assert text(hosts) == before


async def test_a_hosts_file_that_cannot_be_read_settles_nothing(
    load_balancers: LoadBalancerActivities, inputs: Inputs, hosts: Path
) -> None:
    """No file is not an empty one."""
    remove(hosts)
    with pytest.raises(OutcomeUnknown, match="cannot be read"):
        await Attempt().run(load_balancers.redirect, inputs.of(TO_TWO))
