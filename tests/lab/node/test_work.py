"""Transaction Managers, Scheduler and Folder Monitor work as the vendor's do."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import asyncssh
import pytest

from tests.support.node_clients import PARTNER, Lab
from tests.support.polling import eventually

EDGE = "cluster1-edge1"
SERVERS = ("cluster1-server1", "cluster1-server2")
SCHEDULER = "clusterServices?serviceName=Scheduler"


async def stop_monitor(lab: Lab, *names: str) -> None:
    """Keep Monitors from starting what a test ends."""
    for name in names:
        assert (await lab.script(name, "stop_monitord")).status == 0


async def test_scheduling_needs_option_start_and_transaction_manager(lab: Lab) -> None:
    """It runs where all three hold; without the option its state is Disabled."""
    server = SERVERS[0]
    await eventually(lambda: bool(lab.work("schedule")))
    assert not lab.work("schedule", "cluster2")
    lab.turn(scheduling_option={"cluster1": False})
    assert await lab.ask(server, SCHEDULER) == {"status": "Disabled."}
    lab.turn(scheduling_option={})
    await lab.schedule(server, "stop", "Scheduler")
    assert await lab.ask(server, SCHEDULER) == {"status": "Not running."}
    await lab.schedule(server, "start", "Scheduler")
    await stop_monitor(lab, server)
    await lab.script(server, "stop_tm")
    assert await lab.ask(server, SCHEDULER) == {"status": "Not running."}
    assert lab.effects(server, "scheduler") == ["stop", "start", "stop"]


@pytest.mark.parametrize(
    ("returns", "started", "stopped"),
    [
        ("if_started", "Running.", "Not running."),
        ("never", "Not running.", "Not running."),
        ("always", "Running.", "Running."),
    ],
)
async def test_scheduling_returns_with_its_tm_or_not(
    lab: Lab, returns: str, started: str, stopped: str
) -> None:
    """An option decides: in the worst case even what was stopped returns."""
    lab.turn(scheduling_returns=returns)
    server = SERVERS[0]
    await lab.schedule(server, "stop", "FolderMonitor")
    await lab.script(server, "stop_tm")
    await lab.script(server, "start_tm")
    assert await lab.ask(server, SCHEDULER) == {"status": started}
    monitor = "clusterServices?serviceName=FolderMonitor"
    assert await lab.ask(server, monitor) == {"status": stopped}


async def test_each_slot_of_the_schedule_runs_once(lab: Lab) -> None:
    """Two Servers with a running Scheduler run a task once between them."""
    await eventually(lambda: len(lab.work("schedule")) >= 3)
    keys = [key for _, key in lab.work("schedule")]
    assert len(keys) == len(set(keys))


async def holder(lab: Lab) -> str | None:
    """Which Server has cluster1's Folder Monitor."""
    rows = await lab.sql("cluster1", "SELECT node FROM fm_heartbeat WHERE cluster = 'cluster1'")
    return rows[0][0] if rows else None


async def test_the_folder_monitor_moves_to_another_server(lab: Lab) -> None:
    """When its Server goes, another one takes over within the heartbeat's time."""
    lab.turn(folder_monitor_seconds=0.1)

    async def held() -> bool:
        return await holder(lab) is not None

    await eventually(held)
    first = await holder(lab)
    assert first in SERVERS
    second = next(server for server in SERVERS if server != first)
    await stop_monitor(lab, first)
    await lab.script(first, "stop_tm")
    inbox = lab.layout.cluster("cluster1").storage / "inbox"
    (inbox / "late").write_text("x")
    await eventually(lambda: lab.work("pickup") == [(second, "late")])


async def test_a_file_in_progress_is_in_the_queue_and_still_in_the_inbox(lab: Lab) -> None:
    """It is picked up once; a target that starts too early picks it up again."""
    storage = lab.layout.cluster("cluster1").storage
    for cluster in lab.layout.clusters:
        (cluster.storage / "inbox/job").write_text("x")
    await eventually(lambda: len(lab.work("pickup")) == 1)
    queue = await lab.sql("cluster1", "SELECT kind, path FROM event")
    assert queue == [("folder_monitor", "inbox/job")]
    assert (storage / "inbox/job").exists()
    await lab.schedule("cluster2-server1", "start", "FolderMonitor")
    await eventually(lambda: len(lab.work("pickup", "cluster2")) == 1)
    await eventually((storage / "done/job").exists)
    assert not (storage / "inbox/job").exists()

    async def empty() -> bool:
        return await lab.sql("cluster1", "SELECT 1 FROM event") == []

    await eventually(empty)
    assert len(lab.work("pickup")) == 1


