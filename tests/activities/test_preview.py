"""A preview shows exactly what is sent: compared with what really arrives."""

import asyncio
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from activities.drain.activities import DrainActivities
from activities.load_balancer.activities import LoadBalancerActivities
from activities.logs.activities import LogActivities
from activities.nodes.activities import SshNodes
from activities.nodes.linux import TABLES
from activities.nodes.linux_orphans import UNFINISHED
from activities.preview import CommandPreviews
from activities.replication.activities import ReplicationLinks
from activities.scheduling import RestScheduling
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Shell
from tests.activities.conftest import NodeMaker
from tests.support import estates
from tests.support.admin_api import Api
from tests.support.port_listeners import Listener
from tests.support.ssh_machines import (
    SECRETS,
    Attempt,
    Executor,
    Installation,
    SshServer,
    admin_access,
    input_for,
    watching,
)
from workflows.model import actions
from workflows.model.estate import Node, Protocol
from workflows.planning.switchover import plan_switchover
from workflows.ports.inputs import StorageInput
from workflows.ports.routes import ROUTES

NAME = "cluster1-server1"
GRACE = timedelta(seconds=2)
TM_GRACE = timedelta(seconds=30)


@pytest.fixture
def previews(shell: Shell) -> CommandPreviews:
    """The previews of every port that has any."""
    admin = AdminClient(shell, SECRETS)
    ports = (SshNodes(shell, admin), RestScheduling(admin), DrainActivities(shell, admin))
    others = (LoadBalancerActivities(shell, admin, SECRETS), ReplicationLinks(SECRETS, shell))
    return CommandPreviews((*ports, *others, LogActivities(admin, Path("unused"))))


@pytest.fixture
def node(node_maker: NodeMaker, api: Api) -> Node:
    """A Server whose admin API answers."""
    access = admin_access(api.port, fingerprint=api.certificate.fingerprint)
    return node_maker(NAME, admin=access)


def recorded(node: Node) -> list[str]:
    """The command of every claim in a node's ledger, without quotes."""
    return [file.read_text().strip() for file in Path(node.ledger).glob("*/*/argv")]


STOP_SSH = actions.StopGracefully(node=NAME, protocol=Protocol.SSH, grace=GRACE)
START_SSH = actions.StartProtocolServer(node=NAME, protocol=Protocol.SSH)
STOP_TM = actions.StopTransactionManager(node=NAME, grace=TM_GRACE)


@pytest.mark.parametrize(
    ("action", "running"),
    [
        (actions.StopMonitor(node=NAME), "monitord sshd tm"),
        (actions.StartMonitor(node=NAME), "sshd tm"),
        (STOP_SSH, "sshd tm"),
        (START_SSH, "monitord tm"),
        (STOP_TM, "tm"),
        (actions.StartTransactionManager(node=NAME), "monitord sshd"),
        (actions.StopRemaining(node=NAME), "monitord sshd tm"),
        (actions.StartAll(node=NAME), "monitord"),
    ],
    ids=str,
)
async def test_commands_are_those_of_the_ledger(
    action: actions.Action, running: str, node_maker: NodeMaker, shell: Shell, listener: Listener
) -> None:
    """Whatever runs on a node is in its ledger, word for word, including a site's own commands."""
    # What starts a service waits until its port listens; what stops everything, until none does.
    port = 1 if isinstance(action, actions.StopRemaining) else listener.port
    site = {"alias": "the alias", "stop_all": ("stop_all", "-f")}
    node = node_maker(NAME, protocols={Protocol.SSH: (port,)}, **site)
    installation = Installation(node, *running.split())
    state, pids = installation.state, installation.home / "var/run"
    installation.script("stop_all", f"#!/bin/sh\nkill $(cat {pids}/tm.pid)\n")
    installation.script("start_all", f"#!/bin/sh\ncd {state}; : >sshd; : >tm\n")
    manager = await asyncio.create_subprocess_exec("sleep", "60")
    if isinstance(action, actions.StopRemaining):
        await asyncio.to_thread((pids / "tm.pid").write_text, f"{manager.pid}\n")
    reaped = asyncio.create_task(manager.wait())
    nodes = SshNodes(shell, AdminClient(shell, SECRETS))
    report = await Executor(nodes, node)(action)
    if manager.returncode is None:
        manager.kill()
    await reaped
    assert report.outcome == "changed"
    [command] = nodes.preview(input_for(node, action))
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
    action: actions.Action, node: Node, api: Api, shell: Shell
) -> None:
    """Method, path and query, as the node's admin API receives them."""
    if not isinstance(action, actions.StopScheduling):
        api.scheduling = dict.fromkeys(api.scheduling, "Not running.")
    scheduling, given = RestScheduling(AdminClient(shell, SECRETS)), input_for(node, action)
    await Attempt().run(getattr(scheduling, action.kind), given)
    method = "GET" if isinstance(action, actions.VerifySchedulingStopped) else "POST"
    sent = [target for target in api.targets if target.startswith(method)]
    preview = list(scheduling.preview(given))
    if method == "GET":
        assert preview.pop() == "and once more, 0.2 s later"
    assert list(dict.fromkeys(sent)) == preview


