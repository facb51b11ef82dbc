"""What keeps a redirect of a real HAProxy from working or lasting is found beforehand."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from activities.load_balancer.haproxy_driver import HaproxyDriver
from activities.load_balancer.haproxy_runtime import PROGRAMS
from activities.load_balancer.haproxy_servers import Configuration
from activities.transport.ssh import Shell
from tests.activities.load_balancer.conftest import AS_NOBODY, NOBODY, Inputs, give
from tests.activities.load_balancer.test_haproxy_redirect import BY_ADDRESS, BY_NAME, FRONT, LOADED
from tests.support.haproxy import Haproxy
from tests.support.mount_namespace import NEEDS_ROOT, mounted
from tests.support.ssh_machines import SshServer
from workflows.model.actions import ObserveTraffic
from workflows.model.estate import Cluster
from workflows.model.findings import Finding
from workflows.model.load_balancers.haproxy import HaproxyLoadBalancer
from workflows.preflight.catalogue import BY_NAME as CHECKS

Observe = Callable[..., Awaitable[dict[str, Finding]]]


@pytest.fixture
def observe(
    shell: Shell, haproxy_balancer: HaproxyLoadBalancer, clusters: tuple[Cluster, ...]
) -> Observe:
    """Observe the host; further keys are those of the host in the estate."""

    async def run(**host: object) -> dict[str, Finding]:
        [known] = haproxy_balancer.hosts
        hosts = (known.model_copy(update=host),)
        balancer = haproxy_balancer.model_copy(update={"hosts": hosts})
        given = Inputs(balancer, clusters).of(ObserveTraffic(host="lb1"))
        state = await HaproxyDriver(shell, balancer).observe(given)
        assert {one.name for one in state.findings} | set(state.not_read) <= set(CHECKS)
        return {one.name: one for one in state.findings}

    return run


async def test_a_site_without_fault_has_no_finding(real_haproxy: Haproxy, observe: Observe) -> None:
    """With addresses in the configuration; and with names, whose state a redirect saves."""
    real_haproxy.configure(BY_ADDRESS)
    real_haproxy.start()
    assert await observe() == {}
    real_haproxy.stop()
    real_haproxy.configure(BY_NAME, LOADED.replace("FOLDER", str(real_haproxy.folder)))
    real_haproxy.start()
    assert await observe(state_file=str(real_haproxy.state_file)) == {}
    assert not real_haproxy.state_file.exists()


FAULTY = (
    FRONT
    + """\
backend sftp
    server edge1 ipv4@localhost:PORT check addr 127.0.1.9 on-marked-down shutdown-sessions
    server stray 127.0.1.2:PORT
    server spare 127.0.2.2:PORT backup
    server off 127.0.2.2:PORT disabled
