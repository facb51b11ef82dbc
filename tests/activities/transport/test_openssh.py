"""Commands over a real OpenSSH server, as hardening guides configure it."""

import asyncio
from pathlib import Path

import pytest

from activities.transport.ssh import Command, Shell, script
from tests.activities.conftest import NodeMaker
from tests.support.openssh import openssh
from workflows.errors import Unreachable


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
