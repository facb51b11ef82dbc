"""Machines behind jump hosts, over real SSH servers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from typing_extensions import override

from activities.nodes.reachability import require_unreachable
from activities.runtime.partial_reading import reading_or_finding
from activities.securetransport.admin_client import AdminClient
from activities.time_limits import LIMITS, TimeLimits
from activities.transport.port_probe import try_port
from activities.transport.secrets import Secrets
from activities.transport.ssh import Command, Shell
from tests.activities.conftest import NodeMaker
from tests.support.admin_api import Api
from tests.support.openssh import openssh
from tests.support.polling import eventually
from tests.support.port_listeners import Listener
from tests.support.ssh_machines import CLIENT_KEY, HOST_KEY_LINE, SECRETS, SshServer, admin_access
from workflows.errors import AccessRefused, BadInput, NotReady, OutcomeUnknown, Unreachable
from workflows.model.estate import Node
from workflows.model.findings import Finding
from workflows.preflight import access

TRUE = Command(("true",))
OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519").export_public_key("openssh").decode()


def hop(port: int, **given: object) -> dict[str, object]:
    """The keys of a jump host."""
    known = {"user": "jump", "key": "env:KEY", "host_key": HOST_KEY_LINE, "port": port}
    return {"address": "127.0.0.1", **known, **given}


def behind(
    maker: NodeMaker, server: SshServer, *jump: object, user: str = "st", **given: object
) -> Node:
    """Return a node on a server, behind these jump hosts."""
    ssh = {"user": user, "key": "env:KEY", "port": server.port, "jump": jump}
    return maker(ssh=ssh, **given)


@pytest.fixture
async def strange_shell() -> AsyncIterator[Shell]:
    """A shell that has a key that no server knows, too."""
    strange = asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh").decode()
    known = CLIENT_KEY.export_private_key("openssh").decode()
    shell = Shell(Secrets({"STRANGER": strange, "KEY": known, "ADMIN": "no key"}))
    yield shell
    await shell.close()


@pytest.fixture
async def jump_host() -> AsyncIterator[SshServer]:
    """An SSH server that forwards."""
    server = SshServer()
    async with server.serving():
        yield server


async def test_many_machines_behind_a_jump_host_are_one_login_there(
    node_maker: NodeMaker, ssh_server: SshServer, jump_host: SshServer, shell: Shell
) -> None:
    """Each has its own connection through it, and nothing is run on the jump host."""
    nodes = [
        behind(node_maker, ssh_server, hop(jump_host.port), name=f"server{n}", user=f"st{n}")
        for n in range(1, 21)
    ]
    results = await asyncio.gather(*(shell.run(node, TRUE) for node in nodes for _ in range(3)))
    assert [result.status for result in results] == [0] * 60
    assert len(jump_host.connections) == 1
    assert len(ssh_server.connections) == 20
    assert jump_host.commands == []


async def test_several_jump_hosts_are_passed_one_after_the_other(
    node_maker: NodeMaker, ssh_server: SshServer, jump_host: SshServer, shell: Shell
) -> None:
    """The second one sees only the first, and a machine behind the first shares its connection."""
    second = SshServer()
    async with second.serving():
        far = behind(node_maker, ssh_server, hop(jump_host.port), hop(second.port))
        near = behind(node_maker, second, hop(jump_host.port), name="server2")
        for node in (far, near):
            assert (await shell.run(node, TRUE)).status == 0
        assert len(jump_host.connections) == 1
        assert len(second.connections) == 2
        await shell.close()


async def test_a_worker_behind_the_jump_hosts_passes_none(
    node_maker: NodeMaker, ssh_server: SshServer
) -> None:
    """It reaches a node straight, and probes its ports from where it is itself."""
    shell = Shell(SECRETS, behind_jump_hosts=True)
    node = behind(node_maker, ssh_server, hop(1))  # where nobody answers
    assert (await shell.run(node, TRUE)).status == 0
    with pytest.raises(NotReady, match=f"answers on port {ssh_server.port}, so it is not down"):
        await require_unreachable(shell, node)
    await shell.close()


async def test_a_jump_host_that_was_lost_is_reached_anew(
    node_maker: NodeMaker, ssh_server: SshServer, jump_host: SshServer, shell: Shell
) -> None:
    """Every connection through it ends with it; the next command opens both again."""
    node = behind(node_maker, ssh_server, hop(jump_host.port))
    assert (await shell.run(node, TRUE)).status == 0
    jump_host.cut()
    with pytest.raises((Unreachable, OutcomeUnknown)):
        await shell.run(node, TRUE)
    assert (await shell.run(node, TRUE)).status == 0
    assert len(jump_host.connections) == 1


async def test_a_connection_lost_behind_a_jump_host_settles_nothing(
    node_maker: NodeMaker, ssh_server: SshServer, jump_host: SshServer, shell: Shell, tmp_path: Path
) -> None:
    """The command has begun, and its end is unknown."""
    node = behind(node_maker, ssh_server, hop(jump_host.port))
    begun = tmp_path / "begun"
    running = asyncio.create_task(shell.run(node, Command(("sh", "-c", f": >{begun}; sleep 2"))))
    await eventually(begun.exists)
    jump_host.cut()
    with pytest.raises(OutcomeUnknown, match="server1"):
        await running


async def test_a_jump_host_that_is_down_is_named(
    node_maker: NodeMaker, ssh_server: SshServer, shell: Shell
) -> None:
    """Nothing was sent, and the machine behind it is not accused."""
    node = behind(node_maker, ssh_server, hop(1))
    says = r"^server1: the jump host 127\.0\.0\.1:1 does not answer .* check that it is up"
    with pytest.raises(Unreachable, match=says):
        await shell.run(node, TRUE)


async def test_a_silent_jump_host_is_given_up(
    node_maker: NodeMaker, ssh_server: SshServer, listener: Listener, shell: Shell
) -> None:
    """It accepts the connection, and never says a word."""
    token = LIMITS.set(TimeLimits(reach=0.2, answer=5))
    try:
        node = behind(node_maker, ssh_server, hop(listener.port))
        says = rf"the jump host 127\.0\.0\.1:{listener.port} did not let jump in within 0\.4 s"
        with pytest.raises(Unreachable, match=says):
            await shell.run(node, TRUE)
    finally:
        LIMITS.reset(token)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"host_key": OTHER_KEY}, "does not let jump in .*not trusted.* check .*host_key"),
        ({"key": "env:STRANGER"}, "does not let jump in .* check user, key"),
        ({"key": "env:ADMIN"}, "env:ADMIN is no private key"),
    ],
)
async def test_a_jump_host_that_refuses_is_named_in_a_finding(  # noqa: PLR0913 - fixtures
    given: dict[str, object],
    says: str,
    *,
    node_maker: NodeMaker,
    ssh_server: SshServer,
    jump_host: SshServer,
    strange_shell: Shell,
) -> None:
    """It is never tried again by itself, and the login to the machine is not tried at all."""
    node = behind(node_maker, ssh_server, hop(jump_host.port, **given))
    with pytest.raises(
        AccessRefused, match=rf"^server1: the jump host 127\.0\.0\.1:{jump_host.port}:? .*{says}"
    ) as refusal:
        await strange_shell.run(node, TRUE)
    assert type(refusal.value) is AccessRefused
    found = await reading_or_finding(
        lambda: strange_shell.run(node, TRUE), node.name, access.node_unreachable_ssh
    )
    assert isinstance(found, Finding)
    assert found.name == "ssh_access_refused"
    assert found.seen.startswith("the jump host")
    assert ssh_server.connections == []


async def test_a_machine_that_its_jump_host_does_not_reach_is_unreachable(
    node_maker: NodeMaker, jump_host: SshServer, shell: Shell
) -> None:
    """The message says from where nothing answers."""
    node = behind(node_maker, SshServer(port=1), hop(jump_host.port))
    says = rf"the jump host 127\.0\.0\.1:{jump_host.port} has no connection to 127\.0\.0\.1:1 "
    with pytest.raises(Unreachable, match=f"^server1: {says}"):
        await shell.run(node, TRUE)


async def test_known_hosts_name_the_machine_and_never_its_jump_host(
    node_maker: NodeMaker, ssh_server: SshServer, jump_host: SshServer, tmp_path: Path, shell: Shell
) -> None:
    """A jump host that shows its own key in the place of the machine's is refused."""
    file = tmp_path / "known_hosts"
    jump = hop(jump_host.port, host_key=None, known_hosts=str(file))
    ssh = {"user": "st", "key": "env:KEY", "port": ssh_server.port, "known_hosts": str(file)}
    node = node_maker(host_key=None, ssh={**ssh, "jump": jump})
    file.write_text(f"[127.0.0.1]:{jump_host.port} {HOST_KEY_LINE}\n")
    with pytest.raises(AccessRefused, match=r"^server1: no shell for st@"):
        await shell.run(node, TRUE)
    with file.open("a") as more:
        more.write(f"[127.0.0.1]:{ssh_server.port} {HOST_KEY_LINE}\n")
    assert (await shell.run(node, TRUE)).status == 0


