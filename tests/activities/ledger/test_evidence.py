"""What the ledger keeps, for how long, and which claims belong to which run."""

# ruff: noqa: ASYNC240 - the files are small, and nothing else runs

import asyncio
import shutil
import time
from pathlib import Path

import pytest

from activities.ledger.ledger import Ledger, succeeded
from activities.ledger.script import KEPT_CLAIMS, detached
from tests.activities.conftest import NodeMaker
from tests.support.ledger_tasks import BOOT, SHELLS, shell_words, task, until, word, writing
from workflows.errors import Lost, NotReady, OutcomeUnknown
from workflows.model.estate import Node

ENDED, LASTING = "1000 2000", f"1000 {int(time.time()) + 3600}"
"""When a claim was made, and until when it may be pending."""


class Book:
    """A ledger that scripts write to without a node, keeping few claims."""

    def __init__(self, place: Path, sh: str, kept: int) -> None:
        self.place = place
        self._words = (*shell_words(sh), "-c", detached(kept), "switchover", str(place))

    async def claim(self, operation: str, service: str = "ssh", command: str = "true") -> str:
        """Make a claim, wait until its process has gone, and return what it printed."""
        process = await asyncio.create_subprocess_exec(
            *(
                *self._words,
                operation,
                service,
                BOOT,
                "0",
                "exit",
                "-",
                word(),
                "sh",
                "-c",
                command,
            ),
            stdout=asyncio.subprocess.PIPE,
        )
        return (await process.communicate())[0].decode()

    def enter(self, number: int, operation: str, *, service: str = "http", **known: str) -> None:
        """Enter a claim as an earlier process would have written it."""
        facts = {"pid": "999999999", "boot": "earlier", "start": "5", "times": ENDED, **known}
        line = f"{operation} {service} {facts['pid']} {facts['boot']} {facts['start']}"
        (self.place / "claims").mkdir(parents=True, exist_ok=True)
        (self.place / operation).mkdir()
        (self.place / "claims" / str(number)).write_text(f"{line} {facts['times']} exit 0 -\n")

    @property
    def numbers(self) -> list[int]:
        """Which claims there are."""
        return sorted(int(claim.name) for claim in (self.place / "claims").iterdir())

    @property
    def operations(self) -> set[str]:
        """Which operations have argv, output and status."""
        return {entry.name for entry in self.place.iterdir()} - {"claims"}


def of_process(pid: int) -> dict[str, str]:
    """What a claim records of a living process."""
    start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return {"pid": str(pid), "boot": Path(BOOT).read_text().strip(), "start": start}


@pytest.fixture(params=SHELLS)
def book(request: pytest.FixtureRequest, tmp_path: Path) -> Book:
    """A ledger that keeps three claims, under each shell."""
    return Book(tmp_path / "ledger", request.param, kept=3)


async def test_the_newest_claims_stay_as_evidence(book: Book) -> None:
    """Older ones go with all that belongs to them, and the numbers count on."""
    for number in range(1, 13):
        assert await book.claim(f"run{number}.stage.action.1") == ""
    assert book.numbers == [10, 11, 12]
    assert book.operations == {f"run{number}.stage.action.1" for number in (10, 11, 12)}


async def test_a_claim_of_the_same_switchover_is_never_removed(book: Book) -> None:
    """However many claims one run makes, each of them answers its own repetition."""
    ran = book.place.parent / "ran"
    for number in range(1, 7):
        await book.claim(f"run.stage.action{number}.1", command=f"echo {number} >>{ran}")
    assert book.numbers == [1, 2, 3, 4, 5, 6]
    await book.claim("run.stage.action1.1", command=f"echo again >>{ran}")
    assert ran.read_text().split() == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize("kind", ["running", "pending"])
async def test_a_claim_in_use_is_never_removed(book: Book, kind: str) -> None:
    """One whose process lives, or whose deadline is to come, stays, and so do all after it."""
    living = await asyncio.create_subprocess_exec("sleep", "60")
    process = of_process(living.pid)
    book.enter(1, "old.stage.action.1")
    book.enter(2, "used.stage.action.1", **(process if kind == "running" else {"times": LASTING}))
    for number in range(3, 8):
        await book.claim(f"run{number}.stage.action.1")
    assert book.numbers == [2, 3, 4, 5, 6, 7]
    living.kill()
    await living.wait()
    await book.claim("run8.stage.action.1")
    assert book.numbers == ([6, 7, 8] if kind == "running" else [2, 3, 4, 5, 6, 7, 8])


