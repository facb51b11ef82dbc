"""A redirect by runtime socket moves new sessions of a real HAProxy, and lasts."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from activities.load_balancer import haproxy_driver
from activities.load_balancer.activities import LoadBalancerActivities
from activities.load_balancer.haproxy_runtime import PROGRAMS, READ, REDIRECT, Runtime, reading
from tests.activities.load_balancer.conftest import Inputs
from tests.support.haproxy import Haproxy
from tests.support.ledger_tasks import SHELLS, shell_words, until
from tests.support.polling import eventually
from tests.support.ssh_machines import Attempt, SshServer
from workflows.errors import CommandFailed, Lost, NotReady
from workflows.model.actions import Redirect
from workflows.model.load_balancers.haproxy import HaproxyLoadBalancer
from workflows.model.results import Report

TO_TWO = Redirect(host="lb1", to="two", back_to="one")
TO_ONE = Redirect(host="lb1", to="one", back_to="two")
FRONT = """\
frontend clients
    bind unix@FOLDER/clients
    default_backend sftp
"""
BY_ADDRESS = FRONT + "backend sftp\n    server edge1 127.0.1.1:PORT # the Edge\n"
LOADED = "server-state-file FOLDER/state"
BY_NAME = (
    FRONT
    + """\
backend sftp
    load-server-state-from-file global
    server edge1 ipv4@localhost:PORT init-addr last,libc
"""
)
STUCK = """\
backend sftp
    stick-table type {kind} size 1k expire 1h {how}
    stick on {on}
    server edge1 127.0.1.1:PORT
"""
"""Clients of a Unix socket have no address, so that a table of integers stands for them."""

Attempts = Callable[..., Awaitable[Report]]


@pytest.fixture
def redirect(
    load_balancers: LoadBalancerActivities, haproxy_balancer: HaproxyLoadBalancer
) -> Attempts:
    """Make one attempt at a redirect; further keys are those of the host in the estate."""

    async def run(
        action: Redirect, identity: str = "run-1", *, undo: bool = False, **host: object
    ) -> Report:
        [known] = haproxy_balancer.hosts
        balancer = haproxy_balancer.model_copy(update={"hosts": (known.model_copy(update=host),)})
        given = Inputs(balancer, ()).of(action, identity, undo=undo)
        return await Attempt().run(load_balancers.redirect, given)

    return run


@pytest.fixture
def site(real_haproxy: Haproxy) -> Haproxy:
    """A HAProxy whose configuration has the Edge's address."""
    real_haproxy.configure(BY_ADDRESS)
    real_haproxy.start()
    return real_haproxy


async def test_open_sessions_stay_and_new_ones_move(site: Haproxy, redirect: Attempts) -> None:
    """Over the redirect, its undo, and a reload after each; nothing else in the file changes."""
    before = site.configuration.read_text()
    with site.client("clients") as early:
        assert (await redirect(TO_TWO)).outcome == "changed"
        assert site.lands_on("clients") == "two-edge1"
        assert early.still_at() == "one-edge1"
        with site.client("clients") as late:
            await site.reload()
            assert site.lands_on("clients") == "two-edge1"
            assert site.configuration.read_text() == before.replace("127.0.1.1", "127.0.2.1")
            assert (await redirect(TO_ONE, undo=True)).outcome == "changed"
            await site.reload()
            assert site.lands_on("clients") == "one-edge1"
            assert (early.still_at(), late.still_at()) == ("one-edge1", "two-edge1")
    assert site.configuration.read_text() == before


async def test_a_server_with_a_name_is_kept_by_the_state_file(
    real_haproxy: Haproxy, redirect: Attempts
) -> None:
    """Its configuration needs no change and no right to make one; the old state has no draft."""
    real_haproxy.configure(BY_NAME, LOADED.replace("FOLDER", str(real_haproxy.folder)))
    real_haproxy.configuration.chmod(0o444)
    real_haproxy.start()
    real_haproxy.ask(f"set server sftp/edge1 addr 127.0.1.1 port {real_haproxy.port}")
    before = real_haproxy.configuration.read_text()
    state_file = str(real_haproxy.state_file)
    assert (await redirect(TO_TWO, state_file=state_file)).outcome == "changed"
    await real_haproxy.reload()
    assert real_haproxy.addresses == {"sftp/edge1": real_haproxy.endpoint("edge1", "two")}
    assert real_haproxy.lands_on("clients") == "two-edge1"
    assert real_haproxy.configuration.read_text() == before
    assert [one.name for one in real_haproxy.folder.glob("state*")] == ["state"]
    real_haproxy.state_file.chmod(0o640)
    assert (await redirect(TO_TWO, "run-2", state_file=state_file)).outcome == "unchanged"
    assert (await redirect(TO_ONE, undo=True, state_file=state_file)).outcome == "changed"
    assert real_haproxy.state_file.stat().st_mode & 0o777 == 0o640
    await real_haproxy.reload()
    assert real_haproxy.lands_on("clients") == "one-edge1"