async def test_a_node_is_not_called_unreachable_because_its_jump_host_is_down(
    node_maker: NodeMaker, ssh_server: SshServer, shell: Shell
) -> None:
    """A decision to count it as down would be taken on no evidence."""
    node = behind(node_maker, ssh_server, hop(1))
    with pytest.raises(
        OutcomeUnknown, match=r"jump host 127\.0\.0\.1:1 .*so the node was not probed"
    ):
        await require_unreachable(shell, node)


async def test_the_ports_of_a_node_are_probed_from_its_jump_host(
    node_maker: NodeMaker, ssh_server: SshServer, jump_host: SshServer, shell: Shell
) -> None:
    """One that answers there is up."""
    node = behind(node_maker, ssh_server, hop(jump_host.port))
    with pytest.raises(NotReady, match=f"answers on port {ssh_server.port}, so it is not down"):
        await require_unreachable(shell, node)
    assert ssh_server.commands == []


async def test_a_node_that_nobody_answers_for_behind_a_jump_host_is_unreachable(
    node_maker: NodeMaker, ssh_server: SshServer, jump_host: SshServer, shell: Shell
) -> None:
    """Its ports refuse the jump host."""
    node = behind(node_maker, ssh_server, hop(jump_host.port))
    closed = {"port": 1}
    down = node.model_copy(
        update={
            "ssh": node.ssh.model_copy(update=closed),
            "admin": node.admin.model_copy(update=closed),
            "protocols": {},
        }
    )
    assert "answers nowhere" in await require_unreachable(shell, down)


