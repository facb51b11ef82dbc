"""Options that the demo refuses, and the verdict on the vendor's procedure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.__main__ import app

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fail", "everything"), "--fail everything: 'everything' is no stage"),
        (("--fail", "stop_monitors:database1:lost"), "stop_monitors never acts on database1"),
        (("--fail", "stop_monitors:cluster1-edge1:bad"), "'bad' is no kind of fault"),
        (("--answer", "retry"), "it needs --fail"),
        (
            ("--fail", "redirect_traffic:loadbalancer1:lost", "--answer", "retry"),
            "rolls back by itself",
        ),
        (("--literal", "--fail", "redirect_traffic:loadbalancer1:lost"), "--literal drives"),
    ],
)
def test_what_cannot_be_demonstrated_is_refused(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    """In one sentence, and before anything is started."""
    demo = CliRunner().invoke(app, ["demo", "--dir", str(tmp_path / "lab"), *options])

    assert demo.exit_code == 2
    assert message in demo.stderr
    assert len(demo.stderr.splitlines()) == 1
    assert not (tmp_path / "lab").exists()


@pytest.mark.timeout(170)
def test_the_literal_procedure_fails_transfers(tmp_path: Path) -> None:
    """Without a wait for sessions, clients between two files fail: the checker counts them."""
    verdict_file = tmp_path / "verdict.json"
    words = ["demo", "--literal", "--json", str(verdict_file), "--dir", str(tmp_path / "lab")]

    demo = subprocess.run(
        [sys.executable, "-m", "lab", *words],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
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
