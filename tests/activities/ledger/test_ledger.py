"""The ledger makes an effect happen once, however often it is attempted, whatever process dies."""

# ruff: noqa: ASYNC240 - the files are small, and nothing else runs

import asyncio
import os
import shutil
import signal
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from activities.ledger.ledger import Ledger, succeeded
from activities.ledger.posix import parse_record
from activities.ledger.script import CLAIM, DETACHED
from activities.ledger.store import LedgerRecord
from tests.activities.conftest import NodeMaker
from tests.support.ledger_tasks import BOOT, SHELLS, shell_words, task, until, word, writing
from tests.support.ssh_machines import SshServer
from tests.support.unix_machines import LOGIN_SHELLS, UnixMachine
from workflows.errors import CommandFailed, Lost, NotReady, OutcomeUnknown
from workflows.model.estate import Node


async def test_eight_attempts_side_by_side_run_it_once_and_report_the_same(
    node: Node, ledger: Ledger, ran: Path
) -> None:
    """However many attempts race, there is one execution, and all report the same."""
    wanted = task(writing(ran, "sleep 0.5; echo done; exit 3"))
    records = await asyncio.gather(*(ledger.run_once(node, wanted) for _ in range(8)))
    assert ran.read_text() == "ran\n"
    assert {(r.status, r.output, r.at) for r in records} == {(3, "done", records[0].at)}


@pytest.mark.parametrize("sh", SHELLS)
async def test_real_processes_race_for_one_claim(sh: str, tmp_path: Path, ran: Path) -> None:
    """Under every POSIX shell here, eight processes that claim at once are one execution."""
    ledger = tmp_path / "ledger"
    arguments = [str(ledger), "op.1", "ssh", BOOT, "60", "exit", "-"]
    detached = [*shell_words(sh), "-c", DETACHED, "switchover", *arguments]
    racing = [
        await asyncio.create_subprocess_exec(
            *detached, word(), *writing(ran), stdout=asyncio.subprocess.PIPE
        )
        for _ in range(8)
    ]
    printed = [(await process.communicate())[0] for process in racing]
    assert printed == [b""] * 8
    assert ran.read_text() == "ran\n"
    assert sorted(p.name for p in (ledger / "claims").iterdir()) == ["1"]
    [status] = (ledger / "op.1").glob("*/status")
    assert status.read_text().startswith("0 ")


@pytest.mark.parametrize("sh", SHELLS)
async def test_different_operations_on_one_service_never_overlap(
    sh: str, tmp_path: Path, ran: Path
) -> None:
    """Of several operations that claim a service at once, one runs and the others read why not."""
    ledger = tmp_path / "ledger"
    racing = [
        await asyncio.create_subprocess_exec(
            *(*shell_words(sh), "-c", DETACHED, "switchover", str(ledger), f"op.{number}", service),
            *(BOOT, "60", "exit", "-", word(), *writing(ran, "sleep 1")),
            stdout=asyncio.subprocess.PIPE,
        )
        for number, service in enumerate(("ssh", "all", "ssh", "all", "ssh", "ssh"))
    ]
    printed = sorted([(await process.communicate())[0].split()[:1] for process in racing])
    assert printed == [[], *[[b"busy"]] * 5]
    assert ran.read_text() == "ran\n"


async def test_a_killed_process_is_lost_and_stays_lost(
    node: Node, ledger: Ledger, ran: Path
) -> None:
    """A claim whose process is gone is never taken up again: its outcome is unknown for good."""
    wanted = task(writing(ran, "sleep 30"))
    waiting = asyncio.create_task(ledger.run_once(node, wanted))
    await until(ran)
    pid = int((Path(node.ledger) / "claims/1").read_text().split()[2])
    os.killpg(pid, signal.SIGKILL)
    first, second = await waiting, await ledger.run_once(node, wanted)
    assert first.lost
    assert second.lost
    assert first.at == second.at
    with pytest.raises(Lost, match="its process is gone"):
        succeeded(first, node.name)
    assert ran.read_text() == "ran\n"