async def test_a_node_whose_name_a_jump_host_does_not_know_is_perhaps_not_down(
    node_maker: NodeMaker, ssh_server: SshServer, jump_host: SshServer, shell: Shell
) -> None:
    """What the jump host's own DNS or network lacks says nothing of the node."""
    node = behind(node_maker, ssh_server, hop(jump_host.port))
    named = node.model_copy(update={"address": "no-such-machine.invalid"})
    with pytest.raises(OutcomeUnknown, match="it is unknown whether the node is down"):
        await require_unreachable(shell, named)


async def test_the_admin_api_is_reached_through_a_jump_host(
    node_maker: NodeMaker, ssh_server: SshServer, jump_host: SshServer, api: Api, shell: Shell
) -> None:
    """Over the node's own connection, as without one."""
    admin = admin_access(api.port, fingerprint=api.certificate.fingerprint) | {"via": "ssh"}
    node = behind(node_maker, ssh_server, hop(jump_host.port), admin=admin)
    assert (await AdminClient(shell, SECRETS).get(node, "version")).body


async def test_openssh_leads_on_as_a_jump_host(
    node_maker: NodeMaker, ssh_server: SshServer, tmp_path: Path, shell: Shell
) -> None:
    """Also where it runs no session at all, and lets in one login at a time."""
    async with openssh(tmp_path, "MaxSessions 0", "MaxStartups 1") as server:
        jump = {**server.user(), "address": "127.0.0.1", "host_key": server.host_key}
        nodes = [
            behind(node_maker, ssh_server, jump, name=f"server{n}", user=f"st{n}")
            for n in range(1, 21)
        ]
        results = await asyncio.gather(*(shell.run(node, TRUE) for node in nodes))
        await shell.close()
    assert [result.status for result in results] == [0] * 20
    assert (tmp_path / "sshd.log").read_text().count("Accepted publickey") == 1


