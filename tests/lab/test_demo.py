"""Does the vendor's page, followed to the letter, fail transfers, and does the demo say so?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]


@pytest.mark.timeout(170)
def test_the_literal_procedure_fails_transfers(tmp_path: Path) -> None:
    """Without a wait for sessions, clients that are between two files fail: the meter shows it."""
    verdict_file = tmp_path / "verdict.json"
    words = ["demo", "--literal", "--json", str(verdict_file), "--dir", str(tmp_path / "lab")]

    demo = subprocess.run(
        [sys.executable, "-m", "lab", *words], cwd=HERE, check=False, capture_output=True, text=True
    )

    assert demo.returncode == 1, demo.stdout + demo.stderr
    verdict = json.loads(verdict_file.read_text())
    assert verdict["traffic"]["failed"] > 0
    assert f"traffic: {verdict['traffic']['failed']} failed" in verdict["problems"]
    assert verdict["traffic"]["attempted"] >= 1000
    assert verdict["traffic"]["straddling"] > 0
    assert verdict["effects"]["recorded"] == verdict["effects"]["expected"] > 40
    assert verdict["invariants"]["samples"] > 1000
    assert verdict["stages"][0]["stage"] == "stop_monitors"
    assert str(verdict_file) in demo.stdout.replace("\n", "")
