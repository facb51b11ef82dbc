"""Drivers from outside the product, for both ports, take part in a whole switchover."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError
from temporalio import activity
from temporalio.client import Client

from activities.replication.activities import ReplicationLinks
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from starter.estate_schema import estate_schema
from tests.support import estates
from tests.support.fake_activities import FakeActivities
from tests.support.memory_replication import MemoryDatabases, MemoryReplication
from tests.support.run import Run, at_work, new_run
from tests.support.switches_load_balancer import Switchboard, SwitchesDriver, SwitchesLoadBalancer
from workflows.errors import NotReady
from workflows.model import actions
from workflows.model.estate import Estate
from workflows.model.objections import objections_in
from workflows.model.observations import ReplicationReading, TrafficReading
from workflows.model.results import Report
from workflows.model.stages import StageName
from workflows.planning.rollback import Baseline, plan_rollback
from workflows.planning.switchover import plan_switchover
from workflows.ports.load_balancer import TrafficInput
from workflows.ports.replication import ReplicationInput

SWITCHES = ("switch1", "switch2")
THERE, BACK = "cluster1_to_cluster2", "cluster2_to_cluster1"


def load_balancer(**changes: object) -> dict[str, Any]:
    """Return the key of the estate, as an operator would write it."""
    return {
        "driver": "switches",
        "switches": list(SWITCHES),
        "commands": {c: ["turn", "--to", c] for c in ("cluster1", "cluster2")},
        "probes": estates.written()["load_balancer"]["probes"],
        **changes,
    }


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
    return {"driver": "memory", "links": links}


class OtherDrivers(FakeActivities):
    """Activities that redirect and replicate through the drivers; the model follows."""

    def __init__(self, estate: Estate) -> None:
        super().__init__(estate)
        self.board = Switchboard(dict.fromkeys(SWITCHES, "cluster1"))
        self.databases = MemoryDatabases(enabled={THERE, BACK})
        self.accepted: set[tuple[str, ...]] = set()
        self.links = ReplicationLinks(
            Secrets({}), Shell(Secrets({})), {MemoryReplication: self.databases.driver}
        )

    def driver(self, given: TrafficInput[Any]) -> SwitchesDriver:
        """Return the driver of the load balancer that came with the input."""
        assert isinstance(given.load_balancer, SwitchesLoadBalancer)
        return SwitchesDriver(given.load_balancer, self.board)

    @activity.defn
    async def observe_traffic(self, given: TrafficInput[actions.ObserveTraffic]) -> TrafficReading:
        """Read the switches; logins land as the model has it."""
        reading = await super().observe_traffic(given)
        state = await self.driver(given).observe(given)
        return reading.model_copy(update={"destinations": state.destinations})

    @activity.defn
    async def redirect(self, given: TrafficInput[actions.Redirect]) -> Report:
        """Turn the switches."""
        await super().redirect(given)
        return await self.driver(given).redirect(given)

    @activity.defn
    async def observe_replication(
        self, given: ReplicationInput[actions.ObserveReplication]
    ) -> ReplicationReading:
        """Read the databases."""
        await super().observe_replication(given)
        return await self.links.observe_replication(given)

    @activity.defn
    async def suspend_replication(
        self, given: ReplicationInput[actions.SuspendReplication]
    ) -> Report:
        """Run the command."""
        await super().suspend_replication(given)
        return await self.links.suspend_replication(given)

    @activity.defn
    async def verify_no_conflicts(
        self, given: ReplicationInput[actions.VerifyNoConflicts]
    ) -> Report:
        """Compare the databases."""
        self.accepted.add(given.accepted)
        await super().verify_no_conflicts(given)
        return await self.links.verify_no_conflicts(given)

    @activity.defn
    async def resume_replication(
        self, given: ReplicationInput[actions.ResumeReplication]
    ) -> Report:
        """Run the command."""
        await super().resume_replication(given)
        return await self.links.resume_replication(given)


@pytest.fixture
async def run(temporal: Client) -> AsyncIterator[Run]:
    """A run of an estate with the other drivers."""
    run = new_run(temporal, load_balancer=load_balancer(), replication=replication())
    run.fakes = OtherDrivers(run.fakes.estate)
    async with at_work(run):
        yield run


def drivers(run: Run) -> OtherDrivers:
    """Return the activities of a run."""
    assert isinstance(run.fakes, OtherDrivers)
    return run.fakes


async def test_a_switchover_suspends_both_links_and_turns_every_switch_once(run: Run) -> None:
    """With the commands that the estate names, and after the checks of where traffic goes."""
    await run.start()
    await run.ends("completed")
    assert run.fakes.world.violations == []
    assert sorted(drivers(run).board.commands) == [f"turn --to cluster2 {s}" for s in SWITCHES]
    assert sorted(drivers(run).databases.commands) == ["repl stop 12", "repl stop 21"]


async def test_a_step_of_a_redirect_begins_when_the_one_before_has_succeeded(
    temporal: Client,
) -> None:
    """Nothing waits, with replication off, for what has failed already."""
    in_turn = load_balancer(in_turn=True)
    run = new_run(temporal, load_balancer=in_turn, replication=replication())
    run.fakes = OtherDrivers(run.fakes.estate)
    run.fakes.failures["redirect.switch1.cluster2"] = [NotReady("not now")]
    async with at_work(run):
        await run.start()
        await run.waits("decision")
        assert drivers(run).board.commands == []
        await run.says("retry", stage="redirect_traffic", by="test")
        await run.ends("completed")
    assert drivers(run).board.commands == [f"turn --to cluster2 {one}" for one in SWITCHES]


@pytest.mark.parametrize("in_turn", [False, True])
def test_an_undo_has_the_steps_of_the_redirect(*, in_turn: bool) -> None:
    """What the others follow goes back first, too."""
    estate = estates.estate(load_balancer=load_balancer(in_turn=in_turn))
    plan = plan_switchover(estate, estates.request())
    redirects = [a for a in plan.stage(StageName.REDIRECT_TRAFFIC).actions if a.undo is not None]
    begun = {StageName.REDIRECT_TRAFFIC: tuple(redirects)}
    [undo] = plan_rollback(plan, begun, Baseline(assume_all_ran=True))
    back = [tuple(a.place for a in wave if a.kind == "redirect") for wave in undo.waves]
    assert [places for places in back if places] == [*estate.load_balancer.steps]
    assert len(estate.load_balancer.steps) == 1 + in_turn


async def test_a_rollback_resumes_nothing_where_both_sides_wrote_the_same_rows(run: Run) -> None:
    """Neither link; the operator sees the rows, removes the conflict, and decides `retry`."""
    run.fakes.failures["stop_scheduling.cluster1-server1"] = [NotReady("not now")]
    databases = drivers(run).databases
    await run.start()
    await run.waits("decision")
    databases.pending = {THERE: ["both", "mine"], BACK: ["both"]}
    await run.says("roll_back", by="test", reason="not now")
    progress = await run.reaches(lambda p: "both sides wrote" in str(p.waiting))
    assert f"{THERE}: both sides wrote the same rows: both" in str(progress.waiting)
    assert databases.enabled == set()
    assert set(drivers(run).board.turned_to.values()) == {"cluster1"}
    databases.pending[BACK] = []
    await run.says("retry", stage="suspend_replication", by="test")
    await run.ends("rolled_back")
    assert databases.enabled == {THERE, BACK}


async def test_a_comparison_knows_what_was_accepted(run: Run) -> None:
    """A driver that cannot compare resumes only where whoever started the run accepted that."""
    run.fakes.failures["stop_scheduling.cluster1-server1"] = [NotReady("not now")]
    await run.start(accept={"conflicts_not_told": "nobody writes there"})
    await run.waits("decision")
    await run.says("roll_back", by="test", reason="not now")
    await run.ends("rolled_back")
    assert drivers(run).accepted == {("conflicts_not_told",)}


async def test_traffic_that_is_not_on_the_source_stops_the_run(run: Run) -> None:
    """The core judges a driver's reading without knowing the driver."""
    drivers(run).board.turned_to["switch2"] = "cluster2"
    await run.start()
    assert "switch2 leads to cluster2" in await run.failure()
    assert drivers(run).board.commands == []