@pytest.mark.parametrize(
    ("action", "ends"),
    [
        (actions.AwaitQueue(node=NAME), ["in 3 readings, 0.05 s apart"] * 2),
        (actions.AwaitInFlightEvents(node=NAME), ["listed first has ended", "then 0.2 s more"]),
        (
            actions.AwaitSessions(node=NAME),
            ["connected to 8022 (ssh) in 3 readings, 0.05 s apart", "in 3 readings, 0.05 s apart"],
        ),
    ],
    ids=str,
)
async def test_waits_read_what_they_show(  # noqa: PLR0913, PLR0917 - fixtures
    action: actions.Action,
    ends: list[str],
    node: Node,
    api: Api,
    ssh_server: SshServer,
    shell: Shell,
) -> None:
    """What is read, and until when."""
    drain, given = DrainActivities(shell, AdminClient(shell, SECRETS)), watching(node, action)
    await Attempt().run(getattr(drain, action.kind), given)
    shown = [line.partition(": ") for line in drain.preview(given)]
    assert {read for _, _, read in shown if read.startswith("GET ")} == set(api.targets)
    assert all(until.endswith(end) for (until, _, _), end in zip(shown, ends, strict=True))
    if isinstance(action, actions.AwaitSessions):
        assert shown[0][2] == f"cat {TABLES}"
        assert all(TABLES in command for command in ssh_server.commands)


@pytest.mark.parametrize(
    "action",
    [
        actions.VerifyStopped(node=NAME),
        actions.VerifyServing(node=NAME),
        actions.FindOrphanedFiles(node=NAME),
    ],
    ids=str,
)
async def test_verifications_run_what_they_show(  # noqa: PLR0913, PLR0917 - fixtures
    action: actions.Action,
    node_maker: NodeMaker,
    listener: Listener,
    ssh_server: SshServer,
    shell: Shell,
    tmp_path: Path,
) -> None:
    """Status scripts by their paths, sockets and the search on the shared storage, each twice."""
    node = node_maker(NAME, protocols={Protocol.SSH: (listener.port,)})
    Installation(node, *(("sshd", "tm") if isinstance(action, actions.VerifyServing) else ()))
    nodes = SshNodes(shell, AdminClient(shell, SECRETS))
    given: StorageInput[Any] = StorageInput(**dict(input_for(node, action)), storage=str(tmp_path))
    await Attempt().run(getattr(nodes, action.kind), given)
    *readings, again = nodes.preview(given)
    assert again == "and once more, 0.05 s later"
    scripts = {TABLES: f"cat {TABLES}", UNFINISHED: f"cd {tmp_path} && find . {UNFINISHED}"}
    sent = [
        next((shown for part, shown in scripts.items() if part in " ".join(words)), command)
        for command, words in ((command, shlex.split(command)) for command in ssh_server.commands)
    ]
    assert sorted(sent) == sorted([*readings, *readings])


def test_every_planned_action_has_a_preview(previews: CommandPreviews) -> None:
    """Only an observation, or a reading for a decision, has none."""
    estate = estates.estate(stop_target_monitors=True)
    for variant in ("by_stage", "by_node"):
        plan = plan_switchover(estate, estates.request(variant=variant))
        for action in (action for stage in plan.stages for action in stage.actions):
            commands = previews.commands(estate, action)
            assert bool(commands) is not isinstance(action, actions.Observation), action
    silent = {
        *get_args(actions.Observation),
        *(actions.ReadSessions, actions.ReadQueue, actions.VerifyUnreachable),
    }
    places = {"node": NAME, "link": "cluster1_to_cluster2", "host": "loadbalancer1"}
    for kind in set(ROUTES) - silent:
        needed = {name for name, field in kind.model_fields.items() if field.is_required()}
        facts = {**places, "to": "cluster2", "back_to": "cluster1", "protocol": "ssh", "grace": 60}
        facts["cluster"] = "cluster1"
        action = kind.model_validate({name: facts[name] for name in needed})
        assert previews.commands(estate, action), action


async def test_a_whole_plan_is_shown_in_sequence_and_without_a_secret(
    previews: CommandPreviews,
) -> None:
    """Stage by stage, action by action; no reference to a secret is even read."""
    plan = plan_switchover(estates.estate(), estates.request())
    preview = await Attempt().run(previews.preview_commands, plan)
    assert [(one.stage, one.action) for one in preview] == [
        (stage.name, action.key) for stage in plan.stages for action in stage.actions
    ]
    text = "\n".join(command for one in preview for command in one.commands)
    assert "env:" not in text
    assert "file:" not in text
    assert "/keys" not in text
