"""A sample of what `scripts/prove` does exhaustively: faults of all kinds, taken back."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = (
    "stop_monitors:cluster1-edge1:lost",
    "suspend_replication:database2:unknown",
    "redirect_traffic:loadbalancer1:refused",
    "stop_scheduling:gate:rejected",
    "start_scheduling:cluster2-server1:unreachable",
    "drain_protocol_servers:cluster1-edge1:refused:retry",
    "drain_protocol_servers:cluster1-server1:lost:roll-back",
)


@pytest.mark.timeout(600)
async def test_whatever_fails_is_taken_back(tmp_path: Path) -> None:
    """Every kind of fault, a rejected gate, and both answers after the point of no return."""
    result = tmp_path / "undo.json"
    only = [word for case in CASES for word in ("--only", case)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lab", "undo", "--labs", "3", "--json", str(result), *only),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    seen = json.loads(result.read_text(encoding="utf-8"))
    assert seen["as_wished"] == seen["cases"] == len(CASES)
    assert seen["outcomes"] == {"rolled_back": len(CASES) - 1, "completed": 1}
    assert seen["totals"]["traffic.failed"] == 0
    assert seen["totals"]["traffic.straddling"] > 0