async def test_a_stopped_folder_monitor_finishes_its_file(lab: Lab) -> None:
    """The stop shows at once, the work in progress ends later."""
    storage = lab.layout.cluster("cluster1").storage
    (storage / "inbox/job").write_text("x")
    await eventually(lambda: len(lab.work("pickup")) == 1)
    for server in SERVERS:
        await lab.schedule(server, "stop", "FolderMonitor")
    assert (storage / "inbox/job").exists()
    await eventually((storage / "done/job").exists)


async def test_an_edge_streams_to_any_transaction_manager(lab: Lab) -> None:
    """With one down the other serves; with none a transfer fails."""
    await stop_monitor(lab, *SERVERS)
    async with lab.visit(EDGE) as client:
        for number, server in enumerate(SERVERS):
            async with client.open(f"file{number}", "wb") as file:
                await file.write(b"x")
            await lab.script(server, "stop_tm")
        with pytest.raises(asyncssh.SFTPFailure):
            await client.open("file2", "wb")
    assert not await lab.serves(EDGE)
    assert await lab.serves("cluster2-edge1")


async def test_a_server_uses_only_its_own_transaction_manager(lab: Lab) -> None:
    """A Server's protocol servers fail when its own TM is down."""
    await stop_monitor(lab, SERVERS[0])
    await lab.script(SERVERS[0], "stop_tm")
    assert not await lab.serves(SERVERS[0])
    assert await lab.serves(SERVERS[1])


async def test_an_upload_queues_an_event_that_any_server_works_off(lab: Lab) -> None:
    """Each upload is worked off once; Servers share the queue."""
    for number in range(6):
        await lab.put(EDGE, f"file{number}")
    await eventually(lambda: len(lab.work("event")) == 6)
    keys = [key for _, key in lab.work("event")]
    assert len(set(keys)) == 6
    assert await lab.sql("cluster1", "SELECT 1 FROM event WHERE kind = 'post_processing'") == []


async def test_the_last_transaction_manager_strands_the_queue(lab: Lab) -> None:
    """One Server processes what another has not; after the last one it stays."""
    await stop_monitor(lab, *SERVERS)
    await lab.script(SERVERS[0], "stop_tm")
    await lab.sql(
        "cluster1", "INSERT INTO event VALUES (gen_random_uuid(), 'post_processing', 'a')"
    )
    await eventually(lambda: len(lab.work("event")) == 1)
    await lab.script(SERVERS[1], "stop_tm -g -timeout 30")
    await eventually(lambda: lab.effects(SERVERS[1], "tm") == ["drain", "stopped"])
    await lab.sql(
        "cluster1", "INSERT INTO event VALUES (gen_random_uuid(), 'post_processing', 'b')"
    )
    queue = await lab.ask(SERVERS[0], "events?limit=1&fields=id")
    assert queue["resultSet"]["totalCount"] == 1
    await lab.script(SERVERS[1], "start_tm")
    await eventually(lambda: len(lab.work("event")) == 2)


async def test_a_graceful_stop_finishes_the_work_in_progress(lab: Lab) -> None:
    """Post-processing that has begun is finished before the TM stops."""
    lab.turn(event_seconds=1.0)
    await stop_monitor(lab, *SERVERS)
    await lab.script(SERVERS[1], "stop_tm")
    await lab.put(EDGE, "file")
    folder = lab.layout.cluster("cluster1").storage / "accounts" / PARTNER
    await eventually(lambda: bool(list(folder.glob(".*m_inproc"))))
    await lab.script(SERVERS[0], "stop_tm -g -timeout 60")
    assert lab.effects(SERVERS[0], "tm") == ["drain"]
    await eventually(lambda: lab.effects(SERVERS[0], "tm") == ["drain", "stopped"])
    assert len(lab.work("event")) == 1
    assert not list(folder.glob(".*m_inproc"))


