"""Can a fault be planted from another terminal, and is a campaign of all of them judged rightly?"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from lab.campaigns.markdown import between, markers
from lab.campaigns.preflight_faults.campaign import Results, Row
from lab.campaigns.preflight_faults.registry import BY_NAME, FaultRegistry
from lab.campaigns.preflight_faults.table import NAME, lines
from lab.environment.lab import Lab
from lab.product_driver import ReadinessAnswer
from lab.simulation_options import SimulationOptions
from lab.subprocesses import REPOSITORY

FAULT = BY_NAME["version_differs"]
BAD_INPUT = 2


async def plant(*words: str) -> tuple[int, str, str]:
    """Type the command; return its exit code and what it says and complains of."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lab", "plant", *words),
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_fault_is_planted_and_cleared_from_another_terminal(whole_lab: Lab) -> None:
    """Each command is a process of its own; the lab remembers what stands."""
    here = ("--dir", str(whole_lab.layout.root))

    code, said, _ = await plant(FAULT.name, *here, "--at", "cluster1-server1")
    assert (code, said) == (0, f"cluster1-server1: {FAULT.name}: {FAULT.words}\n")
    assert "cluster1-server1" in SimulationOptions.read(whole_lab.layout.simulation).faults
    assert FaultRegistry(whole_lab.layout).injected == [(FAULT.name, "cluster1-server1")]
    code, _, complaint = await plant(FAULT.name, *here, "--at", "cluster1-server1")
    assert (code, complaint.count("\n")) == (BAD_INPUT, 1)
    assert "is planted at cluster1-server1 already" in complaint

    code, said, _ = await plant("--clear", *here)
    assert code == 0
    assert "1 fault taken out" in said
    assert await whole_lab.at_baseline() == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("nonsense",), "there is no fault nonsense"),
        ((FAULT.name, "--at", "database1"), "cannot be planted at database1"),
        ((FAULT.name, "--at", "cluster1-server9"), "has no place cluster1-server9"),
        ((), "name one fault"),
        ((FAULT.name, "--clear"), "name one fault"),
    ],
)
async def test_what_cannot_be_planted_is_refused(
    whole_lab: Lab, words: tuple[str, ...], complaint: str
) -> None:
    """In one sentence, and nothing is left of it."""
    code, said, complained = await plant(*words, "--dir", str(whole_lab.layout.root))

    assert (code, said) == (BAD_INPUT, "")
    assert complaint in complained
    assert complained.count("\n") == 1
    assert FaultRegistry(whole_lab.layout).injected == []


async def test_where_no_lab_runs_nothing_is_planted(tmp_path: Path) -> None:
    """And the sentence says what would start one."""
    code, _, complained = await plant(FAULT.name, "--dir", str(tmp_path))

    assert code == BAD_INPUT
    assert f"no lab runs in {tmp_path}; start one with `python -m lab up`" in complained


def found(name: str, place: str, *, code: int = 6) -> ReadinessAnswer:
    """What the console says of one finding."""
    finding = {"name": name, "place": place, "seen": "an | older one", "severity": "blocks"}
    return ReadinessAnswer(code, (finding,), 3.5)


def test_a_fault_counts_as_found_by_its_name_at_its_place() -> None:
    """Another name or place, or a console that exits as if all were well, does not do."""
    assert Row.of(FAULT, FAULT.place, found(FAULT.name, FAULT.place)).found
    assert Row.of(FAULT, "cluster2", found(FAULT.name, "cluster2-server1")).found
    for checked in (
        found("taeh_differs", FAULT.place),
        found(FAULT.name, "cluster1-server1"),
        found(FAULT.name, FAULT.place, code=0),
        ReadinessAnswer(-1, (), 60.0, "no answer"),
    ):
        assert not Row.of(FAULT, FAULT.place, checked).found


def test_what_is_found_on_a_clean_estate_is_a_problem() -> None:
    """As is a fault that was missed, and a campaign that tried nothing."""
    clean, row = (
        ReadinessAnswer(0, (), 3.0),
        Row.of(FAULT, FAULT.place, found(FAULT.name, FAULT.place)),
    )
    missed = Row.of(FAULT, FAULT.place, found("taeh_differs", FAULT.place))

    assert list(Results([clean], [row]).problems()) == []
    noisy = Results([found("taeh_differs", FAULT.place)], [row])
    assert "look 1 at the clean estate" in "".join(noisy.problems())
    assert "was not found" in "".join(Results([clean], [missed]).problems())
    assert list(Results().problems()) == ["nothing was tried"]


def test_the_table_lists_what_was_planted_and_what_was_seen() -> None:
    """A pipe in what was seen does not end its cell."""
    results = Results(
        [ReadinessAnswer(0, (), 3.0)], [Row.of(FAULT, FAULT.place, found(FAULT.name, FAULT.place))]
    )
    begin, end = markers(NAME)

    text = between(f"{begin}\n{end}\n", NAME, lines(results.as_json(), "scripts/prove"))

    cells = (f"`{FAULT.name}`", f"`{FAULT.place}`", FAULT.words, "an \\| older one", "blocks")
    assert f"| {' | '.join(cells)} |" in text
    assert "1 of 1 faults were found" in text
    assert "`scripts/prove`," in text
