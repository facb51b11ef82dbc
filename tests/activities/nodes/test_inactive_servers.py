"""A protocol server counts as started when its ports listen, and not when its daemon runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import pytest

from activities.nodes.activities import SshNodes
from tests.activities.conftest import NodeMaker
from tests.activities.nodes.conftest import START_SSH, Machine
from tests.support.admin_api import Api
from tests.support.polling import eventually
from tests.support.port_listeners import Listener
from tests.support.ssh_machines import Executor, Installation, admin_access
from workflows.errors import CommandFailed
from workflows.model import actions
from workflows.model.estate import Node, Protocol

START = "POST /api/v2.0/servers/operations?operation=start&serverName="
DEFAULT = f"{START}Ssh%20Default"
ADVICE = "start the servers that clients use there, then decide `retry`"


@pytest.fixture
async def machine(
    listening: Node, listener: Listener, api: Api, nodes: SshNodes, monkeypatch: pytest.MonkeyPatch
) -> Machine:
    """A node whose SSH daemon is down, and comes back without its server."""
    monkeypatch.setattr("activities.nodes.ensure.LISTENS_WITHIN", timedelta(seconds=0.2))
    await listener.close()
    api.servers["Ssh Default"] = listener
    installation = Installation(listening, "monitord", "tm")
    return Machine(listening, installation, Executor(nodes, listening))


@pytest.fixture
async def partner(api: Api) -> AsyncIterator[Listener]:
    """A second server of SSH that does not listen."""
    partner = api.servers["Ssh Partner"] = Listener()
    await partner.open()
    await partner.close()
    yield partner
    await partner.close()


def posts(api: Api) -> list[str]:
    """Every operation that was sent."""
    return [target for target in api.targets if target.startswith("POST")]


async def test_a_server_that_stays_inactive_is_started(
    machine: Machine, api: Api, listener: Listener
) -> None:
    """Once, and further attempts find it listening."""
    reports = [await machine.execute(START_SSH) for _ in range(2)]
    assert reports[0] == reports[1]
    assert (reports[0].outcome, reports[0].message) == ("changed", "ssh started on server1")
    assert listener.listens
    assert posts(api) == [DEFAULT]
    assert machine.installation.changes == ["start sshd"]


async def test_a_daemon_that_does_not_listen_is_not_started_already(
    machine: Machine, api: Api, listener: Listener
) -> None:
    """What its script answers to a second start does not matter, and it is not asked again."""
    machine.installation.set("sshd")
    machine.installation.set("start.sshd.fails", "sshd runs already")
    report = await machine.execute(START_SSH)
    assert report.outcome == "changed"
    assert "although the command ended with 1: sshd runs already" in report.message
    assert listener.listens
    assert posts(api) == [DEFAULT]
    assert machine.installation.changes == ["start sshd"]


async def test_a_start_waits_until_the_port_listens(
    machine: Machine, api: Api, listener: Listener
) -> None:
    """Also where nothing can be started over REST: it may come up by itself."""
    del api.servers["Ssh Default"]
    starting = asyncio.create_task(machine.execute(START_SSH))
    await eventually(lambda: machine.installation.runs("sshd"))
    calls = machine.installation.state / "calls"
    read = calls.read_text().count("status sshd")
    # A start that does not wait for the port ends after two more readings.
    await eventually(lambda: calls.read_text().count("status sshd") > read + 2)
    assert not starting.done()
    await listener.open(listener.port)
    assert (await starting).outcome == "changed"
    assert posts(api) == []


async def test_everything_that_is_started_has_to_listen(
    machine: Machine, api: Api, listener: Listener
) -> None:
    """Also after start_all."""
    machine.installation.script("start_all", f"#!/bin/sh\n: >{machine.installation.state}/sshd\n")
    report = await machine.execute(actions.StartAll(node="server1"))
    assert report.outcome == "changed"
    assert listener.listens
    assert posts(api) == [DEFAULT]


async def test_a_refused_start_of_a_server_is_named(
    machine: Machine, api: Api, listener: Listener
) -> None:
    """200 is not success; once an operator has started it, a retry finds it listening."""
    api.refuses = "the port is in use"
    with pytest.raises(CommandFailed) as failure:
        await machine.execute(START_SSH)
    assert str(failure.value) == (
        "server1: the command ended, but "
        f"ssh runs, and nothing listens on ssh {listener.port}; inactive servers of ssh: "
        f"Ssh Default; server1: the admin API refused: the port is in use; {ADVICE}"
    )
    await listener.open(listener.port)
    assert (await machine.execute(START_SSH)).outcome == "changed"
    assert (await machine.execute(START_SSH, identity="run-2")).outcome == "unchanged"
    assert machine.installation.changes == ["start sshd"]


@pytest.mark.parametrize("trouble", ["refuses_once", "forgets"])
async def test_a_server_that_is_refused_or_unanswered_once_is_read_again(
    trouble: str, machine: Machine, api: Api, listener: Listener
) -> None:
    """Right after its daemon it may be too early; without an answer, the port tells."""
    setattr(api, trouble, True)
    assert (await machine.execute(START_SSH)).outcome == "changed"
    assert listener.listens
    assert posts(api) == [DEFAULT] * (2 if trouble == "refuses_once" else 1)


async def test_a_worker_that_died_leaves_the_rest_to_the_next_attempt(
    machine: Machine, api: Api, listener: Listener
) -> None:
    """Wherever the first attempt ended, the server is active, and the daemon was started once."""
    attempt = asyncio.create_task(machine.execute(START_SSH))
    await eventually(lambda: bool(posts(api)))
    attempt.cancel()
    with suppress(asyncio.CancelledError):
        await attempt
    await listener.close()
    assert (await machine.execute(START_SSH)).outcome == "changed"
    assert posts(api) == [DEFAULT] * 2
    assert machine.installation.changes == ["start sshd"]


async def test_what_may_have_been_switched_off_is_not_started(
    machine: Machine, api: Api, listener: Listener, partner: Listener
) -> None:
    """More servers are inactive than ports are silent: an operator knows which are wanted."""
    with pytest.raises(CommandFailed) as failure:
        await machine.execute(START_SSH)
    assert str(failure.value).endswith(
        f"nothing listens on ssh {listener.port}; inactive servers of ssh: Ssh Default, "
        f"Ssh Partner; not all of them belong to silent ports, so none was started; {ADVICE}"
    )
    assert posts(api) == []
    assert not partner.listens


async def test_all_servers_of_silent_ports_are_started(
    machine: Machine, api: Api, listener: Listener, partner: Listener
) -> None:
    """As many as ports are silent; another daemon's server is not among them."""
    api.servers["Http Default"] = Listener()
    both = {Protocol.SSH: (listener.port, partner.port)}
    node = machine.node.model_copy(update={"protocols": both})
    assert (await machine.execute(START_SSH, node=node)).outcome == "changed"
    assert posts(api) == [DEFAULT, f"{START}Ssh%20Partner"]


