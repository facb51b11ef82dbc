"""A login straight to a node: in, a listing, out; a failure is a reading, never an error."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import asyncssh
import pytest

from activities.load_balancer import activities
from activities.load_balancer.activities import LoadBalancerActivities
from activities.time_limits import TimeLimits
from tests.activities.conftest import NodeMaker
from tests.support.admin_api import Certificate
from tests.support.protocol_servers import Front
from tests.support.ssh_machines import HOST_KEY_LINE, QUICK, Attempt
from workflows.model.actions import TryLogin
from workflows.model.estate import Node, Probe, Protocol
from workflows.model.observations import LoginReading
from workflows.model.results import Operation
from workflows.ports.load_balancer import LoginInput

BOTH = pytest.mark.parametrize("protocol", [Protocol.SSH, Protocol.HTTP])


@pytest.fixture
def edge(node_maker: NodeMaker, front: Front) -> Node:
    """A node that clients reach."""
    return node_maker(protocols={protocol: (port,) for protocol, port in front.ports.items()})


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on a login soon."""
    limits = ContextVar("limits", default=TimeLimits(reach=10, answer=2))  # noqa: B039 - it is frozen
    monkeypatch.setattr(activities, "LIMITS", limits)


Login = Callable[..., Awaitable[LoginReading]]


@pytest.fixture
def login(load_balancers: LoadBalancerActivities, edge: Node, certificate: Certificate) -> Login:
    """Log in to a node, the edge if none is given; the probe's address does not exist."""

    async def run(protocol: Protocol, node: Node = edge, **changes: object) -> LoginReading:
        action = TryLogin(node=node.name, protocol=protocol)
        probe = {"address": "clients.invalid", "port": 1, "user": "probe", "password": "env:PROBE"}
        trust = {"host_key": HOST_KEY_LINE, "fingerprint": certificate.fingerprint}
        given = LoginInput(
            operation=Operation(identity="run-1", stage="stage", action=action.key),
            action=action,
            timing=QUICK,
            node=node,
            probe=Probe.model_validate({**probe, **trust, "protocol": protocol, **changes}),
        )
        return await Attempt().run(load_balancers.try_login, given)

    return run


@BOTH
async def test_a_login_goes_straight_to_the_node(
    protocol: Protocol, login: Login, front: Front
) -> None:
    """Through the node's own SSH connection, whatever the probe's address."""
    reading = await login(protocol)
    assert reading == LoginReading(place="server1", protocol=protocol)
    assert front.sessions == 1


@BOTH
async def test_a_node_without_a_transaction_manager_fails(
    protocol: Protocol, login: Login, front: Front
) -> None:
    """It takes the login, and has nothing to list."""
    front.streams = False
    reading = await login(protocol)
    expected = {Protocol.SSH: "its listing failed (no Tr", Protocol.HTTP: "answered 503"}
    assert expected[protocol] in str(reading.failure)
    assert f"port {front.ports[protocol]}" in str(reading.failure)
    assert reading.findings == ()


@BOTH
async def test_a_closed_port_fails(protocol: Protocol, login: Login, edge: Node) -> None:
    """The node's SSH answers, its protocol server does not."""
    deaf = edge.model_copy(update={"protocols": {protocol: (1,)}})
    reading = await login(protocol, deaf)
    assert "port 1: " in str(reading.failure)
    assert reading.findings == ()


async def test_the_server_that_answers_is_verified(login: Login, front: Front) -> None:
    """As the probe does it: a password is sent to no other server, and is in no message."""
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key("openssh").decode()
    wrong: list[tuple[Protocol, dict[str, object]]] = [
        (Protocol.SSH, {"host_key": other}),
        (Protocol.SSH, {"host_key": "ssh-ed25519 nonsense"}),
        (Protocol.SSH, {"password": "env:ADMIN"}),
        (Protocol.SSH, {"password": "env:NOWHERE"}),
        (Protocol.HTTP, {"fingerprint": "0" * 64}),
    ]
    for protocol, changes in wrong:
        reading = await login(protocol, **changes)
        assert reading.failure
        assert "admin-secret" not in reading.failure
        assert "probe-secret" not in reading.failure
    assert front.sessions == 0


async def test_an_account_that_may_log_in_by_key_only_is_probed_by_key(
    login: Login, front: Front
) -> None:
    """Its password, if it has one, does not help there; a key helps with and without one."""
    front.passwords = False
    assert "Permission denied" in str((await login(Protocol.SSH)).failure)
    for password in (None, "env:PROBE"):
        reading = await login(Protocol.SSH, key="env:KEY", password=password)
        assert reading.failure is None


async def test_a_login_that_takes_for_ever_fails(login: Login, front: Front) -> None:
    """A protocol server that does not answer is not an unreachable node."""
    front.hangs = True
    reading = await login(Protocol.SSH)
    assert reading.failure == "no answer within 2 s"


async def test_one_of_several_ports_of_an_http_server_is_the_one(
    login: Login, edge: Node, front: Front
) -> None:
    """Where the probe's port is none of the node's, and the first is without TLS."""
    ports = {Protocol.HTTP: (front.ports[Protocol.SSH], front.ports[Protocol.HTTP])}
    several = edge.model_copy(update={"protocols": ports})
    reading = await login(Protocol.HTTP, several)
    assert reading.failure is None
    reading = await login(Protocol.HTTP, several, port=front.ports[Protocol.SSH])
    assert reading.failure is not None


async def test_a_node_that_cannot_be_reached_is_a_finding(login: Login, edge: Node) -> None:
    """Nothing was learned of its protocol server."""
    lost = edge.model_copy(update={"ssh": edge.ssh.model_copy(update={"port": 1})})
    reading = await login(Protocol.SSH, lost)
    assert [finding.name for finding in reading.findings] == ["node_unreachable_ssh"]
    assert reading.failure is None
    without = edge.model_copy(update={"protocols": {Protocol.SSH: (22,)}})
    reading = await login(Protocol.HTTP, without)
    assert [finding.name for finding in reading.findings] == ["reading_unusable"]
