"""`switchover plan` on a running estate that the worker cannot write to."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from lab import records
from tests.support.console import Operator
from tests.support.directories import fresh_directory
from tests.support.read_only_lab import Apart, lab_apart
from tests.support.worker_process import worker_process

MOVE = ("--from", "cluster1", "--to", "cluster2")
CHANGES = (
    *("stop_monitor", "suspend_replication", "redirect", "stop_scheduling", "start_scheduling"),
    *("stop_gracefully", "stop_transaction_manager", "stop_remaining"),
)
"""Kinds of actions whose desired state does not hold on an estate in its baseline."""

UNWRITABLE = {"ledger_not_writable", "hosts_file_not_writable", "host_ledger_not_usable"}


@pytest.fixture
async def apart() -> AsyncIterator[Apart]:
    """A lab of its own."""
    root = fresh_directory()
    async with lab_apart(root) as apart:
        yield apart
    await asyncio.to_thread(shutil.rmtree, root)


async def reviewed(apart: Apart, address: str, place: Path) -> dict[str, Any]:
    """Have a worker and the console, both real processes, make a review."""
    estates = str(apart.layout.estate_file.parent)
    keys = str(apart.layout.keys)
    words = ("--estates", estates, "--records", str(place / "records"), "--secrets", keys)
    async with worker_process(*words, TEMPORAL_ADDRESS=address) as worker:
        await worker.says("ready")
        answer = await Operator(address).types("plan", "lab", *MOVE, "--json")
    assert answer.code == 0, answer.message
    read: dict[str, Any] = json.loads(answer.out)
    return read


async def test_a_plan_is_shown_of_an_estate_that_is_read_only(
    apart: Apart, temporal: Client, tmp_path: Path
) -> None:
    """Machines and storages are read-only: all is read and judged, and nothing was changed."""
    ledgers = [node.ledger for node in apart.layout.nodes]
    with apart.read_only() as locked:
        before = apart.files()
        assert not locked or all(apart.refuses(root / "anything") for root in apart.roots)
        read = await reviewed(apart, temporal.service_client.config.target_host, tmp_path)
        assert apart.files() == before
    steps = [(step["action"].partition(".")[0], step["holds"]) for step in read["steps"]]
    assert {step for step in steps if step[0] in CHANGES} == {(kind, False) for kind in CHANGES}
    # No write was tried: a refused marker file, for example, would be a finding.
    assert {f["name"] for f in read["findings"]} == (UNWRITABLE if locked else set())
    assert all(s["commands"] for s in read["steps"] if s["stage"] != "check_prerequisites")
    assert list(records.read(apart.layout.effects)) == []
    assert not any(ledger.exists() for ledger in ledgers)
    kept = tmp_path / "records/plans" / f"{read['hash']}.json"
    assert kept.exists()
