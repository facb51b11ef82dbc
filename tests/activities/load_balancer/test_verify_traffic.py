"""Only a login of our own, found on a node, shows where traffic goes."""

from datetime import UTC, datetime

import asyncssh
import pytest

from activities.load_balancer.activities import LoadBalancerActivities
from tests.activities.load_balancer.conftest import Inputs
from tests.support.protocol_servers import Front
from tests.support.ssh_machines import Attempt
from workflows.errors import AccessRefused, NotReady, OutcomeUnknown, Unreachable
from workflows.model.actions import VerifyTraffic
from workflows.model.estate import Protocol

VERIFY = VerifyTraffic(protocol=Protocol.SSH, to="two")


@pytest.mark.parametrize("protocol", [Protocol.SSH, Protocol.HTTP])
async def test_a_login_that_is_on_no_node_is_unknown(
    protocol: Protocol, load_balancers: LoadBalancerActivities, inputs: Inputs, front: Front
) -> None:
    """It was accepted, and no session list has it."""
    front.goes_to = None
    verify = VerifyTraffic(protocol=protocol, to="two")
    with pytest.raises(OutcomeUnknown, match="is in no node's session list"):
        await Attempt().run(load_balancers.verify_traffic, inputs.of(verify))


async def test_another_session_proves_nothing(
    load_balancers: LoadBalancerActivities, inputs: Inputs, front: Front
) -> None:
    """One of another account, an old one of our own, or one over another protocol."""
    front.goes_to = None
    now = datetime.now(UTC)
    front.apis["two"].sessions = [
        {"id": 1, "userName": "partner1", "protocol": "ssh", "sessionCreationTime": None},
        {"id": 2, "userName": "probe", "protocol": "ftp", "sessionCreationTime": now.isoformat()},
        {"id": 3, "userName": "probe", "protocol": "ssh", "sessionCreationTime": 1_700_000_000_000},
    ]
    with pytest.raises(OutcomeUnknown):
        await Attempt().run(load_balancers.verify_traffic, inputs.of(VERIFY))


@pytest.fixture
def pairs(inputs: Inputs) -> Inputs:
    """Inputs for clusters of two nodes each, of which either lists the sessions of both."""
    clusters = (
        cluster.model_copy(
            update={
                "nodes": tuple(
                    node.model_copy(update={"name": f"{cluster.name}-server{number}"})
                    for node in cluster.nodes
                    for number in (1, 2)
                )
            }
        )
        for cluster in inputs.clusters
    )
    return Inputs(inputs.balancer, tuple(clusters))


def take_turns(front: Front, monkeypatch: pytest.MonkeyPatch, *turns: str | None) -> None:
    """Let the logins reach these clusters, one after the other, and from the first again."""

    def login(protocol: str) -> None:
        front.goes_to = turns[front.sessions % len(turns)]
        Front.login(front, protocol)

    monkeypatch.setattr(front, "login", login)


@pytest.mark.parametrize("protocol", [Protocol.SSH, Protocol.HTTP])
async def test_every_login_of_a_row_has_to_arrive(
    protocol: Protocol,
    load_balancers: LoadBalancerActivities,
    pairs: Inputs,
    front: Front,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One for each node of the cluster that clients reach: a stray one ends the row."""
    verify = pairs.of(VerifyTraffic(protocol=protocol, to="two"))
    take_turns(front, monkeypatch, "two", "one")
    with pytest.raises(NotReady, match=r"still lands on one-server\d, after 1 that landed on two"):
        await Attempt().run(load_balancers.verify_traffic, verify)
    take_turns(front, monkeypatch, "two")
    report = await Attempt().run(load_balancers.verify_traffic, verify)
    assert report.message.startswith(f"2 of 2 new {protocol} sessions land on two: two-server")


async def test_the_first_login_of_a_row_is_not_found_again(
    load_balancers: LoadBalancerActivities,
    pairs: Inputs,
    front: Front,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its session may be listed when the second one is searched for, which is on no node."""
    take_turns(front, monkeypatch, "two", None)
    with pytest.raises(OutcomeUnknown, match="is in no node's session list"):
        await Attempt().run(load_balancers.verify_traffic, pairs.of(VERIFY))


async def test_a_login_that_is_refused_or_unanswered_says_so(
    load_balancers: LoadBalancerActivities, inputs: Inputs, front: Front
) -> None:
    """A wrong password, another host key, and silence are three things."""
    sftp, https = inputs.balancer.probes
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key("openssh").decode()
    for change in ({"password": "env:ADMIN"}, {"host_key": other}, {"host_key": "nonsense"}):
        given = inputs.of(VERIFY, probes=(sftp.model_copy(update=change), https))
        with pytest.raises(AccessRefused, match="ssh probe at"):
            await Attempt().run(load_balancers.verify_traffic, given)
    silent = inputs.of(VERIFY, probes=(sftp.model_copy(update={"port": 1}), https))
    with pytest.raises(Unreachable, match="no login"):
        await Attempt().run(load_balancers.verify_traffic, silent)


async def test_a_preview_shows_how_traffic_is_verified(
    load_balancers: LoadBalancerActivities, inputs: Inputs, pairs: Inputs, front: Front
) -> None:
    """Where and how often we log in, and the request that finds the sessions."""
    front.goes_to = "two"
    login, listing = load_balancers.preview(inputs.of(VERIFY))
    await Attempt().run(load_balancers.verify_traffic, inputs.of(VERIFY))
    assert login == f"login as probe over ssh at 127.0.0.1:{front.ports[Protocol.SSH]}"
    assert next(load_balancers.preview(pairs.of(VERIFY))) == f"{login}, 2 times in a row"
    assert listing.startswith("on every node that serves ssh, until one of two lists it: ")
    assert {target for api in front.apis.values() for target in api.targets} == {
        listing.rpartition(": ")[2]
    }