@pytest.mark.parametrize("setting", ["AllowTcpForwarding no", "PermitOpen 192.0.2.1:1"])
async def test_openssh_that_does_not_forward_is_named(
    setting: str, node_maker: NodeMaker, ssh_server: SshServer, tmp_path: Path, shell: Shell
) -> None:
    """Trying again cannot help, and the node is not called unreachable."""
    async with openssh(tmp_path, setting) as server:
        jump = {**server.user(), "address": "127.0.0.1", "host_key": server.host_key}
        node = behind(node_maker, ssh_server, jump)
        says = rf"server1: the jump host 127\.0\.0\.1:{server.port} refuses to forward"
        with pytest.raises(AccessRefused, match=rf"^{says} .* in its sshd_config"):
            await shell.run(node, TRUE)
        with pytest.raises(OutcomeUnknown, match=rf"^{says} .*so the port was not probed"):
            await require_unreachable(shell, node)
        await shell.close()


@pytest.mark.parametrize("wrong", [0, 1])
async def test_a_jump_host_whose_secret_is_missing_is_named(
    wrong: int, *, node_maker: NodeMaker, ssh_server: SshServer, jump_host: SshServer, shell: Shell
) -> None:
    """The one of several, and once."""
    second = SshServer()
    async with second.serving():
        servers = (jump_host, second)
        hops = [hop(one.port) for one in servers]
        hops[wrong]["key"] = "env:NOT_THERE"
        node = behind(node_maker, ssh_server, *hops)
        place = rf"the jump host 127\.0\.0\.1:{servers[wrong].port}"
        with pytest.raises(BadInput, match=rf"^{place}: env:NOT_THERE: .*environment has no"):
            await shell.run(node, TRUE)
        await shell.close()


async def test_a_port_that_answers_late_is_closed_when_it_does() -> None:
    """Else each probe of a slow machine would leave a connection to it open."""
    goes, opened = asyncio.Event(), asyncio.Event()
    closed = asyncio.Event()

    class Session(asyncssh.SSHTCPSession[bytes]):
        @override
        def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
            opened.set()

        @override
        def connection_lost(self, exc: Exception | None) -> None:
            closed.set()

    class Slow(asyncssh.SSHServer):
        @override
        def begin_auth(self, username: str) -> bool:
            return False

        async def connection_requested(self, *_: object) -> asyncssh.SSHTCPSession[bytes]:
            await goes.wait()
            return Session()

    key = asyncssh.generate_private_key("ssh-ed25519")
    async with (
        asyncssh.listen("127.0.0.1", 0, server_factory=Slow, server_host_keys=[key]) as server,
        asyncssh.connect(
            "127.0.0.1", server.get_port(), known_hosts=None, config=None
        ) as connection,
    ):
        with pytest.raises(TimeoutError):
            await try_port(connection, "192.0.2.1", 22, 0.1)
        assert not opened.is_set()
        goes.set()
        async with asyncio.timeout(10):
            await opened.wait()
            await closed.wait()


async def test_openssh_with_one_session_at_a_time_is_read_through_a_jump_host(
    node_maker: NodeMaker, tmp_path: Path, api: Api, shell: Shell
) -> None:
    """Commands wait for their turn, and tunnels are no sessions; both share one login there."""
    (tmp_path / "jump").mkdir()
    (tmp_path / "node").mkdir()
    few = ("MaxSessions 0", "MaxStartups 1")
    async with (
        openssh(tmp_path / "jump", *few) as leads,
        openssh(tmp_path / "node", "MaxSessions 1", "MaxStartups 1") as server,
    ):
        jump = {**leads.user(), "address": "127.0.0.1", "host_key": leads.host_key}
        admin = admin_access(api.port, fingerprint=api.certificate.fingerprint) | {"via": "ssh"}
        node = node_maker(
            ssh={**server.user(), "jump": jump}, host_key=server.host_key, admin=admin
        )
        client = AdminClient(shell, SECRETS)
        commands = [shell.run(node, Command(("echo", str(n)))) for n in range(12)]
        answers = [client.get(node, "version") for _ in range(4)]
        printed, versions = await asyncio.gather(
            asyncio.gather(*commands), asyncio.gather(*answers)
        )
        await shell.close()
    assert [one.out.strip() for one in printed] == [str(n) for n in range(12)]
    assert all(one.body for one in versions)
    for place in ("jump", "node"):
        log = (tmp_path / place / "sshd.log").read_text()
        assert log.count("Accepted publickey") == 1
