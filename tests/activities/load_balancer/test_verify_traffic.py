"""Only a login of our own, found on a node, shows where traffic goes."""

from datetime import UTC, datetime

import asyncssh
import pytest

from activities.load_balancer.activities import LoadBalancerActivities
from tests.activities.load_balancer.conftest import Inputs
from tests.support.protocol_servers import Front
from tests.support.ssh_machines import Attempt
from workflows.errors import AccessRefused, OutcomeUnknown, Unreachable
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
    load_balancers: LoadBalancerActivities, inputs: Inputs, front: Front
) -> None:
    """Where we log in, and the request that finds the session."""
    front.goes_to = "two"
    login, listing = load_balancers.preview(inputs.of(VERIFY))
    await Attempt().run(load_balancers.verify_traffic, inputs.of(VERIFY))
    assert login == f"login as probe over ssh at 127.0.0.1:{front.ports[Protocol.SSH]}"
    assert listing.startswith("on every node that serves ssh, until one of two lists it: ")
    assert {target for api in front.apis.values() for target in api.targets} == {
        listing.rpartition(": ")[2]
    }
