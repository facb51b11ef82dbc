"""A node with an installation of SecureTransport, and the activities that act on it."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from activities.nodes.activities import SshNodes
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Shell
from tests.activities.conftest import NodeMaker
from tests.support.port_listeners import Listener
from tests.support.ssh_machines import SECRETS, Executor, Installation
from workflows.model import actions
from workflows.model.estate import Node, Protocol

STOP_SSH = actions.StopGracefully(node="server1", protocol=Protocol.SSH, grace=timedelta(seconds=2))
START_SSH = actions.StartProtocolServer(node="server1", protocol=Protocol.SSH)


@pytest.fixture
def node(node_maker: NodeMaker, listener: Listener) -> Node:
    """One Server; something listens on its SSH port, whether its scripts say so or not."""
    return node_maker(protocols={Protocol.SSH: (listener.port,)})


@pytest.fixture
def nodes(shell: Shell) -> SshNodes:
    """The activities."""
    return SshNodes(shell, AdminClient(shell, SECRETS))


@pytest.fixture
def installation(node: Node) -> Installation:
    """SecureTransport on the node, all of it running."""
    return Installation(node, "monitord", "sshd", "tm")


@dataclass(frozen=True)
class Machine:
    """A node with its installation, and actions executed on it."""

    node: Node
    installation: Installation
    execute: Executor


@pytest.fixture
def machine(nodes: SshNodes, node: Node, installation: Installation) -> Machine:
    """The node with its installation."""
    return Machine(node, installation, Executor(nodes, node))
