"""What a site may bring is there, and what machines do stays the same."""

import asyncio
from pathlib import Path

import asyncssh
import pytest

from lab import unkind
from lab.__main__ import with_seed
from lab.layout import Layout
from lab.simulation_options import simulate
from tests.support.node_clients import Lab

NODE = "cluster1-edge1"


async def test_a_profile_prints_before_every_command(lab: Lab) -> None:
    """Its text is on standard output, as the command's own."""
    simulate(lab.layout, NODE, banner="welcome\n")
    assert (await lab.run(NODE, "echo done")).text == "welcome\ndone"


async def test_a_connection_takes_as_many_commands_as_it_is_allowed(lab: Lab) -> None:
    """A further one is refused; after one has ended, the next is taken."""
    simulate(lab.layout, NODE, max_sessions="1")
    connection = await lab.shell(NODE)
    async with connection:
        first = await connection.create_process("sleep 1")
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.run("true")
        await first.wait_closed()
        for _ in range(50):
            try:
                assert (await connection.run("echo again")).stdout == "again\n"
                break
            except asyncssh.ChannelOpenError:  # its end has not arrived there yet
                await asyncio.sleep(0.02)
        else:
            pytest.fail("no command is taken any more")


async def test_a_script_does_its_work_and_exits_with_another_status(lab: Lab) -> None:
    """What it printed, and what it did, are those of a script that exits 0."""
    simulate(lab.layout, NODE, exit_status="3")
    ran = await lab.script(NODE, "stop_monitord")
    assert ran.status == 3
    assert await lab.status(NODE, "monitord") == "monitord is down"


async def test_a_list_may_be_missing_and_nodes_may_be_text(lab: Lab) -> None:
    """As another edition or version answers."""
    server = "cluster1-server1"
    simulate(lab.layout, server, without="routes", cluster_nodes="text")
    async with lab.admin(server) as client:
        assert (await client.get("routes")).status_code == 404
        found = (await client.get("configurations/clusterManagement")).json()
    assert lab.address(server) in found["clusterNodes"]


def test_a_seed_means_the_same_each_time(tmp_path: Path) -> None:
    """And most seeds differ."""
    some = Layout(tmp_path, "127.9.9")
    assert unkind.choose(some, 7) == unkind.choose(some, 7)
    assert len({str(unkind.choose(some, seed)) for seed in range(20)}) == 20
    brought = {
        name
        for seed in range(20)
        for here in unkind.choose(some, seed).switches.values()
        for name in here
    }
    assert brought == {one.name for one in (*unkind.NODE, *unkind.CLUSTERS)}


@pytest.mark.parametrize(
    ("given", "complete"),
    [
        (("demo", "--unkind", "7"), True),
        (("demo", "--unkind"), False),
        (("demo", "--unkind", "--clients", "3"), False),
    ],
)
def test_the_seed_may_be_left_out(given: tuple[str, ...], *, complete: bool) -> None:
    """A new one takes its place."""
    words = with_seed(given)
    assert len(words) == len(given) + (not complete)
    assert words[2].isdecimal()
