"""The ledger on Windows, under wine's ``cmd.exe`` behind a real SSH server."""

import asyncio
import os
import time
from dataclasses import replace

import pytest

from activities.ledger import windows, windows_lines
from activities.ledger.ledger import Ledger, succeeded
from activities.ledger.store import LedgerRecord
from activities.ledger.windows import WindowsLedger
from activities.ledger.windows_lines import begin, launch
from activities.ledger.windows_state import WindowsClaim
from activities.transport.commands import command_line
from activities.transport.ssh import Shell
from tests.support.windows_machine import LASTS, WindowsMachine
from tests.support.wine import OWN_SID, PRIVATE, WindowsServer, needs_wine
from workflows.errors import Lost, NotReady, OutcomeUnknown

pytestmark = [needs_wine, pytest.mark.timeout(600)]
EARLIER = "other.stage.action.1 http 1000 2000 exit 0 - 00000000000000aa"
OLD = WindowsClaim(3, "run.stage.action.1", "ssh", 0, 0, "exit", 0, "-", "00000000000000bb")
EVERY_STEP = "EVERY_STEP" in os.environ
"""Whether a process is killed between any two steps, and not only where it matters most."""


async def test_a_command_runs_once_and_its_end_is_recorded(
    windows_machine: WindowsMachine, ledger: Ledger
) -> None:
    """Output, exit status and time are what every attempt reports."""
    wanted = windows_machine.task(then='echo done "a & b" 100%%\nexit 3')
    first = await ledger.run_once(windows_machine.node, wanted)
    second = await ledger.run_once(windows_machine.node, wanted)
    assert (first.status, first.output) == (3, 'done "a & b" 100%')
    assert first.ended is not None
    assert (first.at, first.output) == (second.at, second.output)
    assert windows_machine.runs() == 1


async def test_attempts_side_by_side_are_one_execution(
    windows_machine: WindowsMachine, ledger: Ledger
) -> None:
    """However many race, one of them runs it, and all report the same."""
    wanted = windows_machine.task(then="echo done")
    node = windows_machine.node
    records = await asyncio.gather(*(ledger.run_once(node, wanted) for _ in range(4)))
    assert windows_machine.runs() == 1
    assert {(r.status, r.output, r.at) for r in records} == {(0, "done", records[0].at)}
    assert windows_machine.claims == ["0", "1"]


async def test_operations_on_one_service_never_overlap(
    windows_machine: WindowsMachine, shell: Shell
) -> None:
    """Of several that claim at once one runs, and the others are told which one."""
    store, wanted = WindowsLedger(shell), windows_machine.task(then=LASTS)
    racing = [replace(wanted, operation=f"op.{turn}") for turn in range(3)]
    racing[1] = replace(racing[1], service="all")
    told = await asyncio.gather(*(store.begin(windows_machine.node, one) for one in racing))
    assert told.count(None) == 1
    winner = racing[told.index(None)].operation
    assert {busy.operation for busy in told if busy is not None} == {winner}
    await windows_machine.running()
    assert windows_machine.runs() == 1
    await windows_machine.kill_detached()


async def test_a_killed_process_is_lost(windows_machine: WindowsMachine, ledger: Ledger) -> None:
    """Its directory can be removed, which tells that it does not live; it is never begun again."""
    wanted, node = windows_machine.task(then=LASTS), windows_machine.node
    waiting = asyncio.create_task(ledger.run_once(node, wanted))
    await windows_machine.running()
    assert (await ledger.read(node, wanted)).living
    await windows_machine.kill_detached()
    first, second = await waiting, await ledger.run_once(node, wanted)
    assert first.lost
    assert second.lost
    assert first.at == second.at
    with pytest.raises(Lost, match="its process is gone"):
        succeeded(first, node.name)
    assert windows_machine.runs() == 1


async def test_after_a_reboot_nothing_is_repeated_and_no_command_waits(
    windows_machine: WindowsMachine, ledger: Ledger
) -> None:
    """What a reboot cut off is lost; the next operation need not wait for it."""
    node = windows_machine.node
    stop = windows_machine.task(then=LASTS, completes_on="deadline", within=3600)
    await ledger.claim(node, stop)
    await windows_machine.running()
    start = windows_machine.task("start", operation="start")
    assert (await ledger.read(node, start)).busy is not None
    second = int(time.time())
    await asyncio.to_thread(windows_machine.wine.shut_down)
    while int(time.time()) <= second:  # noqa: ASYNC110 - a machine is not booted in a second
        await asyncio.sleep(0.1)
    await asyncio.to_thread(windows_machine.wine.boot)
    assert (await ledger.run_once(node, stop)).lost
    started = await ledger.run_once(node, start)
    assert started.status == 0
    assert started.may_change_until <= started.now
    assert (windows_machine.runs(), windows_machine.runs("start")) == (1, 1)