async def test_a_claim_is_found_behind_a_hole(book: Book) -> None:
    """Whatever was removed before it, an operation that was claimed is not begun again."""
    book.enter(4, "run.stage.action.1", service="ssh")
    book.enter(7, "other.stage.action.1")
    await book.claim("run.stage.action.1", command=f"touch {book.place}/again")
    assert not (book.place / "again").exists()
    await book.claim("next.stage.action.1")
    assert 8 in book.numbers


async def test_a_walk_that_is_too_old_begins_anew(tmp_path: Path) -> None:
    """A process that was frozen between reading and claiming does not claim a retired number."""
    gate, ran = tmp_path / "gate", tmp_path / "ran"
    book = Book(tmp_path / "ledger", "sh", kept=3)
    tools = tmp_path / "tools"
    tools.mkdir()
    # The first link is made only after others have claimed, this very operation among them.
    (tools / "ln").write_text(
        f"#!/bin/sh\n[ -e {gate} ] || {{ echo > {gate}.reached; until [ -e {gate} ]; do sleep 0.05;"
        f' done; }}\nexec {shutil.which("ln")} "$@"\n'
    )
    (tools / "ln").chmod(0o755)
    frozen = await asyncio.create_subprocess_exec(
        *(
            "sh",
            "-c",
            detached(3),
            "switchover",
            str(book.place),
            "run.stage.action.1",
            "ssh",
            BOOT,
        ),
        *("60", "exit", "-", word(), *writing(ran)),
        env={"PATH": f"{tools}:/usr/bin:/bin"},
    )
    await until(Path(f"{gate}.reached"))
    for number in range(1, 5):
        await book.claim(f"run{number}.stage.action.1", service="http")
    await book.claim("run.stage.action.1", command=f"echo ran >>{ran}")
    await book.claim("run6.stage.action.1", service="http")
    assert book.numbers == [4, 5, 6]
    gate.touch()
    await frozen.wait()
    assert book.numbers == [4, 5, 6]
    assert ran.read_text() == "ran\n"


async def test_a_claim_that_cannot_be_read_stops_everything(
    node: Node, ledger: Ledger, ran: Path
) -> None:
    """It may be any operation's: none begins, and none counts as unclaimed, beside it."""
    claims = Path(node.ledger) / "claims"
    claims.mkdir(parents=True)
    (claims / "1").touch()
    with pytest.raises(OutcomeUnknown, match="claims/1 cannot be read"):
        await ledger.read(node, task(writing(ran)))
    with pytest.raises(NotReady, match="claims/1 cannot be read"):
        await ledger.claim(node, task(writing(ran)))
    assert not ran.exists()


async def test_a_reused_process_number_is_another_process(
    node: Node, ledger: Ledger, ran: Path
) -> None:
    """A claim whose number lives on with another start time is lost, and never begun again."""
    wanted = task(writing(ran, "sleep 30"))
    await ledger.claim(node, wanted)
    await until(ran)
    claim = Path(node.ledger) / "claims/1"
    fields = claim.read_text().split()
    assert (await ledger.read(node, wanted)).living
    fields[4] = str(int(fields[4]) - 1)
    claim.write_text(" ".join(fields) + "\n")
    record = await ledger.run_once(node, wanted)
    assert record.lost
    with pytest.raises(Lost):
        succeeded(record, node.name)
    assert ran.read_text() == "ran\n"


async def test_after_a_reboot_nothing_is_repeated_and_no_command_waits(
    node_maker: NodeMaker, ledger: Ledger, tmp_path: Path
) -> None:
    """What a reboot cut off is lost for every attempt; the next operation need not wait for it."""
    boot, ran = tmp_path / "boot_id", tmp_path / "ran"
    boot.write_text("first\n")
    node = node_maker(boot_id=str(boot))
    stop = task(writing(ran, "sleep 2"), operation="stop", completes_on="deadline", within=3600)
    await ledger.claim(node, stop)
    await until(ran)
    boot.write_text("second\n")
    first, second = await ledger.run_once(node, stop), await ledger.run_once(node, stop)
    assert first.lost
    assert second.lost
    assert first.at == second.at
    start = await ledger.run_once(node, task(("true",), operation="start"))
    assert start.status == 0
    assert start.may_change_until <= start.now
    assert ran.read_text() == "ran\n"


async def test_a_full_ledger_is_read_in_time(node: Node, ledger: Ledger) -> None:
    """With as many claims as are kept, a reading is much shorter than the polling interval."""
    book = Book(Path(node.ledger), "sh", KEPT_CLAIMS)
    for number in range(1, KEPT_CLAIMS + 1):
        book.enter(number, f"run{number // 10}.stage.action{number}.1", service="ssh")
    await ledger.read(node, task(("true",)))
    began = time.monotonic()
    assert (await ledger.read(node, task(("true",)))).claim is None
    assert time.monotonic() - began < 2
