"""A worker near a cluster: what it has, what it needs, and what keeps it from starting."""

from pathlib import Path

import pytest
import yaml
from temporalio.client import Client

from tests.support import estates
from tests.support.fake_activities import FakeActivities
from tests.support.seal_keys import KEYS
from tests.support.worker_process import worker_process
from worker.seal_keys import read_seal_keys, shared_seal_keys
from worker.startup_errors import StartupError
from worker.worker import ON_NODES, build_cluster_worker
from workflows.model.task_queues import TASK_QUEUE

HOOK = {"url": "env:SWITCHOVER_HOOK", "secret": "env:SWITCHOVER_HOOK_SECRET"}


@pytest.fixture
def arguments(tmp_path: Path) -> tuple[str, ...]:
    """Those of a worker near cluster1, with the key file that a main worker has made."""
    given = estates.written(webhook=HOOK)
    given["clusters"][0]["task_queue"] = "near"
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("password: *hunter2\n", encoding="utf-8")
    keys = tmp_path / "keys" / "seal-keys"
    read_seal_keys(keys)
    records = tmp_path / "records"
    return ("--estates", str(tmp_path), "--records", str(records), "--seal-keys", str(keys))


def address_of(client: Client) -> str:
    """Return the address that a client is connected to."""
    address: str = client.service_client.config.target_host
    return address


def test_it_runs_no_workflow_and_only_what_is_done_on_nodes(temporal: Client) -> None:
    """What concerns an estate as a whole, or the records of its runs, is never its own."""
    fakes = FakeActivities(estates.estate())
    worker = build_cluster_worker(temporal, "near", fakes.activities, KEYS)
    given = worker.config()
    assert given["task_queue"] == "near"
    assert not given.get("workflows")
    has = {activity.__name__ for activity in given.get("activities", ())}
    assert has == ON_NODES
    assert {"observe_node", "stop_gracefully", "try_login", "await_queue"} <= has
    assert not {"make_plan", "redirect", "suspend_replication", "notify", "read_records"} & has


async def test_it_says_which_clusters_it_is_for(
    temporal: Client, arguments: tuple[str, ...]
) -> None:
    """It needs no secret of the estate's webhook; a broken file is warned of."""
    address = address_of(temporal)
    more = ("--task-queue", "near")
    async with worker_process(*arguments, *more, TEMPORAL_ADDRESS=address) as worker:
        assert await worker.says("ready: ") == (
            f"ready: worker on task queue near at {address} (namespace default), "
            "clusters: cluster1 of lab"
        )
        assert await worker.stops() == 0
    [warned] = [line for line in worker.lines if "WARNING worker:" in line]
    assert "broken.yaml is not a usable estate" in warned


async def test_a_queue_that_no_estate_names_is_warned_of(
    temporal: Client, arguments: tuple[str, ...]
) -> None:
    """A name with a mistake would otherwise poll in silence."""
    given = {"TEMPORAL_ADDRESS": address_of(temporal), "SWITCHOVER_TASK_QUEUE": "naer"}
    async with worker_process(*arguments, **given) as worker:
        assert (await worker.says("ready: ")).endswith("clusters: none yet")
        assert await worker.stops() == 0
    assert any("gives a cluster the task queue naer, so nothing" in line for line in worker.lines)


@pytest.mark.parametrize("name", ["dmz frankfurt", "", "-x", "x" * 101, "/_sys/near"])
async def test_what_is_no_name_of_a_queue_is_one_sentence(
    name: str, arguments: tuple[str, ...]
) -> None:
    """The same as in an estate file."""
    given = {"TEMPORAL_ADDRESS": "127.0.0.1:1", "SWITCHOVER_TASK_QUEUE": name}
    async with worker_process(*arguments, **given) as worker:
        assert await worker.ends() == 2
    [line] = worker.lines
    assert line.startswith("--task-queue: write the name of a task queue: letters, digits")


async def test_the_main_worker_is_not_behind_jump_hosts(arguments: tuple[str, ...]) -> None:
    """What it reaches stands on both sides of them."""
    more, given = ("--behind-jump-hosts", "yes"), {"TEMPORAL_ADDRESS": "127.0.0.1:1"}
    async with worker_process(*arguments, *more, **given) as worker:
        assert await worker.ends() == 2
    [line] = worker.lines
    assert line.startswith("--behind-jump-hosts: the main worker reaches load balancers")


async def test_the_main_queue_may_be_named(temporal: Client, arguments: tuple[str, ...]) -> None:
    """It is the main worker then, as without the option."""
    more, address = ("--task-queue", TASK_QUEUE), address_of(temporal)
    hook = {"SWITCHOVER_HOOK": "https://hook.example.com", "SWITCHOVER_HOOK_SECRET": "hunter2"}
    async with worker_process(*arguments, *more, TEMPORAL_ADDRESS=address, **hook) as worker:
        assert (await worker.says("ready: ")).endswith("estates: lab")
        assert await worker.stops() == 0


def test_keys_of_its_own_are_not_made(tmp_path: Path) -> None:
    """No other worker would believe it: the main worker's file is needed."""
    file = tmp_path / "seal-keys"
    with pytest.raises(StartupError, match="copy the file from the main worker") as refusal:
        shared_seal_keys(file)
    assert str(file) in str(refusal.value)
    assert not file.exists()
    made = read_seal_keys(file)
    assert shared_seal_keys(file) == made


async def test_without_the_key_file_it_does_not_start(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """One sentence, exit code 2, before it asks Temporal for anything."""
    more = ("--task-queue", "near", "--seal-keys", str(tmp_path / "nowhere"))
    async with worker_process(*arguments, *more, TEMPORAL_ADDRESS="127.0.0.1:1") as worker:
        assert await worker.ends() == 2
    assert worker.lines[-1].startswith("--seal-keys: there is no ")
