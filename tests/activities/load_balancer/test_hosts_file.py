"""What a redirect needs of a load balancer host is looked at beforehand, and nothing touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from activities.load_balancer.driver import HostsFiles, Rights
from activities.load_balancer.haproxy_config import Configured
from activities.transport.ssh import Shell
from tests.activities.conftest import NodeMaker
from tests.support.ssh_machines import SshServer
from workflows.errors import OutcomeUnknown
from workflows.model.estate import HostsFileLoadBalancer

NOBODY = 65534
AS_NOBODY = """#!/bin/sh
[ "$(id -u)" = 0 ] || exec /bin/sh "$@"
exec setpriv --reuid=65534 --regid=65534 --clear-groups /bin/sh "$@"
"""
SUDO = """#!/bin/sh
[ "$1 $2" = "-n -l" ] && shift 2 && [ "$*" = "-u lb /sbin/reload now" ]
"""


@dataclass
class Host:
    """A load balancer host whose user is not root."""

    folder: Path
    driver: HostsFiles
    facts: dict[str, object]

    @property
    def hosts(self) -> Path:
        """Its hosts file."""
        return self.folder / "hosts"

    async def rights(self, *reload: str) -> Rights:
        """Look at what a redirect may do there."""
        return await self.driver.rights(self._balancer(reload=reload or ("true",)), "lb1")

    async def configured(self, file: Path | None) -> Configured:
        """Read the configuration."""
        changes = {"configuration": None if file is None else str(file)}
        return await self.driver.configured(self._balancer(reload=("true",), **changes), "lb1")

    def _balancer(self, **changes: object) -> HostsFileLoadBalancer:
        probe = {"protocol": "http", "address": "127.0.0.1", "port": 1, "user": "probe"}
        probe |= {"password": "env:PROBE", "fingerprint": "0" * 64}
        host = {**self.facts, "name": "lb1", "hosts_file": str(self.hosts), **changes}
        names = {"edge1": {"one": "10.1.0.1", "two": "10.2.0.1"}}
        return HostsFileLoadBalancer.model_validate(
            {"hosts": [host], "names": names, "probes": [probe]}
        )


@pytest.fixture
def host(shell: Shell, node_maker: NodeMaker, ssh_server: SshServer) -> Iterator[Host]:
    """A host with a hosts file of its user's in a folder of its user's."""
    root = Path(tempfile.mkdtemp(prefix="switchover-test-"))
    root.chmod(0o755)  # the host's user walks into it
    sh = root / "sh"
    sh.write_text(AS_NOBODY, encoding="utf-8")
    sh.chmod(0o755)
    ssh_server.sh = str(sh)
    folder = root / "etc"
    folder.mkdir()
    facts = node_maker("lb1").model_dump(include={"address", "ssh", "host_key", "ledger"})
    host = Host(folder, HostsFiles(shell), facts)
    host.hosts.write_text("10.1.0.1 edge1\n", encoding="utf-8")
    give(folder, NOBODY)
    give(host.hosts, NOBODY)
    yield host
    shutil.rmtree(root)


def give(path: Path, user: int, mode: int | None = None) -> None:
    """Let a file belong to someone, and have a mode."""
    if os.geteuid() == 0:
        os.chown(path, user, user)
    if mode is not None:
        path.chmod(mode)


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
    """In place, or by a new file in its place; looking changes neither."""
    give(host.hosts, *file)
    give(host.folder, *folder)
    before = host.hosts.stat()
    assert (await host.rights()).hosts_file_writable is writable
    assert host.hosts.stat() == before
    assert [path.name for path in host.folder.iterdir()] == ["hosts"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a file immutable")
@pytest.mark.parametrize("attribute", ["i", "a"])
async def test_an_immutable_hosts_file_is_not_writable(host: Host, attribute: str) -> None:
    """Neither it nor a new file in its place, although its mode and its folder's allow it."""
    if not marked(host.hosts, f"+{attribute}"):
        pytest.skip("this file system knows no such attribute")
    try:
        assert not (await host.rights()).hosts_file_writable
    finally:
        assert marked(host.hosts, f"-{attribute}")
    assert (await host.rights()).hosts_file_writable


async def test_a_hosts_file_that_is_none_is_not_writable(host: Host) -> None:
    """Missing, or a folder; a link is written where it leads."""
    real = host.folder.parent / "real"
    host.hosts.rename(real)
    assert not (await host.rights()).hosts_file_writable
    host.hosts.symlink_to(real)
    assert (await host.rights()).hosts_file_writable
    host.hosts.unlink()
    host.hosts.mkdir()
    assert not (await host.rights()).hosts_file_writable


async def test_a_reload_command_has_to_be_there(host: Host) -> None:
    """By its path, or somewhere on the user's."""
    assert (await host.rights("/bin/true")).reload_runnable
    assert (await host.rights("true", "--now")).reload_runnable
    for word in ("/bin/nowhere", "nowhere", "/bin", str(host.hosts)):
        assert not (await host.rights(word)).reload_runnable


async def test_a_reload_by_sudo_has_to_be_allowed_without_a_password(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With just these words; sudo itself says so."""
    words = ("-u", "lb", "/sbin/reload", "now")
    sudo = host.folder / "sudo"
    assert not (await host.rights(str(sudo), *words)).reload_runnable
    sudo.write_text(SUDO, encoding="utf-8")
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{host.folder}:{os.environ['PATH']}")
    for spelling in ("sudo", str(sudo)):
        assert (await host.rights(spelling, *words)).reload_runnable
        assert not (await host.rights(spelling, *words, "too")).reload_runnable


async def test_rights_that_cannot_be_told_are_unknown(host: Host, ssh_server: SshServer) -> None:
    """Neither wait nor refused."""
    for nonsense in ("/bin/false", "/bin/echo"):
        ssh_server.sh = nonsense
        with pytest.raises(OutcomeUnknown, match="what a redirect may do cannot be told"):
            await host.rights()


async def test_a_configuration_is_read_whole_or_not_at_all(
    host: Host, ssh_server: SshServer
) -> None:
    """Missing, cut, or empty, it is unknown; where the estate names none, nothing is said."""
    file = host.folder / "haproxy.cfg"
    assert await host.configured(None) == Configured()
    for text in (None, "", "backend ssh\n server edge1 edge1:22", "# nothing\n"):
        if text is not None:
            file.write_text(text, encoding="utf-8")
        with pytest.raises(OutcomeUnknown, match=f"lb1: {file}"):
            await host.configured(file)
    file.write_text("backend ssh\n server edge1 10.2.0.1:22\n", encoding="utf-8")
    found = await host.configured(file)
    assert found == Configured(
        unnamed=("backend ssh: server edge1 10.2.0.1:22",), unused=("edge1",)
    )
    ssh_server.sh = "/bin/true"
    with pytest.raises(OutcomeUnknown, match="cannot be read"):
        await host.configured(file)
