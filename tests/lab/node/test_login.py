"""The account that logs in to a machine whose owner has no login."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import records
from lab.layout import LOGIN_USER, SHELL_USER, Drivers, Layout
from lab.node.login import SudoLogin
from tests.support.directories import fresh_directory

THROUGH = """exec sudo -n -H -u st -- /bin/sh -c 'eval "$(printf %b "$0")"' '{}'"""


class StandIn(SudoLogin):
    """A login where sudo cannot be had."""

    is_real = False


@pytest.fixture(params=[SudoLogin, StandIn])
def login(request: pytest.FixtureRequest) -> Iterator[SudoLogin]:
    """The account of one machine, with sudo itself and with what stands in for it."""
    layout = Layout(fresh_directory(), "127.9.8", drivers=Drivers(run_as=True))
    home = layout.root / "machines/node1"
    (home / "bin").mkdir(parents=True)
    (home / "file").write_text("of the owner", encoding="utf-8")
    made = request.param(layout, "node1", home, f"{home}/bin:{os.environ['PATH']}")
    made.prepare()
    if request.param is SudoLogin and not made.is_real:
        pytest.skip("sudo is not installed, or only root may make accounts for it")
    yield made
    subprocess.run(["rm", "-rf", layout.root], check=True)


def run(login: SudoLogin, sent: str) -> subprocess.CompletedProcess[str]:
    """Send a command to the account's login shell."""
    environment = login.environment({"PATH": login.path, "HOME": str(login.home)})
    argv = login.command(["/bin/sh", "-c", sent], sent)
    return subprocess.run(
        argv, env=environment, cwd=login.home, capture_output=True, text=True, check=False
    )


def kinds(login: SudoLogin) -> list[str]:
    """Return what was recorded."""
    return [line["kind"] for line in records.read(login.layout.logins)]


def test_through_sudo_it_has_the_rights_and_the_programs_of_the_owner(login: SudoLogin) -> None:
    """As the product sends its commands."""
    (login.home / "bin/own").write_text("#!/bin/sh\necho own program\n", encoding="utf-8")
    (login.home / "bin/own").chmod(0o755)
    text = f"own; cat {login.home}/file; echo; echo $SUDO_USER $HOME".replace(" ", r"\0040")
    result = run(login, THROUGH.format(text.replace(";", r"\0073").replace("$", r"\0044")))
    expected = f"own program\nof the owner\n{LOGIN_USER} {login.home}\n"
    assert (result.stdout, result.stderr, result.returncode) == (expected, "", 0)
    assert kinds(login) == ["command"]


def test_without_sudo_it_can_do_nothing(login: SudoLogin) -> None:
    """It is recorded, and fails."""
    for sent in (f"cat {login.home}/file", f"touch {login.home}/made", f"ls {login.home}"):
        result = run(login, sent)
        assert result.returncode != 0
        assert result.stdout == ""
    assert not (login.home / "made").exists()
    assert kinds(login) == ["other"] * 3


@pytest.mark.parametrize(
    "sent",
    [
        THROUGH.replace("-u st", "-u root").format("id"),
        THROUGH.replace("/bin/sh", "/bin/cat").format("id"),
        "exec sudo -n id",
        "sudo -n -u games /bin/sh -c id",
    ],
)
def test_sudo_allows_nothing_else(login: SudoLogin, sent: str) -> None:
    """Neither another account nor another program."""
    result = run(login, sent)
    assert result.returncode == 1
    assert "password is required" in result.stderr
    assert kinds(login) == ["other"]


def test_it_may_ask_what_sudo_allows(login: SudoLogin) -> None:
    """In a script, as the product does."""
    result = run(login, "exec sh -c 'LC_ALL=C; export LC_ALL; sudo -n -l </dev/null 2>&1'")
    assert f"({SHELL_USER}) NOPASSWD: /bin/sh" in result.stdout
    assert f"User {LOGIN_USER} may run the following commands on " in result.stdout
    assert kinds(login) == ["question"]


def test_the_files_of_etc_are_left_alone(login: SudoLogin) -> None:
    """The accounts are there in a namespace of each command only."""
    run(login, THROUGH.format("id"))
    for name in ("passwd", "group"):
        assert f"{LOGIN_USER}:" not in Path("/etc", name).read_text(encoding="utf-8")
