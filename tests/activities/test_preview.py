"""What is preview out in a review is what is sent: held against what really arrived."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from activities.drain.activities import DrainActivities
from activities.load_balancer.drivers import drivers
from activities.nodes.activities import SshNodes
from activities.nodes.linux import TABLES
from activities.preview import CommandPreviews
from activities.replication.activities import ReplicationLinks
from activities.scheduling import RestScheduling
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Shell
from tests.activities.conftest import NodeMaker
from tests.support import estates
from tests.support.admin_api import Api
from tests.support.ssh_machines import (
    QUICK,
    SECRETS,
    Attempt,
    Installation,
    SshServer,
    input_for,
    watching,
)
from workflows.model import actions
from workflows.model.estate import Estate, Node, Protocol
from workflows.model.results import Report
from workflows.planning.plan import plan_switchover
from workflows.ports.inputs import StorageInput
from workflows.ports.routes import ROUTES

NAME = "cluster1-server1"
GRACE = timedelta(seconds=2)
TM_GRACE = timedelta(seconds=30)


@pytest.fixture
def spelling(shell: Shell) -> CommandPreviews:
    """What is tested."""
    return CommandPreviews(drivers(shell), ReplicationLinks(SECRETS))


@pytest.fixture
def node(node_maker: NodeMaker, api: Api) -> Node:
    """A Server whose admin API answers."""
    access = {"user": "admin", "password": "env:ADMIN", "port": api.port, "via": "direct"}
    return node_maker(NAME, admin={**access, "fingerprint": api.certificate.fingerprint})


def estate_of(node: Node, storage: str = "/shared") -> Estate:
    """An estate in which this is the first node."""
    whole = estates.estate()
    first, second = whole.clusters
    changed = first.model_copy(update={"nodes": (node, *first.nodes[1:]), "storage": storage})
    return whole.model_copy(update={"clusters": (changed, second), "timing": QUICK})


def recorded(node: Node) -> list[str]:
    """The words of every claim in a node's ledger, quotes gone."""
    return [file.read_text().strip() for file in Path(node.ledger).glob("*/argv")]


ALL_UP = ("monitord", "sshd", "tm")
ON_LEDGERS: dict[str, tuple[actions.Action, tuple[str, ...]]] = {
    "stop_monitor": (actions.StopMonitor(node=NAME), ALL_UP),
    "start_monitor": (actions.StartMonitor(node=NAME), ("sshd", "tm")),
    "stop_gracefully": (
        actions.StopGracefully(node=NAME, protocol=Protocol.SSH, grace=GRACE),
        ("sshd", "tm"),
    ),
    "start_protocol_server": (
        actions.StartProtocolServer(node=NAME, protocol=Protocol.SSH),
        ("monitord", "tm"),
    ),
    "stop_transaction_manager": (
        actions.StopTransactionManager(node=NAME, grace=TM_GRACE),
        ("tm",),
    ),
    "start_transaction_manager": (actions.StartTransactionManager(node=NAME), ("monitord", "sshd")),
    "stop_remaining": (actions.StopRemaining(node=NAME), ALL_UP),
    "start_all": (actions.StartAll(node=NAME), ("monitord",)),
}
"""By hand: the order, and what runs before it."""


@pytest.mark.parametrize("hand", ON_LEDGERS)
async def test_commands_are_those_of_the_ledger(
    hand: str, node_maker: NodeMaker, shell: Shell, spelling: CommandPreviews
) -> None:
    """Whatever runs on a node stands in its ledger, word for word, a site's own words among it."""
    node = node_maker(NAME, alias="the alias", stop_all=("stop_all", "-f"))
    action, running = ON_LEDGERS[hand]
    installation = Installation(node, *running)
    state, pids = installation.state, installation.home / "var/run"
    installation.script("stop_all", f"#!/bin/sh\nkill $(cat {pids}/tm.pid)\n")
    installation.script("start_all", f"#!/bin/sh\ncd {state}; : >sshd; : >tm\n")
    manager = await asyncio.create_subprocess_exec("sleep", "60")
    if hand == "stop_remaining":
        await asyncio.to_thread((pids / "tm.pid").write_text, f"{manager.pid}\n")
    reaped = asyncio.create_task(manager.wait())
    execute: Callable[[Any], Awaitable[Report]]
    execute = getattr(SshNodes(shell, AdminClient(shell, SECRETS)), hand)
    report = await Attempt().run(execute, input_for(node, action))
    if manager.returncode is None:
        manager.kill()
    await reaped
    assert report.outcome == "changed"
    [command] = spelling.words(estate_of(node), action)
    assert recorded(node) == [" ".join(shlex.split(command))]


@pytest.mark.parametrize(
    "action",
    [
        actions.StopScheduling(node=NAME),
        actions.StartScheduling(node=NAME),
        actions.StartScheduling(node=NAME, services=("folder_monitor",)),
        actions.VerifySchedulingStopped(node=NAME),
    ],
    ids=str,
)
async def test_requests_are_those_that_arrive(
    action: actions.StopScheduling | actions.StartScheduling | actions.VerifySchedulingStopped,
    node: Node,
    api: Api,
    shell: Shell,
    spelling: CommandPreviews,
) -> None:
    """Method, path and query, as the node's admin API has them in front of it."""
    if not isinstance(action, actions.StopScheduling):
        api.scheduling = dict.fromkeys(api.scheduling, "Not running.")
    hands = RestScheduling(AdminClient(shell, SECRETS))
    await Attempt().run(getattr(hands, action.kind), input_for(node, action))
    method = "GET" if isinstance(action, actions.VerifySchedulingStopped) else "POST"
    sent = [target for target in api.targets if target.startswith(method)]
    preview = list(spelling.words(estate_of(node), action))
    if method == "GET":
        assert preview.pop() == "and once more, 0.2 s later"
    assert list(dict.fromkeys(sent)) == preview


