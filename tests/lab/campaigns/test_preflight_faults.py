"""Every injected fault changes the lab, and leaves it in its baseline when it is reverted."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from lab import records
from lab.campaigns.preflight_faults import (
    configuration,
    databases,
    load_balancer,
    nodes,
    services,
    storage,
)
from lab.campaigns.preflight_faults.campaign import FaultResult, FaultState
from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.campaigns.preflight_faults.registry import BY_NAME, FaultRegistry
from lab.campaigns.preflight_faults.unit_tests import LISTS, UNIT_TESTS
from lab.environment.lab import Lab
from lab.product_driver import ReadinessAnswer
from lab.simulation_options import SimulationOptions
from lab.subprocesses import REPOSITORY
from tests.support.polling import eventually
from workflows.preflight import catalogue

FAULTS = (
    *nodes.FAULTS,
    *services.FAULTS,
    *configuration.FAULTS,
    *load_balancer.FAULTS,
    *storage.FAULTS,
    *databases.FAULTS,
)
FAULT = BY_NAME["service_unreadable"]
BAD_INPUT = 2


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_changes_the_lab_until_it_is_reverted(
    whole_lab: Lab, fault: InjectedFault
) -> None:
    """It leaves no effect, and afterwards the lab is in its baseline."""
    layout = whole_lab.layout
    await fault.inject(layout, fault.place)
    try:
        differs = await whole_lab.at_baseline()
    finally:
        await fault.revert(layout, fault.place)
    # A session is no difference that would outlast it.
    assert differs or fault.name == "target_has_sessions"

    assert [*records.read(layout.effects)] == []
    layout.sessions.unlink(missing_ok=True)  # the fault's own
    assert await whole_lab.at_baseline() == []


async def test_a_missing_storage_is_not_an_empty_one(whole_lab: Lab) -> None:
    """The files of the other side stay, and are synced when the storage is back."""
    layout, fault = whole_lab.layout, BY_NAME["storage_unreadable"]
    one, two = (cluster.storage / "done/file" for cluster in layout.clusters)
    one.write_bytes(b"kept")
    await eventually(two.exists)

    await fault.inject(layout, fault.place)
    await asyncio.sleep(1)
    there = one.exists()
    await fault.revert(layout, fault.place)

    assert there
    assert two.read_bytes() == b"kept"


def test_every_check_is_proven_by_a_fault_or_by_a_unit_test() -> None:
    """The lab's names are the product's; each unit test exists, and its file names the check."""
    assert set(BY_NAME) | set(UNIT_TESTS) == set(catalogue.BY_NAME)
    assert not set(BY_NAME) & set(UNIT_TESTS)
    for name, (file, test) in UNIT_TESTS.items():
        text = (REPOSITORY / file).read_text(encoding="utf-8")
        assert f"def {test}(" in text
        stem = re.sub("_differs?$", "", name)
        assert name in LISTS or re.search(rf'[".]{stem}', text), name


async def command(*arguments: str) -> tuple[int, str, str]:
    """Run the command; return its exit code, its output and its errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lab", "inject", *arguments),
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_fault_is_injected_and_reverted_from_another_terminal(whole_lab: Lab) -> None:
    """Each command is a process of its own; the lab records what is injected."""
    here = ("--dir", str(whole_lab.layout.root))

    code, out, _ = await command(FAULT.name, *here, "--at", "cluster1-edge1")
    assert (code, out) == (0, f"cluster1-edge1: {FAULT.name}: {FAULT.description}\n")
    assert "cluster1-edge1" in SimulationOptions.read(whole_lab.layout.simulation).faults
    assert FaultRegistry(whole_lab.layout).injected == [(FAULT.name, "cluster1-edge1")]
    code, _, error = await command(FAULT.name, *here, "--at", "cluster1-edge1")
    assert (code, error.count("\n")) == (BAD_INPUT, 1)
    assert "is already injected at cluster1-edge1" in error

    code, out, _ = await command("--clear", *here)
    assert code == 0
    assert "1 fault reverted" in out
    assert await whole_lab.at_baseline() == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("nonsense",), "there is no fault nonsense"),
        ((FAULT.name, "--at", "database1"), "cannot be injected at database1"),
        ((FAULT.name, "--at", "cluster1-edge9"), "has no place cluster1-edge9"),
        ((), "give one fault"),
        ((FAULT.name, "--clear"), "give one fault"),
    ],
)
async def test_what_cannot_be_injected_is_refused(
    whole_lab: Lab, arguments: tuple[str, ...], expected: str
) -> None:
    """In one sentence, and nothing is changed."""
    code, out, error = await command(*arguments, "--dir", str(whole_lab.layout.root))

    assert (code, out) == (BAD_INPUT, "")
    assert expected in error
    assert error.count("\n") == 1
    assert FaultRegistry(whole_lab.layout).injected == []


async def test_where_no_lab_runs_nothing_is_injected(tmp_path: Path) -> None:
    """The message names the command that starts one."""
    code, _, error = await command(FAULT.name, "--dir", str(tmp_path))

    assert code == BAD_INPUT
    assert f"no lab runs in {tmp_path}; start one with `python -m lab up`" in error


def found(name: str, place: str, *, code: int = 6) -> ReadinessAnswer:
    """The console's answer with one finding."""
    finding = {"name": name, "place": place, "seen": "an | older one", "severity": "blocks"}
    return ReadinessAnswer(code, (finding,), 3.5)


def test_a_fault_counts_as_found_by_its_name_at_its_place() -> None:
    """Another name or place, or exit code 0, does not count."""
    good = FaultResult.of(FAULT, FAULT.place, found(FAULT.name, FAULT.place))
    assert good.found
    assert FaultResult.of(FAULT, "cluster2", found(FAULT.name, "cluster2-server1")).found
    for answer in (
        found("taeh_differs", FAULT.place),
        found(FAULT.name, "cluster1-server1"),
        found(FAULT.name, FAULT.place, code=0),
        ReadinessAnswer(-1, (), 60.0, "no answer"),
    ):
        assert not FaultResult.of(FAULT, FAULT.place, answer).found

    clean, noisy = ReadinessAnswer(0, (), 3.0), found("taeh_differs", FAULT.place)
    missed = FaultResult.of(FAULT, FAULT.place, noisy)
    assert list(FaultState(1.0, [clean], [good]).problems()) == []
    assert "check 1 of the clean" in "".join(FaultState(1.0, [noisy], [good]).problems())
    assert "was not found" in "".join(FaultState(1.0, [clean], [missed]).problems())
    assert list(FaultState().problems()) == ["nothing was checked"]
