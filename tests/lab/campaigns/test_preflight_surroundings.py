"""Does every fault of load balancer, storages and databases show there, and leave no trace?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import LiteralString

import asyncssh
import httpx
import psycopg
import pytest

from lab import records
from lab.campaigns.preflight_faults import databases, storage
from lab.campaigns.preflight_faults import load_balancer as balancer
from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.environment.lab import Lab as House
from lab.environment.loadbalancer import LoadBalancer
from lab.environment.storage import MARKERS
from lab.layout import PROBE_ACCOUNT
from tests.support.node_clients import Lab, eventually

FAULTS = (*balancer.FAULTS, *storage.FAULTS, *databases.FAULTS)
BALANCER = "loadbalancer1"

Reading = Callable[[Lab, str], Awaitable[bool]]


@pytest.fixture
async def lab(whole_lab: House) -> AsyncIterator[Lab]:
    """What reaches the machines of a whole lab, as a client would."""
    lab = Lab(whole_lab.layout, whole_lab.databases, whole_lab.machines)
    yield lab
    await lab.leave()


def here(command: str) -> Reading:
    """Whether a command succeeds on the load balancer."""

    async def reading(lab: Lab, _: str) -> bool:
        site = LoadBalancer(lab.layout)
        words = command.format(
            hosts=site.hosts_file, reload=site.reload_command, configuration=site.site_configuration
        )
        return (await lab.run(BALANCER, words)).status == 0

    return reading


def says(database: str, question: LiteralString) -> Reading:
    """Whether a database answers yes to the product's own account."""

    async def reading(lab: Lab, _: str) -> bool:
        dsn = {cluster.database_name: cluster.dsn for cluster in lab.layout.clusters}[database]
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            answer = await (await connection.execute(question)).fetchone()
        assert answer is not None
        return bool(answer[0])

    return reading


async def nobody_gets_in(lab: Lab, place: str) -> bool:
    """Whether the shell hangs up."""
    try:
        await lab.shell(place)
    except (OSError, asyncssh.Error):
        return True
    return False


async def a_login_lands_on_cluster2(lab: Lab, _: str) -> bool:
    """Whether a new client's session begins there."""
    async with lab.visit(BALANCER, PROBE_ACCOUNT) as files:
        await files.listdir(".")
    begun = [line for line in records.read(lab.layout.sessions) if line["what"] == "begin"]
    return lab.layout.node(begun[-1]["node"]).cluster == "cluster2"


async def https_alone_is_silent(lab: Lab, _: str) -> bool:
    """Whether SFTP clients are served, and nobody answers the others."""
    async with lab.visit(BALANCER, PROBE_ACCOUNT) as files:
        await files.listdir(".")
    async with lab.web(BALANCER, PROBE_ACCOUNT) as client:
        try:
            await client.get("/")
        except httpx.ConnectError:
            return True
    return False


async def a_copy_differs(lab: Lab, place: str) -> bool:
    """Whether the first Servers read other contents of the same files, at rest for seconds."""
    find = (
        "cd {} && find accounts -type f ! -newermt '2 seconds ago' -exec sha256sum {{}} + "
        "| sort -k 2"
    )
    seen = [
        (await lab.run(f"{cluster.name}-server1", find.format(cluster.storage))).text
        for cluster in lab.layout.clusters
    ]
    names = [[line.split()[1] for line in text.splitlines()] for text in seen]
    return names[0] == names[1] and seen[0] != seen[1]


async def the_sync_is_late(lab: Lab, place: str) -> bool:
    """Whether a file needs more than a second to the other side."""
    one, two = (cluster.storage / MARKERS / "marker" for cluster in lab.layout.clusters)
    one.touch()
    began = time.monotonic()
    await eventually(two.exists)
    late = time.monotonic() - began > 1
    one.unlink()
    await eventually(lambda: not two.exists())
    return late


async def the_storage_is_gone(lab: Lab, place: str) -> bool:
    """Whether a Server has no such directory, and the other side keeps its files."""
    storage = lab.layout.cluster(place).storage
    return (await lab.run(f"{place}-server1", f"cd {storage}")).status != 0


