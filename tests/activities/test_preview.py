"""What is spelled out in a review is what is sent: held against what really arrived."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from activities.drain.activities import NodeWaits
from activities.nodes.activities import SshNodes
from activities.nodes.linux import TABLES
from activities.preview import PlanSpelling
from activities.scheduling import RestScheduling
from activities.securetransport.admin_client import Admin
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
    errand,
    watching,
)
from workflows.execution.dispatch import LOOKS, OBSERVERS
from workflows.model.actions import change as o
from workflows.model.estate import Estate, Node, Protocol
from workflows.model.results import Report
from workflows.planning.plan import plan_switchover
from workflows.ports.contract import StorageErrand

NAME = "cluster1-server1"
GRACE = timedelta(seconds=2)
TM_GRACE = timedelta(seconds=30)


@pytest.fixture
def spelling(shell: Shell) -> PlanSpelling:
    """What is tested."""
    return PlanSpelling(shell)


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
    return [file.read_text().strip() for file in Path(node.ledger).glob("*/words")]


ALL_UP = ("monitord", "sshd", "tm")
ON_LEDGERS: dict[str, tuple[o.Order, tuple[str, ...]]] = {
    "stop_monitor": (o.StopMonitor(node=NAME), ALL_UP),
    "start_monitor": (o.StartMonitor(node=NAME), ("sshd", "tm")),
    "stop_gracefully": (
        o.StopGracefully(node=NAME, protocol=Protocol.SSH, grace=GRACE),
        ("sshd", "tm"),
    ),
    "start_protocol_server": (
        o.StartProtocolServer(node=NAME, protocol=Protocol.SSH),
        ("monitord", "tm"),
    ),
    "stop_transaction_manager": (o.StopTransactionManager(node=NAME, grace=TM_GRACE), ("tm",)),
    "start_transaction_manager": (o.StartTransactionManager(node=NAME), ("monitord", "sshd")),
    "stop_remaining": (o.StopRemaining(node=NAME), ALL_UP),
    "start_all": (o.StartAll(node=NAME), ("monitord",)),
}
"""By hand: the order, and what runs before it."""


@pytest.mark.parametrize("hand", ON_LEDGERS)
async def test_commands_are_those_of_the_ledger(
    hand: str, node_maker: NodeMaker, shell: Shell, spelling: PlanSpelling
) -> None:
    """Whatever runs on a node stands in its ledger, word for word, a site's own words among it."""
    node = node_maker(NAME, alias="the alias", stop_all=("stop_all", "-f"))
    order, running = ON_LEDGERS[hand]
    installation = Installation(node, *running)
    state, pids = installation.state, installation.home / "var/run"
    installation.script("stop_all", f"#!/bin/sh\nkill $(cat {pids}/tm.pid)\n")
    installation.script("start_all", f"#!/bin/sh\ncd {state}; : >sshd; : >tm\n")
    manager = await asyncio.create_subprocess_exec("sleep", "60")
    if hand == "stop_remaining":
        await asyncio.to_thread((pids / "tm.pid").write_text, f"{manager.pid}\n")
    reaped = asyncio.create_task(manager.wait())
    carry_out: Callable[[Any], Awaitable[Report]]
    carry_out = getattr(SshNodes(shell, Admin(shell, SECRETS)), hand)
    report = await Attempt().run(carry_out, errand(node, order))
    if manager.returncode is None:
        manager.kill()
    await reaped
    assert report.outcome == "changed"
    [command] = spelling.words(estate_of(node), order)
    assert recorded(node) == [" ".join(shlex.split(command))]


@pytest.mark.parametrize(
    "order",
    [
        o.StopScheduling(node=NAME),
        o.StartScheduling(node=NAME),
        o.StartScheduling(node=NAME, services=("folder_monitor",)),
        o.ProveSchedulingStopped(node=NAME),
    ],
    ids=str,
)
async def test_requests_are_those_that_arrive(
    order: o.StopScheduling | o.StartScheduling | o.ProveSchedulingStopped,
    node: Node,
    api: Api,
    shell: Shell,
    spelling: PlanSpelling,
) -> None:
    """Method, path and query, as the node's admin API has them in front of it."""
    if not isinstance(order, o.StopScheduling):
        api.scheduling = dict.fromkeys(api.scheduling, "Not running.")
    hands = RestScheduling(Admin(shell, SECRETS))
    await Attempt().run(getattr(hands, order.kind), errand(node, order))
    method = "GET" if isinstance(order, o.ProveSchedulingStopped) else "POST"
    sent = [target for target in api.targets if target.startswith(method)]
    spelled = list(spelling.words(estate_of(node), order))
    if method == "GET":
        assert spelled.pop() == "and once more, 0.2 s later"
    assert list(dict.fromkeys(sent)) == spelled


