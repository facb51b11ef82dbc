"""Commands over a real OpenSSH server, as hardening guides configure it."""

import asyncio
from pathlib import Path

import pytest

from activities.load_balancer.activities import LoadBalancerActivities
from activities.runtime.partial_reading import reading_or_finding
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Command, Shell, script
from tests.activities.conftest import NodeMaker
from tests.support.admin_api import Api
from tests.support.openssh import openssh
from tests.support.protocol_servers import Front
from tests.support.ssh_machines import HOST_KEY_LINE, QUICK, SECRETS, Attempt, admin_access
from workflows.errors import Unreachable
from workflows.model.actions import TryLogin
from workflows.model.estate import Node, Probe
from workflows.model.findings import Finding
from workflows.model.observations import LoginReading
from workflows.model.results import Operation
from workflows.ports.load_balancer import LoginInput
from workflows.preflight import access


@pytest.mark.parametrize("sessions", [1, 2, 4, 10])
async def test_as_many_commands_run_at_a_time_as_the_server_allows(
    sessions: int, node_maker: NodeMaker, shell: Shell, tmp_path: Path
) -> None:
    """Each runs exactly once, over one connection, however few that are."""
    record = tmp_path / "record"
    async with openssh(tmp_path, f"MaxSessions {sessions}") as server:
        node = node_maker(**server.access())
        work = script('echo "$1" >>"$2"; sleep 0.05; echo "did $1"')
        commands = [Command((*work.argv, str(number), str(record))) for number in range(12)]
        answers = await asyncio.gather(*(shell.run(node, command) for command in commands))
    assert [answer.out for answer in answers] == [f"did {number}\n" for number in range(12)]
    assert sorted(map(int, record.read_text().split())) == list(range(12))
    log = (tmp_path / "sshd.log").read_text()
    assert log.count("Accepted publickey") == 1


async def test_a_server_that_runs_no_command_is_unreachable(
    node_maker: NodeMaker, shell: Shell, tmp_path: Path
) -> None:
    """Nothing was sent; the message names the setting."""
    async with openssh(tmp_path, "MaxSessions 0") as server:
        node = node_maker(**server.access())
        with pytest.raises(Unreachable, match=r"runs no command .* check MaxSessions"):
            await shell.run(node, Command(("true",)))


@pytest.mark.parametrize("setting", ["AllowTcpForwarding no", "PermitOpen 192.0.2.1:1"])
async def test_a_server_that_forwards_nothing_is_named(
    setting: str, node_maker: NodeMaker, shell: Shell, server: Node, tmp_path: Path
) -> None:
    """Its shell works; the finding says who refuses, and that the estate can do without."""
    async with openssh(tmp_path, setting) as machine:
        tunnelled = server.admin.model_copy(update={"via": "ssh"})
        node = node_maker(**machine.access(), admin=tunnelled)
        reading = reading_or_finding(
            lambda: AdminClient(shell, SECRETS).get(node, "version"),
            node.name,
            access.node_unreachable_admin,
        )
        found = await reading
        assert (await shell.run(node, Command(("true",)))).status == 0
    assert isinstance(found, Finding)
    assert found.name == "forwarding_refused"
    assert "its SSH server refuses to forward connections" in found.seen
    assert "`via: direct`" in found.advice


async def test_without_forwarding_a_direct_way_suffices(
    node_maker: NodeMaker, shell: Shell, api: Api, front: Front, tmp_path: Path
) -> None:
    """For the admin API, and for the login straight to the node, with its certificate verified."""
    ports = {protocol: (port,) for protocol, port in front.ports.items()}
    trusted = {"ca": str(api.certificate.file), "host_key": HOST_KEY_LINE}
    account = {"address": "127.0.0.1", "port": 1, "user": "probe", "password": "env:PROBE"}
    admin = admin_access(api.port, ca=str(api.certificate.file))
    async with openssh(tmp_path, "AllowTcpForwarding no") as machine:
        node = node_maker(**machine.access(), admin=admin, protocols=ports)
        client = AdminClient(shell, SECRETS)
        assert (await client.get(node, "version")).body
        for protocol in front.ports:
            given = LoginInput(
                operation=Operation(identity="run-1", stage="stage", action="action"),
                action=TryLogin(node=node.name, protocol=protocol),
                timing=QUICK,
                node=node,
                probe=Probe.model_validate({**account, **trusted, "protocol": protocol}),
            )
            logins = LoadBalancerActivities(shell, client, SECRETS)
            assert await Attempt().run(logins.try_login, given) == LoginReading(
                place=node.name, protocol=protocol
            )
