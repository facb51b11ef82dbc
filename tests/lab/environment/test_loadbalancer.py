"""The load balancer follows its hosts file and keeps open connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh
import pytest

from lab import records
from lab.environment.lab import Lab
from lab.environment.load_balancers.base import names
from lab.environment.load_balancers.hosts_file import HostsFileLoadBalancer
from lab.layout import PROBE_ACCOUNT, SFTP_PORT, password


@asynccontextmanager
async def session(lab: Lab) -> AsyncIterator[asyncssh.SFTPClient]:
    """A client's session through the load balancer."""
    host_key = asyncssh.read_public_key(lab.layout.keys / "sftp_host_key.pub")
    async with (
        asyncssh.connect(
            lab.layout.load_balancer,
            SFTP_PORT,
            username=PROBE_ACCOUNT,
            password=password(PROBE_ACCOUNT),
            known_hosts=([host_key], [], []),
            client_keys=None,
            agent_path=None,
            config=None,
        ) as connection,
        connection.start_sftp_client() as files,
    ):
        yield files


def point_hosts_at(lab: Lab, old: str, new: str) -> None:
    """Give the Edges' names the other cluster's addresses."""
    file = HostsFileLoadBalancer(lab.layout).hosts_file
    text = file.read_text()
    for address in names(lab.layout).values():
        text = text.replace(f"{address[old]} ", f"{address[new]} ")
    file.write_text(text)


async def reload(lab: Lab) -> tuple[int, str]:
    """Run the site's command; return its exit status and what it complained of."""
    command = await asyncio.create_subprocess_exec(
        HostsFileLoadBalancer(lab.layout).reload_command, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await command.communicate()
    assert command.returncode is not None
    return command.returncode, complaint.decode()


def reached_by(lab: Lab) -> list[str]:
    """The clusters on which sessions began, in sequence."""
    found = (line for line in records.read(lab.layout.sessions) if line["what"] == "begin")
    return [lab.layout.node(line["node"]).cluster for line in found]


def redirects(lab: Lab) -> list[tuple[str, bool]]:
    """The effects on the load balancer so far."""
    return [(line["to"], line["changed"]) for line in records.read(lab.layout.effects)]


async def test_a_reload_moves_new_sessions_and_keeps_old_ones(whole_lab: Lab) -> None:
    """A connected client stays on cluster1; a new client reaches cluster2."""
    async with session(whole_lab) as old:
        point_hosts_at(whole_lab, "cluster1", "cluster2")
        assert (await reload(whole_lab))[0] == 0
        async with session(whole_lab) as new:
            assert reached_by(whole_lab) == ["cluster1", "cluster2"]
            async with old.open("from-the-old-session", "wb") as file:
                await file.write(b"still here")
            assert await new.listdir(".") is not None
            storage = whole_lab.layout.cluster("cluster1").storage
            assert (storage / "accounts/probe/from-the-old-session").read_bytes() == b"still here"


async def test_a_reload_is_an_effect_even_where_nothing_changes(whole_lab: Lab) -> None:
    """The record distinguishes a second reload for the same addresses from the first."""
    point_hosts_at(whole_lab, "cluster1", "cluster2")
    await reload(whole_lab)
    await reload(whole_lab)
    point_hosts_at(whole_lab, "cluster2", "cluster1")
    await reload(whole_lab)

    assert redirects(whole_lab) == [("cluster2", True), ("cluster2", False), ("cluster1", True)]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [("# {address} edge1", "no address for edge1"), ("not-an-address edge1", "not-an-address")],
)
async def test_a_hosts_file_that_cannot_be_used_changes_nothing(
    whole_lab: Lab, wrong: str, complaint: str
) -> None:
    """The command refuses, HAProxy serves on as before, and there is no effect."""
    file = HostsFileLoadBalancer(whole_lab.layout).hosts_file
    address = names(whole_lab.layout)["edge1"]["cluster1"]
    file.write_text(file.read_text().replace(f"{address} edge1", wrong.format(address=address)))

    status, message = await reload(whole_lab)

    assert status != 0
    assert complaint in message
    assert redirects(whole_lab) == []
    async with session(whole_lab):
        assert reached_by(whole_lab) == ["cluster1"]


async def test_an_edge_that_is_down_is_passed_over(whole_lab: Lab) -> None:
    """Clients reach the other Edge while one is down."""
    down = whole_lab.layout.node("cluster1-edge1")
    stop = await asyncio.create_subprocess_exec(
        down.home / "bin/stop_sshd", stdout=asyncio.subprocess.DEVNULL
    )
    assert await stop.wait() == 0
    for _ in range(4):
        async with session(whole_lab):
            pass

    reached = {line["node"] for line in records.read(whole_lab.layout.sessions)}
    assert reached == {"cluster1-edge2"}