"""
)


async def test_what_is_wrong_is_found_together(real_haproxy: Haproxy, observe: Observe) -> None:
    """Each by a check of its own."""
    real_haproxy.configure(FAULTY)
    real_haproxy.start()
    found = await observe(
        socket=str(real_haproxy.folder / "operator.sock"),
        state_file=str(real_haproxy.folder / "missing/state"),
    )
    assert found.keys() == {
        "haproxy_socket_read_only",
        "haproxy_state_file_not_writable",
        "haproxy_server_not_in_estate",
        "haproxy_health_elsewhere",
        "haproxy_reload_undoes",
        "haproxy_sessions_cut",
    }
    stray = f"sftp/stray at {real_haproxy.endpoint('edge2', 'one')}"
    assert found["haproxy_server_not_in_estate"].seen == stray


@pytest.mark.skipif(os.geteuid() != 0, reason="files of others are made by root only")
async def test_rights_that_are_missing_are_found(
    real_haproxy: Haproxy, observe: Observe, ssh_server: SshServer
) -> None:
    """To use the socket, and to write the configuration; unless that need not be changed."""
    sh = real_haproxy.folder / "sh"
    sh.write_text(AS_NOBODY)
    sh.chmod(0o755)
    ledger = real_haproxy.folder / "ledger"
    ledger.mkdir()
    give(ledger, NOBODY)
    real_haproxy.folder.chmod(0o755)
    real_haproxy.configure(BY_ADDRESS)
    real_haproxy.start()
    ssh_server.sh = str(sh)
    found = await observe(ledger=str(ledger))
    assert found.keys() == {"haproxy_socket_unusable", "haproxy_configuration_not_writable"}
    assert f"may not use {real_haproxy.socket}" in found["haproxy_socket_unusable"].seen
    give(real_haproxy.configuration, NOBODY)
    real_haproxy.socket.chmod(0o666)
    assert await observe(ledger=str(ledger)) == {}


async def test_a_socket_without_haproxy_is_found(
    real_haproxy: Haproxy, observe: Observe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is missing, where none listens any more, and where no program can ask."""
    real_haproxy.configure(BY_ADDRESS)
    found = await observe()
    assert "is not there" in found["haproxy_socket_unusable"].seen
    real_haproxy.start()
    (tmp_path / "bin").mkdir()
    for name in PROGRAMS:
        (tmp_path / "bin" / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    found = await observe()
    assert found["haproxy_socket_unusable"].seen == (
        "st finds none of the programs perl, python3, socat, nc"
    )


@NEEDS_ROOT
async def test_a_configuration_that_a_container_has_mounted_is_found(
    real_haproxy: Haproxy, observe: Observe, tmp_path: Path
) -> None:
    """It would be reloaded with the old addresses; written in place, it is the same file there."""
    real_haproxy.configure(BY_ADDRESS)
    real_haproxy.start()
    with mounted(real_haproxy.configuration, tmp_path / "inside"):
        found = await observe()
        assert found.keys() == {"haproxy_configuration_mounted_elsewhere"}
        assert await observe(write="in_place") == {}


BACKENDS = {
    "address": "server a 127.0.0.1:PORT",
    "address_and_state": "load-server-state-from-file global\n server a 127.0.0.1:PORT",
    "name": "server a ipv4@localhost:PORT",
    "state": "load-server-state-from-file global\n server a ipv4@localhost:PORT",
    "libc": "load-server-state-from-file global\n server a ipv4@localhost:PORT init-addr libc,last",
    "last": "load-server-state-from-file global\n server a ipv4@localhost:PORT init-addr last,none",
    "default": (
        "load-server-state-from-file global\n default-server init-addr libc\n"
        " server a ipv4@localhost:PORT"
    ),
    "local": (
        "load-server-state-from-file local\n server-state-file-name other\n"
        " server a ipv4@localhost:PORT"
    ),
}


@pytest.mark.parametrize("saved", [True, False])
async def test_haproxy_keeps_over_a_reload_what_we_say(
    real_haproxy: Haproxy, *, saved: bool
) -> None:
    """Where the state is saved, and where an old one lies there."""
    there = "127.0.0.9:1"
    own = {
        f"{name}/a": {"one": f"127.0.0.1:{real_haproxy.port}", "two": there} for name in BACKENDS
    }
    backends = "".join(f"backend {name}\n {text}\n" for name, text in BACKENDS.items())
    folder = real_haproxy.folder
    real_haproxy.configure(
        FRONT + "backend sftp\n" + backends,
        f"server-state-file state\n    server-state-base {folder}",
    )
    real_haproxy.start()
    before = real_haproxy.ask("show servers state")
    for name in own:
        real_haproxy.ask(f"set server {name} addr 127.0.0.9 port 1")
    assert set(real_haproxy.addresses.values()) == {there}
    real_haproxy.state_file.write_text(real_haproxy.ask("show servers state") if saved else before)
    (folder / "other").write_text(before)
    content = real_haproxy.configuration.read_bytes()
    said = Configuration(content, own).undone(str(real_haproxy.state_file) if saved else None)
    for one in reversed(Configuration(content, own).edits("two")):
        content = content[: one.start] + one.address.encode() + content[one.start + one.length :]
    real_haproxy.configuration.write_bytes(content)
    await real_haproxy.reload()
    undone = {name for name, at in real_haproxy.addresses.items() if at != there}
    assert {one.split()[0].removesuffix(":") for one in said} == undone
    assert 0 < len(undone) < len(own)
