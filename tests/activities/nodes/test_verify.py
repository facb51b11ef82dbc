"""A node is verified to serve, or to be down, before a run relies on it."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from activities.nodes import reachability
from activities.nodes.activities import SshNodes
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Command, Shell
from tests.activities.conftest import NodeMaker
from tests.support.port_listeners import Listener
from tests.support.ssh_machines import SECRETS, Executor, Installation, SshServer, admin_access
from workflows.errors import NotReady, OutcomeUnknown
from workflows.model.actions import VerifyServing, VerifyUnreachable
from workflows.model.estate import Kind, Node, Protocol

SERVES, DEAD = VerifyServing(node="server1"), VerifyUnreachable(node="server1")
NO_SSH = {"user": "st", "key": "env:KEY", "port": 1}


@pytest.fixture
def nodes(shell: Shell) -> SshNodes:
    """The activities."""
    return SshNodes(shell, AdminClient(shell, SECRETS))


@pytest.fixture
def execute(nodes: SshNodes, node: Node) -> Executor:
    """Execute actions on the node."""
    return Executor(nodes, node)


async def test_a_node_serves_when_all_that_clients_need_runs(execute: Executor, node: Node) -> None:
    """What the estate does not list may be down; the Transaction Manager may not."""
    installation = Installation(node, "sshd", "tm")
    report = await execute(SERVES)
    assert (report.outcome, report.message) == ("seen", "server1 serves: ssh, tm")
    installation.clear("tm")
    with pytest.raises(NotReady) as refusal:
        await execute(SERVES)
    assert str(refusal.value) == (
        "server1: tm is stopped (tm is down), expected running; "
        "start these services, then decide `retry`"
    )
    assert installation.changes == []


async def test_an_edge_serves_without_a_transaction_manager(
    execute: Executor, node_maker: NodeMaker, listener: Listener
) -> None:
    """Everything that is down is named at once."""
    protocols = {Protocol.SSH: (listener.port,), Protocol.HTTP: (listener.port,)}
    edge = node_maker("edge1", kind=Kind.EDGE, protocols=protocols)
    installation = Installation(edge, "sshd", "httpd")
    action = VerifyServing(node="edge1")
    assert (await execute(action, node=edge)).outcome == "seen"
    installation.clear("sshd", "httpd")
    with pytest.raises(NotReady, match=r"http is stopped .*, ssh is stopped"):
        await execute(action, node=edge)


async def test_a_node_that_does_not_listen_does_not_serve(
    execute: Executor, node: Node, listener: Listener
) -> None:
    """A daemon may run without what listens for it: clients would be sent to a silent port."""
    installation = Installation(node, "sshd", "tm")
    await listener.close()
    with pytest.raises(NotReady) as refusal:
        await execute(SERVES)
    assert str(refusal.value) == (
        f"server1: nothing listens on ssh {listener.port}; "
        "start the servers that clients use there, then decide `retry`"
    )
    assert installation.changes == []


async def test_what_runs_only_for_a_moment_does_not_serve(execute: Executor, node: Node) -> None:
    """A stop that completes late takes down what was seen running: so it is read twice."""
    installation = Installation(node, "sshd", "tm")
    sshd = installation.state / "sshd"
    installation.script(
        "status_sshd",
        f"#!/bin/sh\n[ -e {sshd} ] && echo sshd is alive || echo sshd is down\nrm -f {sshd}\n",
    )
    with pytest.raises(NotReady, match="ssh is stopped"):
        await execute(SERVES)


async def test_a_service_with_unknown_state_does_not_serve(execute: Executor, node: Node) -> None:
    """It is not known to be down either: the advice to start it would be wrong."""
    installation = Installation(node, "sshd", "tm")
    installation.script("status_sshd", "#!/bin/sh\necho sshd is resting\n")
    with pytest.raises(OutcomeUnknown, match="resting"):
        await execute(SERVES)


async def test_a_dead_node_answers_nowhere(execute: Executor, node_maker: NodeMaker) -> None:
    """Probed several times over some seconds; the report says that its ports were closed."""
    node = node_maker(ssh=NO_SSH, protocols={Protocol.SSH: (2, 3)})
    began = time.monotonic()
    report = await execute(DEAD, node=node)
    assert time.monotonic() - began >= (reachability.PROBES - 1) * reachability.PROBE_INTERVAL
    assert report.outcome == "seen"
    assert "server1 answers nowhere" in report.message
    assert "(closed: 1, 2, 3; the machine may be up" in report.message


async def test_a_silent_node_is_dead(
    execute: Executor, node_maker: NodeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes back at all, as from a machine that is switched off."""
    monkeypatch.setattr(reachability, "PROBE_TIMEOUT", 0.3)
    monkeypatch.setattr(reachability, "SHELL_TIMEOUT", 0.5)
    with ExitStack() as stack:
        ssh, admin, sftp = (stack.enter_context(swallowing()) for _ in range(3))
        access = {**NO_SSH, "port": ssh}
        node = node_maker(ssh=access, admin=admin_access(admin), protocols={Protocol.SSH: (sftp,)})
        report = await execute(DEAD, node=node)
    assert report.message.endswith("no shell, and no connection to any of its ports")