@pytest.mark.parametrize(
    "line", ["", "too short", EARLIER.replace("1000", "x"), EARLIER.replace("2000", "9999999999")]
)
async def test_a_claim_that_cannot_be_read_stops_everything(
    windows_machine: WindowsMachine, ledger: Ledger, line: str
) -> None:
    """It may be any operation's: none begins, and none counts as unclaimed, beside it."""
    windows_machine.enter(0, "0")
    windows_machine.enter(1, line)
    wanted = windows_machine.task()
    with pytest.raises(OutcomeUnknown, match=r"claims\\1 cannot be read"):
        await ledger.read(windows_machine.node, wanted)
    with pytest.raises(NotReady, match=r"claims\\1 cannot be read"):
        await ledger.claim(windows_machine.node, wanted)
    assert windows_machine.runs() == 0


async def test_a_claim_that_cannot_be_read_for_a_moment_stops_nothing(
    windows_machine: WindowsMachine, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its own process has its file open, Windows shows nobody else what is in it."""
    windows_machine.enter(0, "0")
    windows_machine.enter(1, "")
    waits, pauses = asyncio.sleep, list[float]()

    async def closed(seconds: float) -> None:
        windows_machine.enter(1, EARLIER)
        pauses.append(seconds)
        await waits(seconds)

    monkeypatch.setattr(windows, "sleep", closed)
    record = await ledger.read(windows_machine.node, windows_machine.task())
    assert record.claim is None
    assert len(pauses) == 1


async def test_a_directory_in_the_place_of_a_claim_stops_everything(
    windows_machine: WindowsMachine, ledger: Ledger
) -> None:
    """It is none, and no claim can be made under its number."""
    windows_machine.enter(0, "0")
    (windows_machine.ledger / "claims" / "1").mkdir()
    with pytest.raises(NotReady, match=r"claims\\1 cannot be read, or is no claim"):
        await ledger.claim(windows_machine.node, windows_machine.task())
    assert windows_machine.runs() == 0


async def test_a_ledger_that_cannot_be_written_is_refused(
    windows_machine: WindowsMachine, ledger: Ledger
) -> None:
    """Nothing happens that could not be recorded: a file is in the place of the ledger."""
    windows_machine.ledger.rmdir()
    windows_machine.ledger.write_text("in the way")
    with pytest.raises(NotReady, match="cannot be written: no directory"):
        await ledger.claim(windows_machine.node, windows_machine.task())
    assert windows_machine.runs() == 0


async def test_a_full_disk_is_refused(
    windows_machine: WindowsMachine, ledger: Ledger, windows_server: WindowsServer
) -> None:
    """A disk without room for the outcome is as good as none."""
    wanted = windows_machine.task()
    windows_server.file_limit = 4096
    with pytest.raises(NotReady, match="cannot be written: no room"):
        await ledger.claim(windows_machine.node, wanted)
    windows_server.file_limit = None
    assert (await ledger.run_once(windows_machine.node, wanted)).status == 0
    assert windows_machine.runs() == 1


async def test_a_ledger_that_others_could_write_to_is_refused(
    windows_machine: WindowsMachine, ledger: Ledger
) -> None:
    """The rights are read before each claim; those that cannot be read are no rights."""
    node, wanted = windows_machine.node, windows_machine.task()
    windows_machine.wine.rights(node.ledger, own=f"{PRIVATE}(A;CIID;DCLCRPCR;;;BU)")
    with pytest.raises(NotReady, match="BU may write to"):
        await ledger.claim(node, wanted)
    windows_machine.wine.write(r"C:\stand-ins\rights.txt", f"user {OWN_SID}\n")
    with pytest.raises(OutcomeUnknown, match="it cannot be read who may write to"):
        await ledger.claim(node, wanted)
    assert windows_machine.runs() == 0


async def test_a_reading_that_is_too_old_claims_nothing(
    windows_machine: WindowsMachine, shell: Shell
) -> None:
    """A number that was used and removed since has no claim before it."""
    node, wanted = windows_machine.node, windows_machine.task()
    windows_machine.enter(7, EARLIER)
    old = replace(OLD, operation=wanted.operation, began=int(time.time()))
    await shell.run(node, command_line(begin(node.ledger, old, str(wanted.command))))
    while windows_machine.wine.processes(old.word):  # noqa: ASYNC110 - another process ends
        await asyncio.sleep(0.05)
    assert windows_machine.claims == ["00000000000000bb.draft", "7"]
    assert windows_machine.runs() == 0


async def test_two_processes_of_one_attempt_are_one_execution(
    windows_machine: WindowsMachine, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is unknown whether one was made, another one is: only one of them claims."""
    monkeypatch.setattr(windows_lines, "launch", lambda batch: f"{launch(batch)}& {launch(batch)}")
    ledger = Ledger(lambda _: WindowsLedger(shell))
    record = await ledger.run_once(windows_machine.node, windows_machine.task(then="echo done"))
    assert (record.status, record.output) == (0, "done")
    assert windows_machine.runs() == 1


async def test_what_no_process_begins_is_taken_back(
    windows_machine: WindowsMachine, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none can be made, the attempt ends, and nothing of it begins later."""
    monkeypatch.setattr(windows, "BEGINS_WITHIN", 0)
    monkeypatch.setattr(windows_lines, "launch", lambda _: "echo none")
    with pytest.raises(OutcomeUnknown, match="no process began"):
        await ledger.claim(windows_machine.node, windows_machine.task())
    assert windows_machine.claims == ["0"]
    assert [entry.name for entry in windows_machine.ledger.iterdir()] == ["claims"]


async def test_what_cannot_be_taken_back_is_said_to_be_open(
    windows_machine: WindowsMachine, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it may begin yet, and nothing else is claimed."""
    monkeypatch.setattr(windows, "BEGINS_WITHIN", 0)
    monkeypatch.setattr(windows_lines, "launch", lambda _: "echo none")
    monkeypatch.setattr(windows_lines, "withdraw", lambda *_: "echo none")
    with pytest.raises(OutcomeUnknown, match="it may begin yet"):
        await ledger.claim(windows_machine.node, windows_machine.task())


async def test_the_newest_claims_stay_as_evidence(
    windows_machine: WindowsMachine, shell: Shell
) -> None:
    """Older ones go with all that belongs to them; those of the same run stay."""
    ledger = Ledger(lambda _: WindowsLedger(shell, kept=2))
    windows_machine.enter(0, "0")
    for number in (1, 2, 3):
        windows_machine.enter(number, EARLIER.replace("other", f"run{number}"))
    await ledger.run_once(windows_machine.node, windows_machine.task(operation="run1.new.1"))
    assert windows_machine.claims == ["0", "1", "2", "3", "4"]
    await ledger.run_once(windows_machine.node, windows_machine.task(operation="run9.new.1"))
    assert windows_machine.claims == ["3", "4", "5"]


def steps() -> list[int]:
    """Return after how many lines a process is killed: after each, or where it matters most."""
    last = len(windows_lines._run("L", replace(OLD, number=1), "P"))
    return list(range(1, last)) if EVERY_STEP else [6, 8, 14, 15, 16, last - 2]


async def test_killed_between_any_two_steps_nothing_is_repeated(
    windows_machine: WindowsMachine, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the claim it can be done again, once; after it the outcome is known, or lost."""
    whole = windows_lines._run

    def cut(place: str, claim: WindowsClaim, folder: str) -> tuple[str, ...]:
        lines, number = whole(place, claim, folder), claim.operation.removeprefix("cut.")
        return (*lines[: int(number)], "exit") if number.isdigit() else lines

    monkeypatch.setattr(windows_lines, "_run", cut)
    monkeypatch.setattr(windows, "BEGINS_WITHIN", 3)
    ledger, turns = Ledger(lambda _: WindowsLedger(shell)), asyncio.Semaphore(4)

    async def attempt(number: int) -> LedgerRecord | None:
        name = f"cut{number}"
        wanted = windows_machine.task(name, operation=f"cut.{number}", service=name)
        async with turns:
            try:
                return await ledger.run_once(windows_machine.node, wanted)
            except OutcomeUnknown:
                again = replace(wanted, operation=f"again.{number}")
                assert (await ledger.run_once(windows_machine.node, again)).status == 0
                return None

    numbers = steps()
    records = await asyncio.gather(*(attempt(number) for number in numbers))
    claimed = next(n for n, record in enumerate(records) if record is not None)
    known = next(n for n, record in enumerate(records) if record is not None and not record.lost)
    assert 0 < claimed < known < len(records) - 1
    runs = [windows_machine.runs(f"cut{number}") for number in numbers]
    assert runs[:claimed] == [1] * claimed
    assert runs[known:] == [1] * len(runs[known:])
    assert set(runs[claimed:known]) <= {0, 1}
    for n, record in enumerate(records[claimed:], claimed):
        assert record is not None
        assert record.lost == (n < known)
