"""Faults that are planted in a living estate are found by the console; a sample of them all.

``python -m lab readiness`` plants every one.
"""

from __future__ import annotations

import json

from lab.campaigns.preflight_faults.registry import BY_NAME, Garden
from tests.support.console import Operator
from tests.support.whole_lab import House
from workflows.preflight import catalogue

FOUND = 6
SAMPLE = (
    "ssh_access_refused",
    "script_missing",
    "kills_user_processes",
    "conf_differs",
    "options_differ",
    "accounts_differ",
    "target_edge_login_fails",
    "edges_by_address",
    "replication_not_running",
    "storage_differs",
)
CHECK = ("check", "lab", "--from", "cluster1", "--to", "cluster2", "--json")

UNPLANTED = {
    # Each only says that something could not be read, and comes with several of the faults above.
    *("no_reading", "reading_unusable", "access_refused", "configuration_unreadable"),
    "temporal_unreadable",
    # What an interrupted switchover leaves: tests of recognition bring it about.
    *("half_switched", "already_switched_over"),
}


async def test_what_is_planted_is_found(house: House) -> None:
    """By name and place, with an exit code that says so; without a fault nothing is found."""
    garden = Garden(house.lab.layout)
    operator = Operator(house.address)
    async with house.worker() as worker:
        await worker.says("ready")
        clean = await operator.types(*CHECK)
        assert (clean.code, json.loads(clean.out)["findings"]) == (0, [])
        for name in SAMPLE:
            _, place = await garden.sow(name)
            answer = await operator.types(*CHECK)
            await garden.clear()
            findings = json.loads(answer.out)["findings"]
            places = [finding["place"] for finding in findings if finding["name"] == name]
            assert answer.code == FOUND
            assert any(found.startswith(place) for found in places), (name, findings)
    assert house.effects() == []


def test_there_is_a_fault_for_every_check() -> None:
    """The lab's names and the product's are the same, though neither knows the other."""
    assert set(BY_NAME) | UNPLANTED == set(catalogue.BY_NAME)
    assert not set(BY_NAME) & UNPLANTED