async def test_a_port_that_no_inactive_server_explains_is_named(
    machine: Machine, api: Api, partner: Listener
) -> None:
    """A server that listens elsewhere than the estate says is none that could be started."""
    await partner.open(partner.port)
    del api.servers["Ssh Default"]
    with pytest.raises(CommandFailed, match="inactive servers of ssh: none; start the servers"):
        await machine.execute(START_SSH)
    assert posts(api) == []


async def test_without_an_admin_api_the_silent_port_is_named(
    machine: Machine, node_maker: NodeMaker, listener: Listener
) -> None:
    """The failure says what could not be done, and what to do."""
    node = node_maker(protocols={Protocol.SSH: (listener.port,)}, admin=admin_access(1))
    with pytest.raises(CommandFailed) as failure:
        await machine.execute(START_SSH, node=node)
    assert f"nothing listens on ssh {listener.port}; the servers of ssh cannot be read (" in str(
        failure.value
    )
    assert str(failure.value).endswith(ADVICE)


async def test_a_password_that_is_refused_is_not_tried_again(
    machine: Machine, api: Api, listener: Listener
) -> None:
    """Three wrong ones may lock the account."""
    access = machine.node.admin.model_copy(update={"user": "nobody"})
    node = machine.node.model_copy(update={"admin": access})
    with pytest.raises(CommandFailed, match=f"on ssh {listener.port}.*refused nobody.*{ADVICE}"):
        await machine.execute(START_SSH, node=node)
    assert api.asked == ["GET /servers"]