@pytest.mark.parametrize("how", ["", "srvkey name", "srvkey addr"])
async def test_a_pinned_client_follows_its_server(
    real_haproxy: Haproxy, redirect: Attempts, how: str
) -> None:
    """An entry of a stick table names the server, which has moved: none has to be cleared."""
    stuck = STUCK.format(kind="integer", on="int(7)", how=how)
    real_haproxy.configure(FRONT + stuck)
    real_haproxy.start()
    assert real_haproxy.lands_on("clients") == "one-edge1"
    table = real_haproxy.ask("show table sftp data.server_id eq 1")
    assert "key=7" in table
    await redirect(TO_TWO)
    assert "key=7" in real_haproxy.ask("show table sftp data.server_id eq 1")
    assert real_haproxy.lands_on("clients") == "two-edge1"
    await redirect(TO_ONE, undo=True)
    assert real_haproxy.lands_on("clients") == "one-edge1"


@pytest.mark.parametrize("program", PROGRAMS)
async def test_any_program_that_speaks_to_a_socket_will_do(
    site: Haproxy, redirect: Attempts, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one that works is used."""
    only(program, tmp_path / "bin", monkeypatch)
    assert (await redirect(TO_TWO)).outcome == "changed"
    assert site.lands_on("clients") == "two-edge1"


def only(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine find no other program that speaks to sockets."""
    found = next((p for p in paths(program) if p.exists()), None)
    if found is None:
        pytest.skip(f"{program} is not installed")
    folder.mkdir()
    for directory in ("/bin", "/usr/bin", "/usr/sbin"):
        for one in Path(directory).iterdir():
            if one.name not in PROGRAMS and not (folder / one.name).is_symlink():
                (folder / one.name).symlink_to(one)
    (folder / program).symlink_to(found.resolve())
    monkeypatch.setenv("PATH", str(folder))


def paths(program: str) -> list[Path]:
    """Return where a program may be."""
    return [Path(folder, program) for folder in os.environ["PATH"].split(":")]


@pytest.mark.parametrize("sh", SHELLS)
def test_any_shell_runs_the_scripts(real_haproxy: Haproxy, sh: str) -> None:
    """With several servers, of which one is there already, and a state that is saved."""
    real_haproxy.configure(f"{BY_ADDRESS}    server edge2 127.0.2.2:PORT\n")
    real_haproxy.start()
    state_file, port = str(real_haproxy.state_file), str(real_haproxy.port)
    place = (str(real_haproxy.socket), state_file)
    wanted = ("sftp/edge1", "127.0.2.1", port, "sftp/edge2", "127.0.2.2", port)
    for outcome in ("changed", "unchanged"):
        assert run_script(sh, REDIRECT, *place, *wanted) == f"{outcome}\n"
    saved = real_haproxy.state_file.read_text()
    assert saved.endswith("\n\n")
    assert all(f"edge{n} 127.0.2.{n} " in saved for n in (1, 2))
    found = reading(run_script(sh, READ, *place), "", *place).runtime
    assert isinstance(found, Runtime)
    assert found.servers["sftp/edge1"].endpoint == real_haproxy.endpoint("edge1", "two")


def run_script(sh: str, text: str, *arguments: str) -> str:
    """Return what a script prints under a shell."""
    argv = (*shell_words(sh), "-c", text, "switchover", *arguments)
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


async def test_a_redirect_that_holds_changes_nothing(site: Haproxy, redirect: Attempts) -> None:
    """Neither the file nor HAProxy."""
    before = site.configuration.stat().st_mtime_ns
    assert (await redirect(TO_ONE)).outcome == "unchanged"
    assert site.configuration.stat().st_mtime_ns == before


async def test_an_undo_of_what_never_began_needs_no_right(
    site: Haproxy, redirect: Attempts
) -> None:
    """The configuration may be gone, and the ledger stays empty."""
    site.configuration.unlink()
    report = await redirect(TO_ONE, undo=True)
    assert report.message == "lb1 points at one; this run has not redirected it"


async def test_what_was_told_by_hand_is_written_down(site: Haproxy, redirect: Attempts) -> None:
    """Else a reload would bring the old address back."""
    site.ask(f"set server sftp/edge1 addr 127.0.2.1 port {site.port}")
    assert (await redirect(TO_TWO)).outcome == "changed"
    await site.reload()
    assert site.lands_on("clients") == "two-edge1"


async def test_a_socket_that_only_reads_is_refused(site: Haproxy, redirect: Attempts) -> None:
    """Before anything is written."""
    before = site.configuration.read_text()
    reads = str(site.folder / "operator.sock")
    with pytest.raises(NotReady, match=r"operator\.sock has the level operator, .* needs admin"):
        await redirect(TO_TWO, socket=reads)
    assert site.configuration.read_text() == before


async def test_a_socket_that_is_not_there_is_refused(site: Haproxy, redirect: Attempts) -> None:
    """Before anything is written."""
    before = site.configuration.read_text()
    with pytest.raises(NotReady, match="absent is not there, or is no socket"):
        await redirect(TO_TWO, socket=str(site.folder / "absent"))
    site.stop()
    with pytest.raises(NotReady, match=r"gave no whole answer|is not there"):
        await redirect(TO_TWO)
    assert site.configuration.read_text() == before


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (BY_ADDRESS.replace("edge1 ", "edge2 "), "the running HAProxy has no sftp/edge1"),
        (BY_ADDRESS.replace("127.0.1.1", "127.0.9.9"), "has an address that it has on no cluster"),
        (BY_ADDRESS.replace("127.0.1.1:PORT", '"127.0.1.1:PORT"'), "not exactly one line `server`"),
        (FRONT + "backend sftp\n server-template edge 1 127.0.1.1:PORT\n", "server-template edge"),
    ],
)
async def test_what_cannot_be_written_down_is_not_told(
    real_haproxy: Haproxy, redirect: Attempts, text: str, refusal: str
) -> None:
    """HAProxy keeps its addresses where its configuration could not follow."""
    real_haproxy.configure(text)
    real_haproxy.start()
    before = real_haproxy.addresses
    with pytest.raises(NotReady, match=refusal):
        await redirect(TO_TWO)
    assert real_haproxy.addresses == before


