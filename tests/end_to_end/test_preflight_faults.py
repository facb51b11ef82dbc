"""The console reports faults that are injected into a running estate: a sample of all faults.

``python -m lab readiness`` injects every one.
"""

import json

from lab.campaigns.preflight_faults.registry import FaultRegistry
from tests.support.console import Operator
from tests.support.whole_lab import House

FOUND = 6
SAMPLE = ("target_edge_login_fails", "sticky_entries")
CHECK = ("check", "lab", "--from", "cluster1", "--to", "cluster2", "--json")


async def test_injected_faults_are_reported(house: House) -> None:
    """By name and place, with exit code 6; before and after them nothing is found."""
    registry = FaultRegistry(house.lab.layout)
    operator = Operator(house.address)
    async with house.worker() as worker:
        await worker.says("ready")
        await finds_nothing(operator)
        for name in SAMPLE:
            _, place = await registry.inject(name)
            answer = await operator.types(*CHECK)
            await registry.revert_all()
            findings = json.loads(answer.out)["findings"]
            places = [finding["place"] for finding in findings if finding["name"] == name]
            assert answer.code == FOUND
            assert any(found.startswith(place) for found in places), (name, findings)
        await finds_nothing(operator)
    assert house.effects() == []


async def finds_nothing(operator: Operator) -> None:
    """Check an estate without a fault."""
    answer = await operator.types(*CHECK)
    assert (answer.code, json.loads(answer.out)["findings"]) == (0, [])