async def test_a_stop_with_work_active_leaves_orphans(lab: Lab) -> None:
    """After an immediate stop ``*.m_inproc`` and an In Progress record remain."""
    lab.turn(event_seconds=30.0)
    await stop_monitor(lab, *SERVERS)
    await lab.script(SERVERS[1], "stop_tm")
    folder = lab.layout.cluster("cluster1").storage / "accounts" / PARTNER
    async with lab.visit(EDGE) as client:
        upload = await client.open("half", "wb")
        await upload.write(b"half")
        await lab.put(EDGE, "whole")
        await eventually(lambda: len(list(folder.glob(".*m_inproc"))) == 2)

        async def both_in_progress() -> bool:
            found = await lab.sql(
                "cluster1", "SELECT path FROM transferdata WHERE status = 'In Progress'"
            )
            return sorted(found) == [("half",), ("whole",)]

        await eventually(both_in_progress)
        await lab.script(SERVERS[0], "stop_tm -g -timeout 29")
        with pytest.raises(asyncssh.SFTPFailure):
            await upload.close()
    assert await both_in_progress()
    assert len(list(folder.glob(".*m_inproc"))) == 2
    assert not (folder / "half").exists()


async def test_records_are_written_to_the_local_database_only(lab: Lab) -> None:
    """Transfers and audit entries of cluster1 are not in cluster2's database."""
    await lab.put(EDGE, "file", b"content")
    question = "SELECT path, node, direction, status, sha256, bytes FROM transferdata"
    digest = hashlib.sha256(b"content").hexdigest()

    async def written() -> bool:
        expected = [("file", EDGE, "upload", "Processed", digest, 7)]
        return await lab.sql("cluster1", question) == expected

    await eventually(written)
    async with lab.admin(SERVERS[0]) as client:
        path = "configurations/options/Some.Option"
        assert (await client.patch(path, json={"values": ["1"]})).status_code == 204
    (entry,) = (await lab.ask(SERVERS[1], "logs/audit"))["result"]
    assert (entry["operationType"], entry["objectName"]) == ("UPDATE", "Some.Option")
    assert await lab.sql("cluster2", question) == []
    assert (await lab.ask("cluster2-server1", "logs/audit"))["result"] == []
    own = await lab.ask(SERVERS[0], f"logs/transfers?account={PARTNER}&accountName=ignored")
    assert own["resultSet"]["totalCount"] == 1
    assert (await lab.ask(EDGE, "logs/transfers"))["resultSet"]["totalCount"] == 0


async def test_transfers_are_filtered_and_sorted_as_asked(lab: Lab) -> None:
    """By account, status and time; an unknown parameter is ignored, another date is refused."""
    begun = datetime(2026, 11, 27, 12, tzinfo=UTC)
    for number in range(12):
        status = "In Progress" if number == 3 else "Processed"
        values = uuid4(), f"partner_{number % 2}", f"{number}.dat", status
        at = begun + timedelta(seconds=number)
        await lab.sql(
            "cluster1",
            "INSERT INTO transferdata (id, account, path, protocol, direction, status, started) "
            "VALUES (%s, %s, %s, 'ssh', 'upload', %s, %s)",
            *values,
            at,
        )

    async def listed(query: str) -> list[str]:
        found = await lab.ask(SERVERS[0], f"logs/transfers?{query}")
        return [item["filename"] for item in found["result"]]

    names = [f"{number}.dat" for number in range(12)]
    assert sorted(await listed("")) == sorted(names)
    assert await listed("") != names
    assert await listed("sortByStartTime=ascending&limit=5&offset=4") == names[4:9]
    assert await listed("sortByStartTime=descending&limit=3") == names[:-4:-1]
    assert await listed("account=PARTNER_1&sortByStartTime=ascending") == names[1::2]
    assert len(await listed("account=partner*")) == len(names)
    assert await listed("account=partner*1&status=In%20Progress") == ["3.dat"]
    assert await listed("account=p_rtner_1") == []
    since = quote(format_datetime(begun + timedelta(seconds=9)))
    assert await listed(f"startTimeAfter={since}&sortByStartTime=ascending") == names[9:]
    assert len(await listed("accountName=nobody")) == len(names)
    [item] = (await lab.ask(SERVERS[0], "logs/transfers?status=In%20Progress"))["result"]
    assert (item["incoming"], item["protocol"]) == (True, "SSH")
    assert item["startTime"] == format_datetime(begun + timedelta(seconds=3))
    assert item["id"]["urlrepresentation"]
    async with lab.admin(SERVERS[0]) as client:
        for wrong in ("transfers?startTimeAfter", "audit?fromDate"):
            assert (await client.get(f"logs/{wrong}=2026-11-27T12:00:00Z")).status_code == 400


