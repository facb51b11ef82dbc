"""Nobody else can put anything into a ledger that is believed, or that a command is written to."""

# ruff: noqa: ASYNC240 - the files are small, and nothing else runs

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from activities.ledger.ledger import Ledger
from activities.ledger.script import DETACHED, READ
from tests.activities.conftest import NodeMaker
from tests.support.ledger_tasks import BOOT, SHELLS, shell_words, task, word, writing
from workflows.errors import NotReady, OutcomeUnknown
from workflows.model.estate import Node

NOBODY = 65534
FUTURE = int(time.time()) + 40 * 365 * 86400
TODAY = int(time.time())

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a directory away")


def link(ledger: Path) -> None:
    """Let the ledger be a link to a directory that is well."""
    real = ledger.with_name("elsewhere")
    real.mkdir(mode=0o700)
    ledger.symlink_to(real)


def linked_claims(ledger: Path) -> None:
    """Let the claims be elsewhere."""
    ledger.mkdir(mode=0o700)
    link(ledger / "claims")


def linked_operation(ledger: Path) -> None:
    """Let what a command prints be elsewhere."""
    ledger.mkdir(mode=0o700)
    link(ledger / "run.stage.action.1")


def writable(ledger: Path) -> None:
    """Let others write to the ledger."""
    ledger.mkdir()
    ledger.chmod(0o770)


def writable_claims(ledger: Path) -> None:
    """Let everyone write to the claims, each to its own."""
    ledger.mkdir(mode=0o700)
    (ledger / "claims").mkdir()
    (ledger / "claims").chmod(0o1777)


def movable(ledger: Path) -> None:
    """Let others move the ledger, and put another in its place."""
    ledger.mkdir(mode=0o700)
    ledger.parent.chmod(0o777)


def of_another(ledger: Path) -> None:
    """Let the ledger be another account's, as after an estate of another user, or sudo."""
    ledger.mkdir(mode=0o700)
    os.chown(ledger, NOBODY, -1)


def below_another(ledger: Path) -> None:
    """Let the directory above be another account's."""
    ledger.mkdir(mode=0o700)
    os.chown(ledger.parent, NOBODY, -1)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (link, "ledger is a link"),
        (linked_claims, "claims is a link"),
        (linked_operation, "run.stage.action.1 is a link"),
        (writable, "others may write to .*ledger"),
        (writable_claims, "others may write to .*claims"),
        (movable, "others may write to .*place"),
        pytest.param(of_another, "ledger belongs to another account", marks=as_root),
        pytest.param(below_another, "place belongs to another account", marks=as_root),
    ],
)
async def test_a_ledger_that_others_can_change_is_neither_believed_nor_written(
    prepare: Callable[[Path], None], words: str, node_maker: NodeMaker, ledger: Ledger, ran: Path
) -> None:
    """It is refused before anything is read from it, or an effect is made."""
    tmp_path, place = ran.parent, ran.parent / "place/ledger"
    place.parent.mkdir(mode=0o755)
    prepare(place)
    node = node_maker(ledger=str(place))
    before = sorted(tmp_path.rglob("*"))
    for refusing in (ledger.read, ledger.settle):
        with pytest.raises(OutcomeUnknown, match=words):
            await refusing(node, task(writing(ran)))
    with pytest.raises(NotReady, match=words):
        await ledger.claim(node, task(writing(ran)))
    assert sorted(tmp_path.rglob("*")) == before
    assert not ran.exists()


async def test_a_ledger_behind_a_link_that_only_we_can_change_is_one(
    node_maker: NodeMaker, ledger: Ledger, tmp_path: Path, ran: Path
) -> None:
    """A site may link /var/lib elsewhere; both ways there are looked at."""
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "lib").symlink_to(real)
    node = node_maker(ledger=str(tmp_path / "lib/ledger"))
    assert (await ledger.run_once(node, task(writing(ran)))).status == 0
    real.chmod(0o777)
    with pytest.raises(OutcomeUnknown, match="others may write to"):
        await ledger.read(node, task(writing(ran)))


async def test_an_outcome_that_lies_ready_is_not_believed(
    node: Node, ledger: Ledger, ran: Path, tmp_path: Path
) -> None:
    """Whoever knows the operation's name cannot answer for it, nor send its output elsewhere."""
    victim, wanted = tmp_path / "victim", task(writing(ran, "echo true; exit 3"))
    victim.write_text("untouched")
    prepared = Path(node.ledger) / wanted.operation
    prepared.mkdir(parents=True)
    (prepared / "status").write_text("0 1000\n")
    (prepared / "settled").touch()
    for name in ("output", "status.draft", "argv"):
        (prepared / name).symlink_to(victim)
    record = await ledger.run_once(node, wanted)
    assert (record.status, record.output) == (3, "true")
    assert ran.read_text() == "ran\n"
    assert victim.read_text() == "untouched"