@contextmanager
def swallowing() -> Iterator[int]:
    """A port whose queue is full: the kernel drops whatever else comes, and says nothing."""
    with socket.socket() as full, ExitStack() as clients:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port: int = full.getsockname()[1]
        for _ in range(4):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)  # noqa: FBT003 - the socket module's signature
            client.connect_ex(("127.0.0.1", port))
        yield port


async def test_a_node_that_answers_anywhere_is_not_dead(
    execute: Executor, node_maker: NodeMaker, ssh_server: SshServer, listener: Listener
) -> None:
    """One port will do: SSH, the admin API, or any protocol server's."""
    port = listener.port
    admin = admin_access(port)
    for place, node in (
        (ssh_server.port, node_maker(protocols={Protocol.SSH: (2,)})),
        (port, node_maker(ssh=NO_SSH, admin=admin, protocols={Protocol.SSH: (2,)})),
        (port, node_maker(ssh=NO_SSH, protocols={Protocol.SSH: (2,), Protocol.AS2: (3, port)})),
    ):
        with pytest.raises(NotReady) as refusal:
            await execute(DEAD, node=node)
        assert f"server1 answers on port {place}, so it is not down; " in str(refusal.value)


async def test_a_node_with_several_addresses_is_not_dead_while_one_answers(
    execute: Executor, node_maker: NodeMaker, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients may come by another address than we do."""
    monkeypatch.setattr(reachability, "is_loopback", lambda _: False)  # as if it were another's
    node = node_maker(
        address="127.0.0.2",
        ssh=NO_SSH,
        protocols={Protocol.SSH: (listener.port,)},
        listen_on=("127.0.0.1",),
    )
    with pytest.raises(NotReady, match=f"answers on port {listener.port} of 127.0.0.1"):
        await execute(DEAD, node=node)


async def test_a_node_that_comes_back_while_it_is_probed_is_not_dead(
    execute: Executor, node_maker: NodeMaker, listener: Listener
) -> None:
    """A daemon that restarts is silent for a moment: one probe would have called it down."""
    port = listener.port
    await listener.close()
    node = node_maker(ssh=NO_SSH, protocols={Protocol.SSH: (port,)})
    verifying = asyncio.create_task(execute(DEAD, node=node))
    await asyncio.sleep(reachability.PROBE_INTERVAL / 2)
    await listener.open(port)
    with pytest.raises(NotReady, match=f"answers on port {port}"):
        await verifying


async def test_a_connection_that_lives_on_is_an_answer(
    execute: Executor, node_maker: NodeMaker, ssh_server: SshServer, shell: Shell
) -> None:
    """No new connection is accepted, but commands still run over the old one."""
    node = node_maker(protocols={Protocol.SSH: (2,)})
    await shell.run(node, Command(("true",)))
    ssh_server.refuse_more()
    with pytest.raises(NotReady, match="still runs commands over SSH, so it is not down"):
        await execute(DEAD, node=node)


async def test_a_name_that_cannot_be_resolved_proves_nothing(
    execute: Executor, node_maker: NodeMaker
) -> None:
    """No machine was asked, so none was silent."""
    node = node_maker(address="nowhere.invalid", ssh=NO_SSH, listen_on=())
    with pytest.raises(OutcomeUnknown, match="cannot be resolved"):
        await execute(DEAD, node=node)
