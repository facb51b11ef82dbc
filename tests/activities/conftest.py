"""Real servers, in this process and on loopback, for the activities to reach."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from activities.transport.ssh import Shell
from tests.support.admin_api import Api, Certificate, serving
from tests.support.port_listeners import Listener
from tests.support.protocol_servers import Front, serving_clients
from tests.support.ssh_machines import SECRETS, SshServer, admin_access, make_node
from tests.support.windows_machine import WindowsMachine
from tests.support.wine import WindowsServer, Wine, booted, make_windows_node
from workflows.model.estate import Node, Protocol

NodeMaker = Callable[..., Node]


@pytest.fixture
async def ssh_server() -> AsyncIterator[SshServer]:
    """Serve SSH on loopback for the client key."""
    server = SshServer()
    async with server.serving():
        yield server


@pytest.fixture
async def shell() -> AsyncIterator[Shell]:
    """A shell that is closed afterwards."""
    shell = Shell(SECRETS)
    yield shell
    await shell.close()


@pytest.fixture
def node_maker(ssh_server: SshServer, tmp_path: Path) -> NodeMaker:
    """Make nodes that live in a directory of their own behind the SSH server."""
    return partial(make_node, ssh_server, tmp_path)


@pytest.fixture
def node(node_maker: NodeMaker) -> Node:
    """One Server."""
    return node_maker()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The certificate of every admin API here."""
    return Certificate.make(tmp_path_factory.mktemp("tls") / "node.pem")


@pytest.fixture
async def api(certificate: Certificate) -> AsyncIterator[Api]:
    """An admin API."""
    async with serving(certificate) as api:
        yield api


@pytest.fixture
def server(node_maker: NodeMaker, api: Api) -> Node:
    """A Server whose admin API answers."""
    return node_maker(admin=admin_access(api.port, fingerprint=api.certificate.fingerprint))


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    """A port that only accepts."""
    listener = Listener()
    await listener.open()
    yield listener
    await listener.close()


@pytest.fixture
def listening(node_maker: NodeMaker, server: Node, listener: Listener) -> Node:
    """A Server whose admin API answers, and whose SSH server is the listener."""
    return node_maker(admin=server.admin, protocols={Protocol.SSH: (listener.port,)})


@pytest.fixture
async def front(certificate: Certificate) -> AsyncIterator[Front]:
    """What clients reach: one SFTP and one HTTPS server, and an admin API for each cluster."""
    async with serving_clients(certificate) as front:
        yield front


@pytest.fixture(scope="session")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wine]:
    """A machine of Windows, for tests that are skipped without wine."""
    yield from booted(tmp_path_factory.mktemp("wine") / "prefix")


@pytest.fixture
async def windows_server(wine: Wine) -> AsyncIterator[WindowsServer]:
    """Its SSH server."""
    server = WindowsServer(wine=wine)
    async with server.serving():
        yield server


@pytest.fixture
def windows_node(windows_server: WindowsServer, tmp_path: Path) -> Node:
    """One Server on it, with an installation and a ledger of its own."""
    return make_windows_node(windows_server, tmp_path, f"node{uuid4().hex[:8]}")


@pytest.fixture
def windows_machine(wine: Wine, windows_node: Node) -> WindowsMachine:
    """What is done to it."""
    return WindowsMachine(wine, windows_node)
