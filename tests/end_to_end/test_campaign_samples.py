"""A sample of what `scripts/prove` does exhaustively: crashes and rollbacks.

One file, so that these do not run side by side: each has several estates of its own.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.campaigns.crash.points import KINDS

ROOT = Path(__file__).parents[2]
POINTS = 8
CASE = "drain_protocol_servers:cluster1-server1:lost:roll-back"


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
    """Worker, server, network and a node, killed at points of every kind during switchovers."""
    seen = await sampled(tmp_path / "crash.json", "1", "crash", "--points", str(POINTS))
    assert sum(seen["points"].values()) >= POINTS
    assert all(seen["points"][kind] for kind in KINDS)
    assert seen["completed"] == seen["runs"]


@pytest.mark.timeout(900)
async def test_whatever_fails_is_rolled_back(tmp_path: Path) -> None:
    """A fault after the point of no return; most is rolled back then."""
    seen = await sampled(tmp_path / "rollback.json", "1", "rollback", "--only", CASE)
    assert seen["as_expected"] == seen["cases"] == 1
    assert seen["outcomes"] == {"rolled_back": 1}
    assert seen["totals"]["traffic.failed"] == 0
    assert seen["totals"]["traffic.straddling"] > 0