async def test_a_state_that_cannot_be_saved_is_a_failure(site: Haproxy, redirect: Attempts) -> None:
    """The message says what is done and what is not; a retry completes it."""
    missing = site.folder / "missing"
    with pytest.raises(CommandFailed, match=r"told the addresses, but .*missing/state could not"):
        await redirect(TO_TWO, state_file=str(missing / "state"))
    missing.mkdir()
    report = await redirect(TO_TWO, "run-2", state_file=str(missing / "state"))
    assert report.outcome == "unchanged"
    assert site.endpoint("edge1", "two").split(":")[0] in (missing / "state").read_text()


SLOW = """#!/bin/sh
case $* in *"set server"*)
  echo told >>{folder}/told; until [ -e {folder}/go ]; do sleep 0.02; done ;;
esac
exec {perl} "$@"
"""


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a file ``go`` lets HAProxy be told what was begun."""
    perl = next((path for path in paths("perl") if path.exists()), None)
    if perl is None:
        pytest.skip("perl is not installed")
    program = tmp_path / "bin/perl"
    program.parent.mkdir()
    program.write_text(SLOW.format(folder=tmp_path, perl=perl))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path


async def test_a_worker_that_dies_in_between_repeats_nothing(
    site: Haproxy, redirect: Attempts, slow: Path, ssh_server: SshServer
) -> None:
    """What it began goes on without it, and the next attempt waits for its end."""
    attempt = asyncio.ensure_future(redirect(TO_TWO))
    await until(slow / "told")
    ssh_server.cut()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    again = asyncio.ensure_future(redirect(TO_TWO))
    (slow / "go").touch()
    assert (await again).outcome == "changed"
    assert (slow / "told").read_text() == "told\n"
    assert site.lands_on("clients") == "two-edge1"


async def test_a_redirect_that_is_killed_on_its_machine_is_lost(
    site: Haproxy, redirect: Attempts, slow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not begun again by itself; an undo or another round puts it right."""
    monkeypatch.setattr(haproxy_driver, "REDIRECT_TIMEOUT", timedelta(seconds=3))
    attempt = asyncio.ensure_future(redirect(TO_TWO))
    await until(slow / "told")
    [claim] = (slow / "lb1-ledger/claims").iterdir()
    os.killpg(int(claim.read_text().split()[2]), signal.SIGKILL)
    with pytest.raises(Lost):
        await attempt
    with pytest.raises(Lost):
        await redirect(TO_TWO)
    assert site.lands_on("clients") == "one-edge1"
    (slow / "go").touch()
    assert (await redirect(TO_ONE, undo=True)).outcome == "changed"
    await eventually(lambda: site.addresses["sftp/edge1"] == site.endpoint("edge1", "one"))
    await site.reload()
    assert site.lands_on("clients") == "one-edge1"


async def test_a_reload_meanwhile_does_not_undo_it(
    real_haproxy: Haproxy, redirect: Attempts, slow: Path
) -> None:
    """The new worker reads the state of the old one, and is told once more."""
    real_haproxy.configure(BY_NAME, LOADED.replace("FOLDER", str(real_haproxy.folder)))
    real_haproxy.start()
    attempt = asyncio.ensure_future(redirect(TO_TWO, state_file=str(real_haproxy.state_file)))
    await until(slow / "told")
    real_haproxy.state_file.write_text(real_haproxy.ask("show servers state"))
    await real_haproxy.reload()
    (slow / "go").touch()
    assert (await attempt).outcome == "changed"
    await real_haproxy.reload()
    assert real_haproxy.lands_on("clients") == "two-edge1"