def busy(record: LedgerRecord) -> str:
    """Return the operation that keeps the service busy."""
    assert record.busy is not None
    return record.busy.operation


async def test_a_pending_stop_is_waited_for(node: Node, ledger: Ledger, tmp_path: Path) -> None:
    """The next operation on a service begins after its pending graceful stop has completed."""
    stop = task(("true",), operation="stop", completes_on="deadline", within=5)
    start = task(("true",), operation="start")
    await ledger.run_once(node, stop)
    assert busy(await ledger.read(node, start)) == "stop"
    began = (await ledger.run_once(node, start)).claim
    pending = (await ledger.read(node, stop)).claim
    assert began is not None
    assert pending is not None
    assert began.began >= pending.deadline
    assert began.may_change_until == pending.deadline


async def test_another_service_is_not_kept_waiting(node: Node, ledger: Ledger) -> None:
    """A pending stop keeps its own service busy, and actions on all services."""
    await ledger.run_once(node, task(("true",), operation="stop", completes_on="deadline"))
    other = await ledger.read(node, task(("true",), operation="other", service="http"))
    everything = await ledger.read(node, task(("true",), operation="all", service="all"))
    assert other.busy is None
    assert busy(everything) == "stop"


async def test_one_that_does_not_end_is_named(node: Node, ledger: Ledger, tmp_path: Path) -> None:
    """An operation that runs far beyond its deadline is refused to be waited for, by name."""
    stuck = task(("sleep", "3"), operation="stuck", within=-60)
    await ledger.claim(node, stuck)
    with pytest.raises(NotReady, match="stuck still runs on ssh"):
        await ledger.claim(node, task(("true",), operation="next"))


async def test_one_with_a_limit_keeps_others_waiting_no_longer(
    node: Node, ledger: Ledger, ran: Path
) -> None:
    """It still runs, but what follows it does not depend on its end."""
    hanging = task(("sleep", "30"), operation="hanging", completes_on="limit", within=5)
    await ledger.claim(node, hanging)
    following = task(writing(ran), operation="following")
    assert busy(await ledger.read(node, following)) == "hanging"
    await ledger.run_once(node, following)
    assert ran.read_text() == "ran\n"
    assert (await ledger.read(node, hanging)).living


async def test_a_ledger_that_cannot_be_written_is_refused_before_any_effect(
    node_maker: NodeMaker, ledger: Ledger, tmp_path: Path, ran: Path
) -> None:
    """Nothing happens that could not be recorded."""
    (tmp_path / "file").write_text("in the way")
    node = node_maker(ledger=str(tmp_path / "file" / "ledger"))
    with pytest.raises(NotReady, match="cannot be written: no directory"):
        await ledger.claim(node, task(writing(ran)))
    assert not ran.exists()


async def test_a_full_disk_is_refused_before_any_effect(
    node: Node, ledger: Ledger, ssh_server: SshServer, tmp_path: Path, ran: Path
) -> None:
    """A disk without room for the outcome is as good as none."""
    limited = tmp_path / "sh"
    # A limit of four kilobytes a file, with its signal ignored, fails like a disk that is full.
    limited.write_text('#!/bin/sh\ntrap "" XFSZ\nulimit -f 8\nexec /bin/sh "$@"\n')
    limited.chmod(0o755)
    ssh_server.sh = str(limited)
    with pytest.raises(NotReady, match="no room"):
        await ledger.claim(node, task(writing(ran)))
    assert not ran.exists()
    ssh_server.sh = "/bin/sh"
    assert (await ledger.run_once(node, task(writing(ran)))).status == 0


async def test_the_ledger_is_made_private(node: Node, ledger: Ledger, tmp_path: Path) -> None:
    """The directory is made when it is missing, for its owner alone; what is started is not."""
    inherited = await ledger.run_once(node, task(("sh", "-c", "umask")))
    assert (await asyncio.to_thread(Path(node.ledger).stat)).st_mode & 0o777 == 0o700
    assert inherited.output != "0077"


