"""A configuration change of the lab is reported: during a run, and between it and a rejoin."""

import asyncio
from typing import Any

import psycopg
from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.watch_records import WatchRecords
from lab.access import admin
from tests.support.whole_lab import House
from workflows.model.freeze import FreezeRequest
from workflows.ports.configuration import WatchInput

SERVER, EDGE = "cluster1-server1", "cluster1-edge1"
TARGET = "cluster2-server1"


RECORDED = {
    *(f"{node} option" for node in (SERVER, EDGE, "cluster1-edge2", TARGET)),
    f"{EDGE} file",
    "database2 table",
    f"{TARGET} account",
}
"""The parts of the configuration in which this test changes something."""


async def recorded(handle: WorkflowHandle[Any, Any]) -> set[str]:
    """What a run has read of the configuration: its newest watch was given that."""
    events = (await handle.fetch_history()).events
    scheduled = [one.activity_task_scheduled_event_attributes for one in events]
    watches = [one for one in scheduled if one.activity_type.name == "watch_configuration"]
    if not watches:
        return set()
    payloads = watches[-1].input.payloads
    [given] = await pydantic_data_converter.decode(payloads, [WatchInput])
    return set(given.record.parts)


async def changes_an_option(house: House, node: str) -> None:
    """Change an option, as an administrator does."""
    async with admin(house.lab.layout, house.lab.layout.node(node)) as client:
        answer = await client.patch("configurations/options/Ssh.Port", json={"values": ["2222"]})
    assert answer.status_code == 204


async def test_changes_during_and_after_a_run_are_reported(house: House) -> None:
    """On both sides, by whom, within the estate's interval; a freeze hands all of it over."""
    house.describe(timing=house.estate["timing"] | {"configuration_interval": 0.5})
    layout = house.lab.layout
    async with house.worker():
        await house.start(approve_before=["drain_protocol_servers"])
        await house.reaches(lambda p: p.waiting is not None)
        async with asyncio.timeout(60):
            while not await recorded(house.run) >= RECORDED:  # noqa: ASYNC110 - Temporal is asked
                await asyncio.sleep(0.1)
        await changes_an_option(house, SERVER)
        async with await psycopg.AsyncConnection.connect(layout.cluster("cluster2").dsn) as there:
            await there.execute("INSERT INTO account VALUES ('planted', 'invented', now())")
        (layout.node(EDGE).home / "conf/planted.xml").write_text("<planted/>", encoding="utf-8")
        planted = {
            (SERVER, "option Ssh.Port"),
            *((f"cluster1-edge{number}", "option Ssh.Port") for number in (1, 2)),
            (EDGE, "file conf/planted.xml"),
            ("database2", "table public.account"),
            (TARGET, "account planted"),
        }
        progress = await house.reaches(
            lambda p: planted <= {one.key for one in p.configuration_changes}
        )
        assert {one.key for one in progress.configuration_changes} == planted
        [author] = [one.by for one in progress.configuration_changes if one.place == SERVER]
        assert author == "admin"
        await house.signal("abort", by="ann", reason="only the freeze is of interest")
        outcome = await house.outcome()
        assert outcome.configuration_changes == progress.configuration_changes
        await changes_an_option(house, TARGET)
        later = (TARGET, "option Ssh.Port")
        freeze = house.client.get_workflow_handle("freeze-lab")
        found: FreezeRequest | None = None
        async with asyncio.timeout(60):
            while found is None or later not in {one.key for one in found.record.changes}:
                await asyncio.sleep(0.1)  # between two queries
                found = await freeze.query("status", result_type=FreezeRequest)
        record = await WatchRecords(house.client).take_over("lab")
    assert record is not None
    assert not [one for one in record.gaps if "no Freeze watched" in one]
    assert {one.key for one in record.changes} >= {*planted, later}
