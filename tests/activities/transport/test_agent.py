"""Keys of an SSH agent, which is OpenSSH's own."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from activities.runtime.partial_reading import reading_or_finding
from activities.time_limits import LIMITS, TimeLimits
from activities.transport.secrets import Secrets
from activities.transport.ssh import Command, Shell
from tests.activities.conftest import NodeMaker
from tests.support.openssh import openssh
from tests.support.polling import eventually
from tests.support.ssh_machines import CLIENT_KEY, HOST_KEY_LINE, SshServer
from workflows.errors import AccessRefused, BadInput
from workflows.model.findings import Finding
from workflows.preflight import access

TRUE = Command(("true",))
PUBLIC = CLIENT_KEY.export_public_key("openssh").decode().strip()
OTHER = asyncssh.generate_private_key("ssh-ed25519")

pytestmark = pytest.mark.skipif(
    not (shutil.which("ssh-agent") and shutil.which("ssh-add")),
    reason="OpenSSH's client, with ssh-agent and ssh-add, is not installed",
)


@dataclass
class Agent:
    """A running agent."""

    socket: Path
    askpass: Path
    """What it asks somebody with."""

    async def listens(self) -> bool:
        """Whether it takes connections."""
        try:
            _, writer = await asyncio.open_unix_connection(self.socket)
        except OSError:
            return False
        writer.close()
        return True

    async def add(self, *arguments: str) -> None:
        """Run ssh-add."""
        environment = {
            **os.environ,
            "SSH_AUTH_SOCK": str(self.socket),
            "SSH_ASKPASS": str(self.askpass),
            "SSH_ASKPASS_REQUIRE": "force",
        }
        process = await asyncio.create_subprocess_exec(
            *("ssh-add", "-q", *arguments),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        assert process.returncode == 0, said

    async def take(self, key: asyncssh.SSHKey, *arguments: str) -> None:
        """Have a key added."""
        file = self.socket.with_name("key")
        file.touch(0o600)
        key.write_private_key(file)
        await self.add(*arguments, str(file))
        file.unlink()

    def answer(self, script: str) -> None:
        """Let whom it asks do this."""
        self.askpass.write_text(f"#!/bin/sh\n{script}\n")
        self.askpass.chmod(0o700)

    def access(self, port: int = 0, key: str = PUBLIC, **given: object) -> dict[str, object]:
        """The keys of an estate that name it."""
        known = {"user": "st", "agent": f"file:{self.socket}", "public_key": key}
        return {**known, **({"port": port} if port else {}), **given}


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    """An agent without keys."""
    one = Agent(tmp_path / "agent.sock", tmp_path / "askpass")
    one.answer("echo locked")
    process = await asyncio.create_subprocess_exec(
        *("ssh-agent", "-D", "-a", str(one.socket)),
        stdout=asyncio.subprocess.DEVNULL,
        env={**os.environ, "SSH_ASKPASS": str(one.askpass), "SSH_ASKPASS_REQUIRE": "force"},
    )
    await eventually(one.listens)
    yield one
    process.terminate()
    await process.wait()


@pytest.fixture
async def quick() -> AsyncIterator[None]:
    """An estate that waits 0.5 s for a sign of life."""
    token = LIMITS.set(TimeLimits(reach=0.5, answer=5))
    yield
    LIMITS.reset(token)


async def test_the_agent_s_key_that_the_estate_names_lets_the_worker_in(
    node_maker: NodeMaker, ssh_server: SshServer, shell: Shell, agent: Agent
) -> None:
    """Among others, of which the server hears nothing; and the agent is left when it has signed."""
    for key in (OTHER, CLIENT_KEY, asyncssh.generate_private_key("ecdsa-sha2-nistp256")):
        await agent.take(key)
    node = node_maker(ssh=agent.access(ssh_server.port))
    assert (await shell.run(node, TRUE)).status == 0
    await agent.add("-D")
    assert (await shell.run(node, TRUE)).status == 0


@pytest.mark.parametrize("kind", ["ssh-rsa", "ecdsa-sha2-nistp256"])
async def test_openssh_takes_what_the_agent_signs(
    kind: str, node_maker: NodeMaker, shell: Shell, agent: Agent, tmp_path: Path
) -> None:
    """With a key of any kind; by a variable of the worker that has the agent's path, too."""
    key = asyncssh.generate_private_key(kind)
    await agent.take(key)
    named = Shell(Secrets({"SWITCHOVER_AGENT": str(agent.socket)}))
    async with openssh(tmp_path, client_key=key) as server:
        public = key.export_public_key("openssh").decode().strip()
        ssh = {**agent.access(server.port, public), "user": server.user()["user"]}
        for one, reference in ((shell, ssh["agent"]), (named, "env:SWITCHOVER_AGENT")):
            node = node_maker(ssh={**ssh, "agent": reference}, host_key=server.host_key)
            assert (await one.run(node, TRUE)).status == 0
            await one.close()


