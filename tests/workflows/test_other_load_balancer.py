"""A load balancer driver from outside the product takes part in a whole switchover."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError
from temporalio import activity
from temporalio.client import Client

from starter.estate_schema import estate_schema
from tests.support import estates
from tests.support.commands_load_balancer import (
    CommandsDriver,
    CommandsLoadBalancer,
    Switchboard,
)
from tests.support.fake_activities import FakeActivities
from tests.support.run import Run, at_work
from workflows.errors import NotReady
from workflows.model.actions import ObserveTraffic, Redirect
from workflows.model.estate import Estate
from workflows.model.observations import TrafficReading
from workflows.model.request import objections_in
from workflows.model.results import Report
from workflows.ports.load_balancer import TrafficInput

SWITCHES = ("switch1", "switch2")


def load_balancer(**changes: object) -> dict[str, Any]:
    """Return the key of the estate, as an operator would write it."""
    commands = {cluster: ["turn", "--to", cluster] for cluster in ("cluster1", "cluster2")}
    probes = estates.written()["load_balancer"]["probes"]
    return {
        "driver": "commands",
        "switches": list(SWITCHES),
        "commands": commands,
        "probes": probes,
        **changes,
    }


class CommandsHands(FakeActivities):
    """Reads and redirects through the driver; all else is the model's."""

    def __init__(self, estate: Estate) -> None:
        super().__init__(estate)
        self.board = Switchboard(dict.fromkeys(SWITCHES, "cluster1"))

    def driver(self, given: TrafficInput[Any]) -> CommandsDriver:
        """Return the driver of the load balancer that came with the input."""
        assert isinstance(given.load_balancer, CommandsLoadBalancer)
        return CommandsDriver(given.load_balancer, self.board)

    @activity.defn
    async def observe_traffic(self, given: TrafficInput[ObserveTraffic]) -> TrafficReading:
        """Read the switch; logins land as the model has it."""
        reading = await super().observe_traffic(given)
        state = await self.driver(given).observe(given)
        return reading.model_copy(update={"destinations": state.destinations})

    @activity.defn
    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        """Turn the switch."""
        await super().redirect(given)
        return await self.driver(given).redirect(given)


@pytest.fixture
async def run(temporal: Client) -> AsyncIterator[Run]:
    """A run of an estate whose load balancer has the other driver."""
    estate = estates.estate(name=f"lab-{uuid4().hex[:8]}", load_balancer=load_balancer())
    run = Run(temporal, estate)
    run.fakes = CommandsHands(estate)
    async with at_work(run):
        yield run


def board(run: Run) -> Switchboard:
    """Return the switches of a run."""
    assert isinstance(run.fakes, CommandsHands)
    return run.fakes.board


async def test_a_switchover_turns_every_switch_once(run: Run) -> None:
    """With the commands that the estate names, after the checks of where traffic goes."""
    await run.start()
    outcome = await run.outcome()
    assert outcome.outcome == "completed"
    assert run.fakes.world.violations == []
    assert sorted(board(run).commands) == [f"turn --to cluster2 {switch}" for switch in SWITCHES]


async def test_a_rollback_turns_them_back(run: Run) -> None:
    """What was redirected is undone by the same driver."""
    run.fakes.failures["stop_scheduling.cluster1-server1"] = [NotReady("not now")]
    await run.start()
    await run.waits("decision")
    await run.says("roll_back", by="test", reason="not now")
    assert (await run.outcome()).outcome == "rolled_back"
    assert set(board(run).turned_to.values()) == {"cluster1"}


async def test_traffic_that_is_not_on_the_source_stops_the_run(run: Run) -> None:
    """The core judges a driver's reading without knowing the driver."""
    board(run).turned_to["switch2"] = "cluster2"
    await run.start()
    assert "switch2 leads to cluster2" in await run.failure()
    assert board(run).commands == []


def test_an_estate_keeps_every_key_of_the_driver() -> None:
    """As a file, inside the plan, and in the JSON schema."""
    estate = estates.estate(load_balancer=load_balancer())
    assert isinstance(estate.load_balancer, CommandsLoadBalancer)
    assert Estate.model_validate_json(estate.model_dump_json()) == estate
    choices = estate_schema()["properties"]["load_balancer"]["anyOf"]
    keys = {choice["properties"]["driver"]["const"]: choice["properties"] for choice in choices}
    assert set(keys) == {"hosts_file", "commands"}
    assert "switches" in keys["commands"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"driver": "dns"}, "load_balancer.driver: Input should be 'hosts_file' or 'commands'"),
        ({"switches": []}, "load_balancer.switches: "),
        ({"colour": "red"}, "load_balancer.colour: Extra inputs"),
        ({"commands": {"cluster1": []}}, "load_balancer.commands has none for cluster2"),
    ],
)
def test_a_mistake_is_refused_by_its_key(changes: dict[str, Any], message: str) -> None:
    """By the keys of the driver that the estate names."""
    with pytest.raises(ValidationError) as refused:
        estates.estate(load_balancer=load_balancer(**changes))
    assert message in objections_in(refused.value)