@pytest.mark.parametrize(
    "action",
    [
        actions.AwaitQueue(node=NAME),
        actions.AwaitInFlightEvents(node=NAME),
        actions.AwaitSessions(node=NAME),
    ],
    ids=str,
)
async def test_waits_read_what_they_say(  # noqa: PLR0913, PLR0917 - fixtures
    action: actions.AwaitQueue | actions.AwaitInFlightEvents | actions.AwaitSessions,
    node: Node,
    api: Api,
    ssh_server: SshServer,
    shell: Shell,
    spelling: CommandPreviews,
) -> None:
    """What is looked at, and until when."""
    asked = (
        watching(node, action)
        if isinstance(action, actions.AwaitSessions)
        else input_for(node, action)
    )
    await Attempt().run(
        getattr(DrainActivities(shell, AdminClient(shell, SECRETS)), action.kind), asked
    )
    preview = list(spelling.words(estate_of(node), action))
    assert set(api.targets) == {
        read for words in preview if (read := words.rpartition(": ")[2]).startswith("GET ")
    }
    match action:
        case actions.AwaitInFlightEvents():
            assert preview[1:] == ["then 0.2 s more"]
        case actions.AwaitQueue():
            assert all("in 3 readings, 0.05 s apart" in words for words in preview)
        case actions.AwaitSessions():
            assert preview[0] == (
                f"until nobody is connected to 8022 (ssh) in 3 readings, 0.05 s apart: cat {TABLES}"
            )
            assert {TABLES in command for command in ssh_server.commands} == {True}


@pytest.mark.parametrize(
    "action", [actions.VerifyStopped(node=NAME), actions.VerifyServing(node=NAME)], ids=str
)
async def test_proofs_ask_what_they_say(
    action: actions.VerifyStopped | actions.VerifyServing,
    node: Node,
    ssh_server: SshServer,
    shell: Shell,
    spelling: CommandPreviews,
) -> None:
    """Every status script by its path, twice."""
    Installation(node, *(("sshd", "tm") if isinstance(action, actions.VerifyServing) else ()))
    hands = SshNodes(shell, AdminClient(shell, SECRETS))
    await Attempt().run(getattr(hands, action.kind), input_for(node, action))
    *looks, again = spelling.words(estate_of(node), action)
    assert again == "and once more, 0.05 s later"
    assert sorted(ssh_server.commands) == sorted([*looks, *looks])


async def test_orphans_are_looked_for_where_it_says(
    node: Node, ssh_server: SshServer, shell: Shell, spelling: CommandPreviews, tmp_path: Path
) -> None:
    """The very search, on the cluster's own storage."""
    action = actions.FindOrphanedFiles(node=NAME)
    given: StorageInput[Any] = StorageInput(**dict(input_for(node, action)), storage=str(tmp_path))
    hands = SshNodes(shell, AdminClient(shell, SECRETS))
    await Attempt().run(hands.find_orphaned_files, given)
    look, again = spelling.words(estate_of(node, str(tmp_path)), action)
    assert ssh_server.commands == [look, look]
    assert again == "and once more, 0.05 s later"


def test_every_order_that_is_planned_is_spelled(spelling: CommandPreviews) -> None:
    """Only what looks for stage 0, or for a decision, has no words of its own."""
    estate = estates.estate(stop_target_monitors=True)
    for variant in ("by_stage", "by_node"):
        plan = plan_switchover(estate, estates.request(variant=variant))
        for action in (action for stage in plan.stages for action in stage.actions):
            words = list(spelling.words(estate, action))
            assert bool(words) is not isinstance(action, actions.Observation), action
    silent = {
        *get_args(actions.Observation),
        *(actions.ReadSessions, actions.ReadQueue, actions.VerifyUnreachable),
    }
    places = {"node": NAME, "link": "cluster1_to_cluster2", "host": "loadbalancer1"}
    for kind in set(ROUTES) - silent:
        needed = {name for name, field in kind.model_fields.items() if field.is_required()}
        facts = {**places, "to": "cluster2", "back_to": "cluster1", "protocol": "ssh", "grace": 60}
        action = kind.model_validate({name: facts[name] for name in needed})
        assert list(spelling.words(estate, action)), action


async def test_a_whole_plan_is_spelled_in_its_order_and_without_a_secret(
    spelling: CommandPreviews,
) -> None:
    """Stage by stage, order by order; no reference to a secret is even looked at."""
    plan = plan_switchover(estates.estate(), estates.request())
    preview = await Attempt().run(spelling.preview_commands, plan)
    assert [(one.stage, one.action) for one in preview] == [
        (stage.name, action.key) for stage in plan.stages for action in stage.actions
    ]
    text = "\n".join(words for one in preview for words in one.commands)
    assert "env:" not in text
    assert "file:" not in text
    assert "/keys" not in text