async def test_the_audit_log_shows_the_newest_first(lab: Lab) -> None:
    """From and until a date; an operation that does not exist is refused."""
    begun = datetime(2026, 11, 27, 12, tzinfo=UTC)
    for number in range(4):
        await lab.sql(
            "cluster1",
            "INSERT INTO auditlog (id, operation_type, object_type, object_name, user_name, at) "
            "VALUES (%s, %s, 'Account', %s, 'admin1', %s)",
            uuid4(),
            "CREATE" if number == 0 else "UPDATE",
            f"object{number}",
            begun + timedelta(seconds=number),
        )

    async def listed(query: str) -> list[str]:
        found = await lab.ask(SERVERS[0], f"logs/audit?{query}")
        return [item["objectName"] for item in found["result"]]

    assert await listed("limit=3") == ["object3", "object2", "object1"]
    since, until = (quote(format_datetime(begun + timedelta(seconds=s))) for s in (1, 2))
    assert await listed(f"fromDate={since}&endDate={until}") == ["object2", "object1"]
    assert await listed("operationType=CREATE") == ["object0"]
    assert await listed("userName=min1&objectName=object2&objectType=Account") == ["object2"]
    assert await listed("objectType=account") == []
    async with lab.admin(SERVERS[0]) as client:
        assert (await client.get("logs/audit?operationType=RENAME")).status_code == 400


async def test_a_lost_client_leaves_no_file_and_a_failed_record(lab: Lab) -> None:
    """An upload whose client disconnects does not count as complete."""
    connection: asyncssh.SFTPClient
    async with lab.visit(EDGE) as connection:
        upload = await connection.open("half", "wb")
        await upload.write(b"half")

    async def failed() -> bool:
        return await lab.sql("cluster1", "SELECT path, status FROM transferdata") == [
            ("half", "Failed")
        ]

    await eventually(failed)
    folder = lab.layout.cluster("cluster1").storage / "accounts" / PARTNER
    assert list(folder.iterdir()) == []


async def test_downloads_and_other_operations_work_over_both_protocols(
    lab: Lab, tmp_path: Path
) -> None:
    """A file stored over one protocol is read over the other; a wrong login is refused."""
    async with lab.visit(EDGE) as sftp, lab.web("cluster1-server2") as web:
        content = bytes(range(256)) * 2000
        assert (await web.put("/files/big", content=content)).status_code == 201
        await sftp.get("big", tmp_path / "big")
        assert (tmp_path / "big").read_bytes() == content
        await sftp.put(tmp_path / "big", "copy")
        assert (await web.get("/files/copy")).content == content
        await sftp.remove("copy")
        await sftp.rename("big", "renamed")
        assert [name for name in await sftp.listdir(".") if name not in (".", "..")] == ["renamed"]
        assert (await web.get("/files/renamed")).content == content
        assert (await web.get("/files/")).json() == ["renamed"]
        await sftp.mkdir("folder")
        await sftp.rmdir("folder")
        assert (await web.delete("/files/renamed")).status_code == 204
        assert (await web.get("/files/renamed")).status_code == 404
        assert not await sftp.exists("renamed")
        assert (await web.get("/files/", auth=(PARTNER, "wrong"))).status_code == 401
        assert (await web.get("/other")).status_code == 404
    with pytest.raises(asyncssh.PermissionDenied):
        async with lab.visit(EDGE, "unknown"):
            await asyncio.sleep(0)