@pytest.mark.parametrize(
    "order",
    [o.AwaitQueue(node=NAME), o.AwaitWorkInHand(node=NAME), o.AwaitSessions(node=NAME)],
    ids=str,
)
async def test_waits_read_what_they_say(  # noqa: PLR0913, PLR0917 - fixtures
    order: o.AwaitQueue | o.AwaitWorkInHand | o.AwaitSessions,
    node: Node,
    api: Api,
    ssh_server: SshServer,
    shell: Shell,
    spelling: PlanSpelling,
) -> None:
    """What is looked at, and until when."""
    asked = watching(node, order) if isinstance(order, o.AwaitSessions) else errand(node, order)
    await Attempt().run(getattr(NodeWaits(shell, Admin(shell, SECRETS)), order.kind), asked)
    spelled = list(spelling.words(estate_of(node), order))
    assert set(api.targets) == {
        read for words in spelled if (read := words.rpartition(": ")[2]).startswith("GET ")
    }
    match order:
        case o.AwaitWorkInHand():
            assert spelled[1:] == ["then 0.2 s more"]
        case o.AwaitQueue():
            assert all("in 3 readings, 0.05 s apart" in words for words in spelled)
        case o.AwaitSessions():
            assert spelled[0] == (
                f"until nobody is connected to 8022 (ssh) in 3 readings, 0.05 s apart: cat {TABLES}"
            )
            assert {TABLES in command for command in ssh_server.commands} == {True}


@pytest.mark.parametrize("order", [o.ProveStopped(node=NAME), o.ProveServing(node=NAME)], ids=str)
async def test_proofs_ask_what_they_say(
    order: o.ProveStopped | o.ProveServing,
    node: Node,
    ssh_server: SshServer,
    shell: Shell,
    spelling: PlanSpelling,
) -> None:
    """Every status script by its path, twice."""
    Installation(node, *(("sshd", "tm") if isinstance(order, o.ProveServing) else ()))
    hands = SshNodes(shell, Admin(shell, SECRETS))
    await Attempt().run(getattr(hands, order.kind), errand(node, order))
    *looks, again = spelling.words(estate_of(node), order)
    assert again == "and once more, 0.05 s later"
    assert sorted(ssh_server.commands) == sorted([*looks, *looks])


async def test_orphans_are_looked_for_where_it_says(
    node: Node, ssh_server: SshServer, shell: Shell, spelling: PlanSpelling, tmp_path: Path
) -> None:
    """The very search, on the cluster's own storage."""
    order = o.LookForOrphans(node=NAME)
    given: StorageErrand[Any] = StorageErrand(**dict(errand(node, order)), storage=str(tmp_path))
    hands = SshNodes(shell, Admin(shell, SECRETS))
    await Attempt().run(hands.look_for_orphans, given)
    look, again = spelling.words(estate_of(node, str(tmp_path)), order)
    assert ssh_server.commands == [look, look]
    assert again == "and once more, 0.05 s later"


def test_every_order_that_is_planned_is_spelled(spelling: PlanSpelling) -> None:
    """Only what looks for stage 0, or for a decision, has no words of its own."""
    estate = estates.estate(stop_target_monitors=True)
    for variant in ("by_stage", "by_node"):
        plan = plan_switchover(estate, estates.request(variant=variant))
        for order in (order for stage in plan.stages for order in stage.orders):
            words = list(spelling.words(estate, order))
            assert bool(words) is (type(order) not in OBSERVERS), order
    silent = {*OBSERVERS, *LOOKS, o.ProveDead}
    places = {"node": NAME, "link": "cluster1_to_cluster2", "host": "loadbalancer1"}
    for kind in set(get_args(get_args(o.Order)[0])) - silent:
        needed = {name for name, field in kind.model_fields.items() if field.is_required()}
        facts = {**places, "to": "cluster2", "back_to": "cluster1", "protocol": "ssh", "grace": 60}
        order = kind.model_validate({name: facts[name] for name in needed})
        assert list(spelling.words(estate, order)), order


async def test_a_whole_plan_is_spelled_in_its_order_and_without_a_secret(
    spelling: PlanSpelling,
) -> None:
    """Stage by stage, order by order; no reference to a secret is even looked at."""
    plan = plan_switchover(estates.estate(), estates.request())
    spelled = await Attempt().run(spelling.spell_out, plan)
    assert [(one.stage, one.order) for one in spelled] == [
        (stage.slug, order.key) for stage in plan.stages for order in stage.orders
    ]
    text = "\n".join(words for one in spelled for words in one.commands)
    assert "env:" not in text
    assert "file:" not in text
    assert "/keys" not in text
