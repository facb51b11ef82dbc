"""A lab starts, returns to its baseline, and stops without a trace."""

import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
import yaml

from lab.environment.baseline import differences
from lab.environment.lab import Lab, claimed_block
from lab.environment.load_balancers.hosts_file import HostsFileLoadBalancer
from lab.environment.situation import SWITCHED_OUT
from lab.simulation_options import SimulationOptions
from tests.support.polling import eventually

REPOSITORY = Path(__file__).parents[3]


@contextmanager
def another_lab(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """A small lab in a process of its own, ready."""
    words = ["-m", "lab", "up", "--servers", "1", "--edges", "0", "--dir", str(directory)]
    with subprocess.Popen(
        [sys.executable, *words], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == f"ready: {directory}/estates/lab.yaml\n"
            yield process
        finally:
            process.kill()


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """A lab's process and everything it has started."""
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a zombie does not."""
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


async def run(*words: object) -> None:
    """Run a script of a simulated machine."""
    process = await asyncio.create_subprocess_exec(
        *map(str, words), stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0


async def test_a_lab_comes_up_in_its_baseline(whole_lab: Lab) -> None:
    """Exactly the baseline runs, and nothing is recorded yet."""
    assert await whole_lab.at_baseline() == []
    assert await differences(whole_lab.layout) == []


async def wreck(lab: Lab) -> None:
    """Change everything that switchovers may change."""
    layout = lab.layout
    one, two = layout.clusters
    await run(one.servers[0].home / "bin/stop_all")
    await run(two.edges[0].home / "bin/stop_sshd", "-g", "-timeout", "600")
    (one.nodes[1].ledger / "claims").mkdir(parents=True)
    (two.storage / "inbox/job").write_text("job")
    SimulationOptions(monitor_interval=9).write(layout.simulation)
    HostsFileLoadBalancer(lab.layout).hosts_file.write_text("127.0.0.1 localhost\n")
    async with await psycopg.AsyncConnection.connect(two.dsn, autocommit=True) as connection:
        await connection.execute("DELETE FROM account")
        await connection.execute("ALTER SUBSCRIPTION cluster1_to_cluster2 DISABLE")


async def test_a_reset_mends_everything_in_place(whole_lab: Lab) -> None:
    """Whatever was done, seconds later it is the baseline again, under the same addresses."""
    await wreck(whole_lab)
    assert len(await whole_lab.at_baseline()) >= 8
    different = "\n".join(await differences(whole_lab.layout))
    for place in ("cluster1-server1", "cluster2-edge1", "database2", "loadbalancer1"):
        assert place in different

    began = time.monotonic()
    await whole_lab.reset()
    took = time.monotonic() - began

    assert await whole_lab.at_baseline() == []
    assert took < 6  # two seconds on a machine that has nothing else to do


async def test_a_reset_can_leave_one_cluster_drained(whole_lab: Lab) -> None:
    """Within seconds it is as a switchover leaves it, and a reset brings the baseline back."""
    began = time.monotonic()
    await whole_lab.reset(SWITCHED_OUT)
    took = time.monotonic() - began

    assert await differences(whole_lab.layout, SWITCHED_OUT) == []
    different = "\n".join(await differences(whole_lab.layout))
    for sign in (
        "cluster1-server1: runs nothing",
        "cluster2-server2: schedules folder_monitor, scheduler",
        "database1: cluster2_to_cluster1 is disabled",
        "loadbalancer1: etc/hosts is not the one for traffic to cluster1",
    ):
        assert sign in different
    assert took < 6  # two seconds on a machine that has nothing else to do
    await whole_lab.reset()
    assert await whole_lab.at_baseline() == []


async def test_a_killed_lab_leaves_no_process(whole_lab: Lab) -> None:
    """Two labs live at once; SIGKILL ends all of one and nothing of the other."""
    with (
        tempfile.TemporaryDirectory(prefix="lab-killed-") as directory,
        another_lab(Path(directory)) as other,
    ):
        members = family(other)
        assert len(members) > 10
        other.kill()

        async def have_ended() -> bool:
            return alive(members) == []

        await eventually(have_ended)

    assert await whole_lab.at_baseline() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_lab(tmp_path: Path, number: signal.Signals) -> None:
    """It ends cleanly, also where its databases cannot use its directory."""
    tmp_path.chmod(0o700)
    with another_lab(tmp_path / "lab") as other:
        members, block = family(other), block_of(tmp_path / "lab")
        assert list(Path(tempfile.gettempdir()).glob(f"switchover-lab-{block}*"))
        other.send_signal(number)

        assert other.wait(10) == 0
        assert alive(members) == []
    assert list(Path(tempfile.gettempdir()).glob(f"switchover-lab-{block}*")) == []


def block_of(directory: Path) -> str:
    """The block of addresses that a lab has claimed."""
    estate = yaml.safe_load((directory / "estates/lab.yaml").read_text())
    address: str = estate["load_balancer"]["hosts"][0]["address"]
    return address.rpartition(".")[0]


def test_a_block_is_owned_once() -> None:
    """A second lab gets another block."""
    with claimed_block() as one, claimed_block() as two:
        assert one != two