async def test_without_setsid_it_detaches_all_the_same(tmp_path: Path) -> None:
    """A machine without setsid uses nohup; the caller gets no output and need not wait."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in (
        "sh",
        "cat",
        "date",
        "dd",
        "id",
        "ls",
        "ln",
        "mkdir",
        "mv",
        "nohup",
        "rm",
        "sleep",
    ):
        (tools / name).symlink_to(shutil.which(name) or name)
    ledger, ran = tmp_path / "ledger", tmp_path / "ran"
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", CLAIM, "switchover", DETACHED, str(ledger), "op", "ssh", BOOT),
        *("60", "exit", "-", "word", *writing(ran, "sleep 1")),
        env={"PATH": str(tools)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert (await process.communicate())[0] == b""
    assert not (ledger / "op/word/status").exists()
    await until(ledger / "op/word/status")
    assert ran.read_text() == "ran\n"


@pytest.mark.parametrize("login", [*LOGIN_SHELLS, "sh"])
@pytest.mark.parametrize("kind", ["dash-others", "ksh93-busybox", "mksh-busybox"])
async def test_it_is_kept_through_every_login_shell(  # noqa: PLR0913, PLR0917 - fixtures
    login: str,
    kind: str,
    node: Node,
    ledger: Ledger,
    ssh_server: SshServer,
    tmp_path: Path,
    ran: Path,
) -> None:
    """That shell starts ``sh``, which is another one; four attempts run a command once."""
    ssh_server.sh = UnixMachine.of(tmp_path, kind).login_shell(login)
    wanted = task(writing(ran, "echo done; exit 3"))
    records = await asyncio.gather(*(ledger.run_once(node, wanted) for _ in range(4)))
    assert ran.read_text() == "ran\n"
    assert {(r.status, r.output) for r in records} == {(3, "done")}
    stop = task(("true",), operation="stop", completes_on="deadline")
    await ledger.run_once(node, stop)
    assert busy(await ledger.read(node, task(("true",), operation="start"))) == "stop"
    await ledger.settle(node, stop)
    assert (await ledger.read(node, task(("true",), operation="start"))).busy is None


@pytest.mark.parametrize("wait", [0, 0.001, 0.002, 0.003, 0.004, 0.006, 0.008])
async def test_killed_anywhere_it_is_never_claimed_without_having_run(
    wait: float, node: Node, ledger: Ledger, ran: Path
) -> None:
    """Kill the caller's processes at any instant: the effect happened once, or can still happen."""
    wanted = task(writing(ran))
    place = (node.ledger, wanted.operation, wanted.service, node.boot_id)
    arguments = (*place, "60", "exit", "-", word())
    caller = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", CLAIM, "switchover", DETACHED, *arguments, *wanted.command.argv),
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    await asyncio.sleep(wait)
    with suppress(ProcessLookupError):
        os.killpg(caller.pid, signal.SIGKILL)
    await caller.wait()
    record = await ledger.run_once(node, wanted)
    assert record.status == 0
    assert ran.read_text() == "ran\n"


def test_a_command_that_said_no_is_a_failure_with_its_words() -> None:
    """The operator reads what the vendor's script printed."""
    now = datetime.now(UTC)
    claim = parse_record(
        "now 10\nmay_change_until 0\nclaim op ssh 1 b 2 10 20 exit 0 -\nliving no\nstatus 1 12\n"
        "output\nNo licence.\n\nend\n",
        "server1",
    )
    assert claim.output == "No licence."
    with pytest.raises(CommandFailed, match=r"ended with 1: No licence\."):
        succeeded(claim, "server1")
    with pytest.raises(Lost):
        succeeded(LedgerRecord(now=now, may_change_until=now), "server1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now 1\n",
        "now x\nmay_change_until 0\n\nend\n",
        "now 1\n\nend\n",
        "refused no boot id\n",
        "now 1\nmay_change_until 0\nclaim too short\nliving no\noutput\n\nend\n",
    ],
)
def test_a_ledger_that_cannot_be_read_settles_nothing(text: str) -> None:
    """Half an answer is no answer."""
    with pytest.raises(OutcomeUnknown):
        parse_record(text, "server1")
