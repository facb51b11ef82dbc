"""Options that the demo refuses."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.__main__ import app
from lab.node.windows.toolchain import missing

REPOSITORY = Path(__file__).parents[2]
HAS_WINE = pytest.mark.skipif(missing() is not None, reason=missing() or "wine is there")


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
        (("--literal", "--load-balancer", "commands"), "--literal edits a hosts file"),
        (("--literal", "--fail", "redirect_traffic:loadbalancer1:lost"), "--literal drives"),
        (("--round-trip", "--literal"), "--round-trip goes with neither"),
        (("--literal", "--jump-host"), "no --jump-host and no --run-as"),
        (("--literal", "--worker-per-cluster"), "--literal starts no worker"),
        (
            ("--load-balancer", "dns", "--fail", "redirect_traffic:loadbalancer1:lost"),
            "redirect_traffic never acts on loadbalancer1; it acts on dns",
        ),
        (
            ("--replication", "commands", "--fail", "suspend_replication:database1:lost"),
            "suspend_replication never acts on database1; it acts on loadbalancer1",
        ),
        (("--replication", "commands", "--literal"), "it goes with no other"),
        (("--literal", "--run-as"), "no --jump-host and no --run-as"),
        pytest.param(("--windows", "--literal"), "nor with --windows", marks=HAS_WINE),
        pytest.param(("--windows", "--unkind", "1"), "--unkind brings shells", marks=HAS_WINE),
        pytest.param(("--windows", "--run-as"), "Windows has not", marks=HAS_WINE),
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