@pytest.mark.parametrize(
    ("part", "written", "kind", "keys"),
    [
        (
            "load_balancer",
            load_balancer(),
            SwitchesLoadBalancer,
            {"hosts_file": "names", "switches": "switches"},
        ),
        (
            "replication",
            replication(),
            MemoryReplication,
            {"postgresql": "lag_limit", "memory": "links"},
        ),
    ],
)
def test_an_estate_keeps_every_key_of_the_driver(
    part: str, written: dict[str, Any], kind: type, keys: dict[str, str]
) -> None:
    """As a file, inside the plan, and in the JSON schema."""
    estate = Estate.model_validate(estates.written() | {part: written})
    assert isinstance(getattr(estate, part), kind)
    assert Estate.model_validate_json(estate.model_dump_json()) == estate
    schema = estate_schema()
    named = {f"#/$defs/{name}": one for name, one in schema["$defs"].items()}
    choices = [named.get(one.get("$ref"), one) for one in schema["properties"][part]["anyOf"]]
    found = {choice["properties"]["driver"]["const"]: choice["properties"] for choice in choices}
    assert set(found) >= set(keys)
    assert all(key in found[driver] for driver, key in keys.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"driver": "pigeons"}, "load_balancer.driver: write 'hosts_file' or "),
        ({"switches": []}, "load_balancer.switches: "),
        ({"colour": "red"}, "load_balancer.colour: there is no such key"),
        ({"commands": {"cluster1": []}}, "load_balancer.commands has none for cluster2"),
    ],
)
def test_a_mistake_is_refused_by_its_key(changes: dict[str, Any], message: str) -> None:
    """By the keys of the driver that the estate names."""
    with pytest.raises(ValidationError) as refused:
        estates.estate(load_balancer=load_balancer(**changes))
    assert message in objections_in(refused.value)
