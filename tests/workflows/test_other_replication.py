"""Drivers from outside the product, for both ports, take part in a whole switchover."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import Client

from activities.replication.activities import ReplicationLinks
from activities.transport.secrets import Secrets
from starter.estate_schema import estate_schema
from tests.support import estates
from tests.support.memory_replication import CommandReplication, MemoryDatabases
from tests.support.run import Run, at_work
from tests.workflows.test_other_load_balancer import CommandsHands, board, load_balancer
from workflows.errors import NotReady
from workflows.model.actions import (
    ObserveReplication,
    ResumeReplication,
    SuspendReplication,
    VerifyNoConflicts,
)
from workflows.model.estate import Estate
from workflows.model.observations import ReplicationReading
from workflows.model.results import Report
from workflows.ports.replication import ReplicationInput

THERE, BACK = "cluster1_to_cluster2", "cluster2_to_cluster1"


def replication() -> dict[str, Any]:
    """Return the key of the estate, as an operator would write it."""
    links = [
        {
            "name": f"cluster{a}_to_cluster{b}",
            "source": f"cluster{a}",
            "target": f"cluster{b}",
            "suspend": ["repl", "stop", f"{a}{b}"],
            "resume": ["repl", "start", f"{a}{b}"],
        }
        for a, b in ((1, 2), (2, 1))
    ]
    return {"driver": "commands", "links": links}


class OtherHands(CommandsHands):
    """Replicates and redirects through the drivers; all else is the model's."""

    def __init__(self, estate: Estate) -> None:
        super().__init__(estate)
        self.databases = MemoryDatabases(enabled={THERE, BACK})
        self.links = ReplicationLinks(Secrets({}), {CommandReplication: self.databases.driver})

    @activity.defn
    async def observe_replication(
        self, given: ReplicationInput[ObserveReplication]
    ) -> ReplicationReading:
        """Read the databases."""
        await super().observe_replication(given)
        return await self.links.observe_replication(given)

    @activity.defn
    async def suspend_replication(self, given: ReplicationInput[SuspendReplication]) -> Report:
        """Run the command, and let the model follow."""
        await super().suspend_replication(given)
        return await self.links.suspend_replication(given)

    @activity.defn
    async def verify_no_conflicts(self, given: ReplicationInput[VerifyNoConflicts]) -> Report:
        """Compare the databases."""
        await super().verify_no_conflicts(given)
        return await self.links.verify_no_conflicts(given)

    @activity.defn
    async def resume_replication(self, given: ReplicationInput[ResumeReplication]) -> Report:
        """Run the command, and let the model follow."""
        await super().resume_replication(given)
        return await self.links.resume_replication(given)


@pytest.fixture
async def run(temporal: Client) -> AsyncIterator[Run]:
    """A run of an estate with the other drivers."""
    changes: dict[str, Any] = {"load_balancer": load_balancer(), "replication": replication()}
    estate = estates.estate(name=f"lab-{uuid4().hex[:8]}", **changes)
    run = Run(temporal, estate)
    run.fakes = OtherHands(estate)
    async with at_work(run):
        yield run


def databases(run: Run) -> MemoryDatabases:
    """Return the databases of a run."""
    assert isinstance(run.fakes, OtherHands)
    return run.fakes.databases


async def test_a_switchover_suspends_both_links(run: Run) -> None:
    """With the commands that the estate names, before the switches are turned."""
    await run.start()
    assert (await run.outcome()).outcome == "completed"
    assert run.fakes.world.violations == []
    assert sorted(databases(run).commands) == ["repl stop 12", "repl stop 21"]
    assert len(board(run).commands) == 2


async def test_a_rollback_resumes_nothing_where_both_sides_wrote_the_same_rows(run: Run) -> None:
    """Neither link; the operator sees the rows, removes the conflict, and decides `retry`."""
    run.fakes.failures["stop_scheduling.cluster1-server1"] = [NotReady("not now")]
    await run.start()
    await run.waits("decision")
    databases(run).pending = {THERE: ["both", "mine"], BACK: ["both"]}
    await run.says("roll_back", by="test", reason="not now")
    progress = await run.reaches(lambda p: "both sides wrote" in str(p.waiting))
    assert progress.waiting is not None
    assert f"{THERE}: both sides wrote the same rows: both" in progress.waiting.message
    assert databases(run).enabled == set()
    databases(run).pending[BACK] = []
    await run.says("retry", stage="suspend_replication", by="test")
    assert (await run.outcome()).outcome == "rolled_back"
    assert databases(run).enabled == {THERE, BACK}


def test_an_estate_keeps_every_key_of_the_driver() -> None:
    """As a file, inside the plan, and in the JSON schema."""
    estate = estates.estate(replication=replication())
    assert isinstance(estate.replication, CommandReplication)
    assert Estate.model_validate_json(estate.model_dump_json()) == estate
    choices = estate_schema()["properties"]["replication"]["anyOf"]
    keys = {choice["properties"]["driver"]["const"]: choice["properties"] for choice in choices}
    assert set(keys) == {"postgresql", "commands"}
    assert "lag_limit" in keys["postgresql"]
