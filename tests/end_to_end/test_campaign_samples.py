"""A sample of what `scripts/prove` does exhaustively: crashes of both procedures, unkind estates.

One file, so that these do not run side by side: each has several estates of its own.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SAMPLE_SEED

ROOT = Path(__file__).parents[2]
SWITCHOVER_POINTS = {
    "before_effect": "any.1",
    "network": "any.30",
    "after_effect": "any.60",
    "history_event": "260",
    "freeze": "any.100",
    "reset": "any.140",
    "server": "any.180",
    "reboot": "cluster1-server1",
}
"""One of each kind, all in one run: the first request after it, if another attack is under way."""
REJOIN_POINTS = {"before_effect": "any.1", "after_effect": "any.60", "reboot": "cluster1-server1"}
"""A worker that dies before and after a request, and a node that reboots as it starts."""
SAMPLES = (("switchover", SWITCHOVER_POINTS), ("rejoin", REJOIN_POINTS))


async def sampled(result: Path, labs: str, *arguments: str) -> dict[str, Any]:
    """Run a campaign of the lab that must find nothing wrong; return what it found."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lab", *arguments, "--labs", labs, "--json", str(result)),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    text = await asyncio.to_thread(result.read_text, encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.timeout(900)
async def test_whatever_is_killed_no_step_is_repeated_or_missed(tmp_path: Path) -> None:
    """Worker, server, network and nodes: during a switchover, every other time during a rejoin."""
    procedure, kinds = SAMPLES[int(os.environ[SAMPLE_SEED]) % len(SAMPLES)]
    points = "+".join(f"{kind}@{trigger}" for kind, trigger in kinds.items())
    argv = ("crash", "--procedure", procedure, "--replay", f"1:{points}")
    seen = await sampled(tmp_path / "crash.json", "1", *argv)
    assert seen["procedure"] == procedure
    assert {kind: seen["points"][kind] for kind in kinds} == dict.fromkeys(kinds, 1)
    assert seen["completed"] == seen["runs"] == 1


@pytest.mark.timeout(900)
async def test_an_estate_is_switched_over_as_a_site_has_it(tmp_path: Path) -> None:
    """Another one in every run of the tests: shells, banners, limits, scripts and answers."""
    seed = os.environ[SAMPLE_SEED]
    seen = await sampled(tmp_path / "unkind.json", "1", "unkind", "--seeds", "1", "--first", seed)
    assert [str(row["seed"]) for row in seen["rows"]] == [seed]
    assert seen["completed"] == 1