async def nobody_connects(lab: Lab, place: str) -> bool:
    """Whether the subscriber's database refuses the product's account."""
    try:
        await (await psycopg.AsyncConnection.connect(lab.layout.cluster("cluster2").dsn)).close()
    except psycopg.OperationalError:
        return True
    return False


SEEN: dict[str, Reading] = {
    "load_balancer_unreachable": nobody_gets_in,
    "traffic_not_on_source": a_login_lands_on_cluster2,
    "probe_unreachable": https_alone_is_silent,
    "reload_not_runnable": here("[ ! -x {reload} ]"),
    "hosts_file_not_writable": here("[ ! -w {hosts} ]"),
    "edges_by_address": here("grep -Eq '^ +server edge1 [0-9.]+:8022$' {configuration}"),
    "sticky_entries": here("grep -Eq '^ +stick on src$' {configuration}"),
    "hard_stop_after_short": here("grep -Eq '^ +hard-stop-after 30s$' {configuration}"),
    "storage_differs": a_copy_differs,
    "storage_delay_exceeded": the_sync_is_late,
    "storage_unreadable": the_storage_is_gone,
    "database_unreachable": nobody_connects,
    "replication_not_running": says(
        "database2",
        "SELECT NOT subenabled FROM pg_subscription WHERE subname = 'cluster1_to_cluster2'",
    ),
    "replication_one_way": says(
        "database1",
        "SELECT count(*) = 0 FROM pg_subscription WHERE subname = 'cluster2_to_cluster1'",
    ),
    "replication_lagging": says(
        "database1",
        "SELECT pg_current_wal_lsn() - confirmed_flush_lsn > 64 * 1048576 "
        "FROM pg_replication_slots WHERE slot_name = 'cluster1_to_cluster2'",
    ),
    "excluded_tables_replicated": says(
        "database1", "SELECT bool_or(tablename = 'event') FROM pg_publication_tables"
    ),
    "replication_not_comparable": says(
        "database1", "SELECT NOT rolreplication FROM pg_roles WHERE rolname = current_user"
    ),
    "unknown_subscription": says("database1", "SELECT count(*) = 2 FROM pg_subscription"),
    "commit_timestamps_off": says(
        "database2", "SELECT NOT current_setting('track_commit_timestamp')::boolean"
    ),
    "wal_headroom_low": says(
        "database1", "SELECT safe_wal_size <= 32 * 1048576 FROM pg_replication_slots"
    ),
}
"""How a client of the machine, or the product's account, sees each of them."""


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.name)
async def test_a_fault_shows_until_it_is_taken_out(
    whole_lab: House, lab: Lab, plant: InjectedFault
) -> None:
    """It is seen from outside, leaves no record, and afterwards the lab is in its baseline."""
    seen = SEEN[plant.name]
    assert not await seen(lab, plant.place)

    await plant.inject(lab.layout, plant.place)
    try:
        shows = await seen(lab, plant.place)
        differs = await whole_lab.at_baseline()
    finally:
        await plant.revert(lab.layout, plant.place)
    assert shows
    assert differs

    assert not await seen(lab, plant.place)
    assert [*records.read(lab.layout.effects)] == []
    lab.layout.sessions.unlink(missing_ok=True)  # our own
    assert await whole_lab.at_baseline() == []


async def test_a_storage_that_is_gone_is_no_empty_one(whole_lab: House) -> None:
    """What the other side has stays, and goes on its way when the storage is back."""
    layout = whole_lab.layout
    one, two = (cluster.storage / "done/file" for cluster in layout.clusters)
    plant = {plant.name: plant for plant in storage.FAULTS}["storage_unreadable"]
    one.write_bytes(b"kept")
    await eventually(two.exists)

    await plant.inject(layout, plant.place)
    await asyncio.sleep(1)
    there = one.exists()
    await plant.revert(layout, plant.place)

    assert there
    assert two.read_bytes() == b"kept"
