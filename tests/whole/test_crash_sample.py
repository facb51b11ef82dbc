"""A sample of what `scripts/prove` does exhaustively: points of all kinds, on two estates."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from lab.crash.points import KINDS

ROOT = Path(__file__).parents[2]
POINTS = 24


@pytest.mark.timeout(600)
async def test_whatever_is_killed_no_step_is_repeated_or_missed(tmp_path: Path) -> None:
    """Worker, server, network and a node, killed at points of every kind during switchovers."""
    result = tmp_path / "crash.json"
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "lab",
            "crash",
            "--points",
            str(POINTS),
            "--labs",
            "3",
            "--json",
            str(result),
        ),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    seen = json.loads(result.read_text(encoding="utf-8"))
    assert sum(seen["points"].values()) >= POINTS
    assert all(seen["points"][kind] for kind in KINDS)
    assert seen["completed"] == seen["runs"]
    assert seen["resume_seconds"]["p50"] < 10