async def test_an_agent_s_key_has_a_certificate_as_another_key_has(
    node_maker: NodeMaker, agent: Agent, tmp_path: Path
) -> None:
    """A server that trusts only the authority lets it in."""
    authority, key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    await agent.take(key)
    authority.write_public_key(tmp_path / "authority.pub")
    account = str(os.environ.get("USER", "root"))
    signed = authority.generate_user_certificate(key, "worker", principals=[account, "root"])
    signed.write_certificate(tmp_path / "cert.pub")
    trusts = f"TrustedUserCAKeys {tmp_path}/authority.pub"
    async with openssh(tmp_path, trusts, client_key=OTHER) as server:
        public = key.export_public_key("openssh").decode().strip()
        ssh = {**agent.access(server.port, public), "user": server.user()["user"]}
        shell = Shell(Secrets({}, [tmp_path]))
        plain = node_maker(ssh=ssh, host_key=server.host_key)
        with pytest.raises(AccessRefused, match="no shell for"):
            await shell.run(plain, TRUE)
        ssh["certificate"] = f"file:{tmp_path}/cert.pub"
        node = node_maker(ssh=ssh, host_key=server.host_key)
        assert (await shell.run(node, TRUE)).status == 0
        await shell.close()


async def _refused(shell: Shell, node_maker: NodeMaker, ssh: dict[str, object]) -> str:
    """Return what a reading finds, which is the same whoever asks."""
    node = node_maker(ssh=ssh)
    found = await reading_or_finding(
        lambda: shell.run(node, TRUE), node.name, access.node_unreachable_ssh
    )
    assert isinstance(found, Finding)
    assert found.name == "ssh_access_refused"
    return found.seen


async def test_an_agent_that_is_not_there_is_a_finding(
    node_maker: NodeMaker, ssh_server: SshServer, shell: Shell, tmp_path: Path
) -> None:
    """And nothing is asked of the machine."""
    ssh = {"user": "st", "agent": f"file:{tmp_path}/none", "public_key": PUBLIC}
    seen = await _refused(shell, node_maker, {**ssh, "port": ssh_server.port})
    assert seen.startswith(f"the agent file:{tmp_path}/none does not answer ([Errno 2] ")
    assert ssh_server.connections == []


async def test_an_agent_without_the_key_is_a_finding(
    node_maker: NodeMaker, ssh_server: SshServer, shell: Shell, agent: Agent
) -> None:
    """Also where it has others, and where it is locked."""
    await agent.take(OTHER)
    says = f"shows no key {CLIENT_KEY.get_fingerprint()}, which public_key names"
    assert says in await _refused(shell, node_maker, agent.access(ssh_server.port))
    await agent.take(CLIENT_KEY)
    await agent.add("-x")
    assert "one that is locked shows none" in await _refused(
        shell, node_maker, agent.access(ssh_server.port)
    )
    await agent.add("-X")
    node = node_maker(ssh=agent.access(ssh_server.port))
    assert (await shell.run(node, TRUE)).status == 0


@pytest.mark.usefixtures("quick")
async def test_an_agent_that_hangs_is_a_finding(
    node_maker: NodeMaker, ssh_server: SshServer, shell: Shell, tmp_path: Path
) -> None:
    """It takes connections, and says nothing."""
    path = tmp_path / "silent.sock"
    over = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async with await asyncio.start_unix_server(silent, path):
        ssh = {"user": "st", "agent": f"file:{path}", "public_key": PUBLIC}
        seen = await _refused(shell, node_maker, {**ssh, "port": ssh_server.port})
        over.set()
    assert seen.startswith(f"the agent file:{path} did not answer within 0.5 s")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("script", "says"),
    [("exit 1", "did not sign: Unable to sign"), ("exec sleep 5", "did not sign within 0.5 s")],
)
async def test_an_agent_that_asks_somebody_before_it_signs_is_a_finding(  # noqa: PLR0913 - fixtures
    script: str,
    says: str,
    *,
    node_maker: NodeMaker,
    ssh_server: SshServer,
    shell: Shell,
    agent: Agent,
) -> None:
    """Nobody is there, or says no."""
    await agent.take(CLIENT_KEY, "-c")
    agent.answer(script)
    assert says in await _refused(shell, node_maker, agent.access(ssh_server.port))


async def test_an_agent_s_key_opens_a_jump_host_too(
    node_maker: NodeMaker, ssh_server: SshServer, shell: Shell, agent: Agent
) -> None:
    """And what is wrong with it is said of the jump host."""
    jump = agent.access(ssh_server.port, address="127.0.0.1", host_key=HOST_KEY_LINE)
    ssh = {"user": "other", "key": "env:KEY", "port": ssh_server.port}
    node = node_maker(ssh={**ssh, "port": 1, "jump": jump})
    place = f"the jump host 127.0.0.1:{ssh_server.port}"
    with pytest.raises(AccessRefused, match=f"^server1: {place}: the agent .* shows no key"):
        await shell.run(node, TRUE)
    await agent.take(CLIENT_KEY)
    # The same server is jump host and machine, which an estate refuses; so by another name.
    node = node_maker(ssh={**ssh, "jump": jump}, address="localhost")
    assert (await shell.run(node, TRUE)).status == 0


async def test_a_socket_outside_of_the_directories_of_secrets_is_no_agent(
    node_maker: NodeMaker, agent: Agent, tmp_path: Path
) -> None:
    """Else whoever writes an estate could have the worker talk to any socket."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/link").symlink_to(agent.socket)
    shell = Shell(Secrets({}, [tmp_path / "secrets"]))
    for path in (agent.socket, tmp_path / "secrets/link"):
        node = node_maker(ssh={**agent.access(22), "agent": f"file:{path}"})
        with pytest.raises(AccessRefused, match="does not lead below a directory of secrets"):
            await shell.run(node, TRUE)
    node = node_maker(ssh={**agent.access(22), "agent": "env:SSH_AUTH_SOCK"})
    with pytest.raises(BadInput, match="has no SSH_AUTH_SOCK that estates may use"):
        await shell.run(node, TRUE)
