"""A load balancer that its site's command steers, with a real HAProxy and no clients."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lab import records
from lab.environment.lab import claimed_block
from lab.environment.load_balancers.commands import CommandsLoadBalancer
from lab.environment.load_balancers.registry import load_balancer
from lab.fault_injection.node_faults import EXITS_1, Scripts
from lab.layout import Drivers, Layout
from lab.unkind import ODD_LINES


@pytest.fixture
async def balancer(tmp_path: Path) -> AsyncIterator[CommandsLoadBalancer]:
    """A load balancer that serves cluster1."""
    with claimed_block() as block:
        found = load_balancer(Layout(tmp_path, block, drivers=Drivers("commands")))
        assert isinstance(found, CommandsLoadBalancer)
        await found.start()
        yield found
        await found.stop()


async def run(balancer: CommandsLoadBalancer, *words: str) -> tuple[int, Any]:
    """Run the site's command; return its exit status and its document."""
    command = await asyncio.create_subprocess_exec(
        balancer.site_command, *words, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await command.communicate()
    return command.returncode or 0, json.loads(printed) if printed else None


def leads_to(document: Any) -> set[str]:  # noqa: ANN401 - JSON
    """The clusters that a document names."""
    return {one["leads_to"] for one in document["destinations"]}


async def test_a_redirect_moves_new_connections_and_is_recorded(
    balancer: CommandsLoadBalancer,
) -> None:
    """There and back, in a hosts file with odd lines; the lab's own evidence says the same."""
    hosts = balancer.hosts_file
    hosts.write_bytes(hosts.read_bytes() + ODD_LINES)
    before = hosts.read_bytes()
    for cluster in ("cluster2", "cluster1"):
        status, document = await run(balancer, "redirect", cluster)
        assert (status, leads_to(document)) == (0, {cluster})
        assert document == (await run(balancer, "observe"))[1]
        assert balancer.traffic() == cluster
    assert hosts.read_bytes() == before
    effects = [(one["to"], one["changed"]) for one in records.read(balancer.layout.effects)]
    assert effects == [("cluster2", True), ("cluster1", True)]


async def test_a_command_whose_reload_fails_says_where_traffic_really_goes(
    balancer: CommandsLoadBalancer,
) -> None:
    """The hosts file alone moves no client; a second try reloads."""
    scripts = Scripts()
    scripts.replace((balancer.redirect_program,), EXITS_1)
    status, _ = await run(balancer, "redirect", "cluster2")
    assert status == 1
    assert leads_to((await run(balancer, "observe"))[1]) == {"cluster1"}
    scripts.heal()
    assert leads_to((await run(balancer, "redirect", "cluster2"))[1]) == {"cluster2"}


async def test_a_reset_restores_the_baseline(balancer: CommandsLoadBalancer) -> None:
    """Whatever was redirected, or written to its files."""
    await run(balancer, "redirect", "cluster2")
    assert balancer.differences() != []
    assert balancer.differences("cluster2") == []
    await balancer.reset()
    assert balancer.differences() == []
    assert leads_to((await run(balancer, "observe"))[1]) == {"cluster1"}
