"""A change of the configuration that was recorded, and what is known of it later."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from temporalio.client import WorkflowHandle

from tests.support.run import Run
from workflows.model.configuration import ConfigurationChange, ConfigurationRecord, PartDigest
from workflows.model.freeze import FreezeRequest
from workflows.model.stages import StageName

DRAIN = "await_sessions.cluster1-edge1"


def change(item: str = "option Ssh.Port", place: str = "cluster1-server1") -> ConfigurationChange:
    """Return a change that the audit log knows."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return ConfigurationChange(place=place, item=item, what="changed", seen_at=at, by="eve", at=at)


CHANGE = change()
TEXT = "cluster1-server1: option Ssh.Port changed by eve at 2026-01-01 00:00:00 UTC"
LEFT = ConfigurationRecord(
    since=CHANGE.seen_at,
    watched_until=CHANGE.seen_at,
    parts={"cluster1-server1 option": PartDigest(items=1, digest="0", buckets="0000")},
    changes=(CHANGE,),
)


async def draining(run: Run) -> None:
    """Start a run that waits for sessions until the test lets it go on."""
    run.fakes.held[DRAIN] = asyncio.Event()
    await run.start()
    await run.reaches(lambda p: p.stage is StageName.DRAIN_PROTOCOL_SERVERS)


def freeze(run: Run) -> WorkflowHandle[Any, ConfigurationRecord]:
    """Return the Freeze of the run's estate."""
    return run.client.get_workflow_handle(
        f"freeze-{run.fakes.estate.name}", result_type=ConfigurationRecord
    )


async def frozen(run: Run, *, changes: int) -> FreezeRequest:
    """Wait until the Freeze has recorded so many changes, and return its status."""
    for _ in range(200):
        found: FreezeRequest = await freeze(run).query("status", result_type=FreezeRequest)
        if len(found.record.changes) == changes:
            return found
        await asyncio.sleep(0.1)  # between two questions
    raise AssertionError(found)