async def test_the_directory_of_a_claim_is_new(node: Node, ran: Path) -> None:
    """A word that is taken already is no attempt's own."""
    taken = Path(node.ledger) / "run.stage.action.1/taken"
    taken.mkdir(parents=True)
    said = run("sh", DETACHED, node.ledger, "60", "exit", "-", "taken", *writing(ran))
    assert "no directory of its own" in said
    assert not ran.exists()


FORGED = {
    "far deadline": f"1000 {FUTURE} exit 0 -",
    "thirty digits": f"1000 {'9' * 30} exit 0 -",
    "no number": "1000 soon exit 0 -",
    "negative": "1000 -5 exit 0 -",
    "octal": "1000 08 exit 0 -",
    "began later": f"{FUTURE} {FUTURE} exit 0 -",
    "stops change later": f"1000 2000 deadline {FUTURE} -",
    "subscript": "1000 a[$(touch${IFS}pwned)] exit 0 -",
    "no such end": "1000 2000 never 0 -",
    "note": "1000 2000 exit 0 $(touch${IFS}pwned)",
    "word": "1000 2000 exit 0 - ../../elsewhere",
    "too long": "1000 2000 exit 0 - word more",
}


def run(sh: str, text: str, ledger: str, *arguments: str, cwd: Path | None = None) -> str:
    """Run one of the scripts on this machine and return what it printed."""
    place = (ledger, "run.stage.action.1", "ssh", BOOT)
    words = (*shell_words(sh), "-c", text, "switchover", *place, *arguments)
    return subprocess.run(
        words, capture_output=True, text=True, timeout=20, check=False, cwd=cwd
    ).stdout


@pytest.mark.parametrize("sh", SHELLS)
def test_a_claim_that_cannot_be_ours_stops_everything_at_once(sh: str, tmp_path: Path) -> None:
    """It is no time that anyone waits for, and no text that a shell obeys; the file is named."""
    ledger, ran = tmp_path / "ledger", tmp_path / "ran"
    (ledger / "claims").mkdir(parents=True)
    boot = Path(BOOT).read_text().strip()
    for name, rest in FORGED.items():
        (ledger / "claims/1").write_text(f"other.stage.action.1 ssh 1 {boot} 5 {rest}\n")
        for text, arguments in ((READ, ()), (DETACHED, ("60", "exit", "-", word(), *writing(ran)))):
            said = run(sh, text, str(ledger), *arguments, cwd=tmp_path)
            assert said.startswith("refused "), (name, said)
            assert "claims/1 cannot be read, or is no claim" in said, name
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ledger"]


@pytest.mark.parametrize("sh", SHELLS)
def test_a_claim_that_can_be_ours_is_one(sh: str, tmp_path: Path) -> None:
    """Also one of an earlier version, which has no word and is no directory's name."""
    ledger = tmp_path / "ledger"
    (ledger / "claims").mkdir(parents=True)
    boot = Path(BOOT).read_text().strip()
    line = f"other.stage.action.1 ssh 999999999 {boot} 5 {TODAY} {TODAY + 86400} deadline 0 -"
    place = ledger / "other.stage.action.1"
    for ending, directory in (("", place), (" 0123abcd", place / "0123abcd")):
        directory.mkdir()
        (ledger / "claims/1").write_text(f"{line}{ending}\n")
        assert "busy other.stage.action.1" in run(sh, READ, str(ledger))
        (directory / "settled").touch()
        assert "busy" not in run(sh, READ, str(ledger))


def test_a_claim_that_is_no_file_stops_everything_at_once(tmp_path: Path) -> None:
    """A pipe would keep whoever opens it; a far number would be counted up to."""
    ledger = tmp_path / "ledger"
    (ledger / "claims").mkdir(parents=True)
    os.mkfifo(ledger / "claims/1")
    assert "claims/1 cannot be read" in run("sh", READ, str(ledger))
    (ledger / "claims/1").unlink()
    (ledger / "claims/1").symlink_to("/etc/hostname")
    assert "claims/1 cannot be read" in run("sh", READ, str(ledger))
    (ledger / "claims/999999999").touch()
    assert "do not follow each other" in run("sh", READ, str(ledger))
