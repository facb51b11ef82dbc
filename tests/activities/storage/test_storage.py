"""Two storages are held side by side by a sample that both sides pick alike, and by markers."""

import asyncio
import os
import shutil
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.runtime.heartbeat import sleep
from activities.storage import activities as storages
from activities.storage import sampling as samples
from activities.storage.activities import SshStorages
from activities.transport.ssh import Shell
from tests.activities.conftest import NodeMaker
from tests.support.ssh_machines import QUICK, Attempt, SshServer, make_cluster
from workflows.model.actions import CompareStorage
from workflows.model.estate import Limits, Node
from workflows.model.observations import Difference, StorageReading
from workflows.model.results import Operation
from workflows.ports.inputs import ClusterPairInput

AT_ONCE = -1
"""A delay with which files are at rest as soon as they are written."""
ODD = ("a b", "two\nlines", "quo\"te's", "back\\slash", "$(touch x)", "-rf", "ünï", "*", "tab\t")


@dataclass
class Sides:
    """Two clusters with a storage each."""

    one: Path
    two: Path
    nodes: tuple[Node, Node]
    storages_port: SshStorages

    def write(self, name: str, text: str, *sides: Path) -> None:
        """Put a file on both sides, or on these."""
        for side in sides or (self.one, self.two):
            file = side / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")

    async def compare(
        self, most: int = 200, delay: float = 0.2, markers: tuple[str | None, ...] = (None, None)
    ) -> StorageReading:
        """Compare them, as a switchover would."""
        action = CompareStorage(source="one", target="two")
        one, two = (
            make_cluster(root.name, node, storage=str(root), storage_markers=marker)
            for root, node, marker in zip((self.one, self.two), self.nodes, markers, strict=True)
        )
        given: ClusterPairInput[Any] = ClusterPairInput(
            operation=Operation(identity="run-1", stage="stage", action=action.key),
            action=action,
            timing=QUICK.model_copy(update={"storage_delay": timedelta(seconds=delay)}),
            source=one,
            target=two,
            limits=Limits(storage_sample=most),
        )
        return await Attempt().run(self.storages_port.compare_storage, given)


@pytest.fixture
def sides(
    shell: Shell, node_maker: NodeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Sides:
    """Two empty storages; what is written to them is at rest at once."""
    monkeypatch.setattr(storages, "MIN_UNCHANGED_TIME", timedelta(seconds=-2))
    roots = tmp_path / "one", tmp_path / "two"
    for root in roots:
        root.mkdir()
    return Sides(*roots, (node_maker("server1"), node_maker("server2")), SshStorages(shell))


def errors(reading: StorageReading) -> list[tuple[str, str]]:
    """Return what could not be read, and where."""
    return [(finding.name, finding.place) for finding in reading.findings]


async def test_the_same_files_are_the_same(sides: Sides) -> None:
    """Whatever their names; nothing was touched on the way."""
    for name in ODD:
        sides.write(f"folder/{name}/{name}", f"content of {name}")
    before = await asyncio.to_thread(listing, sides.one)
    reading = await sides.compare(delay=AT_ONCE)
    assert reading == StorageReading(place="two", sampled=len(ODD))
    assert await asyncio.to_thread(listing, sides.one) == before


async def test_a_file_that_one_side_lacks_is_named_there(sides: Sides) -> None:
    """At the side that has to get it, whichever that is; with odd names too."""
    for name in ODD:
        sides.write(name, "both")
    sides.write("only\none", "1", sides.one)
    sides.write("only two", "22", sides.two)
    reading = await sides.compare(delay=AT_ONCE)
    assert reading.sampled == len(ODD) + 2
    assert {(d.place, d.item, d.seen) for d in reading.differences} == {
        ("two", "only\\none", "missing"),
        ("one", "only two", "missing"),
    }
    assert {d.expected for d in reading.differences} == {
        "SHA-256 6b86b273…, 1 bytes",
        "SHA-256 785f3ec7…, 2 bytes",
    }


async def test_other_contents_are_named_at_the_target(sides: Sides) -> None:
    """Of the same size too."""
    sides.write("file", "1", sides.one)
    sides.write("file", "2", sides.two)
    (difference,) = (await sides.compare(delay=AT_ONCE)).differences
    assert difference == Difference(
        place="two",
        item="file",
        seen="SHA-256 d4735e3a…, 1 bytes",
        expected="SHA-256 6b86b273…, 1 bytes",
    )


async def test_a_large_file_is_read_at_both_its_ends(sides: Sides) -> None:
    """What was not carried to its end differs there; all of it would take too long."""
    size = 3 * samples.PART_BYTES
    sides.write("large", "a" * size, sides.one)
    sides.write("large", "a" * (size - 1) + "b", sides.two)
    reading = await sides.compare(delay=AT_ONCE)
    assert [difference.item for difference in reading.differences] == ["large"]


async def test_what_is_on_its_way_is_no_difference(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is read again one delay later, and differs only if it does so both times."""
    sides.write("late", "late", sides.one)
    sides.write("gone soon", "gone", sides.two)

    async def carry(delay: timedelta) -> None:
        sides.write("late", "late", sides.two)
        await asyncio.to_thread((sides.two / "gone soon").unlink)
        await sleep(delay)

    monkeypatch.setattr(storages, "sleep", carry)
    reading = await compare_at_rest(sides)
    assert (reading.differences, reading.sampled) == ((), 2)


async def compare_at_rest(sides: Sides) -> StorageReading:
    """Compare where files are at rest at once, with a delay of two seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storages, "_unchanged_time", lambda _: timedelta(seconds=-2))
        return await sides.compare(delay=2)


async def test_a_file_that_changed_just_now_is_left_out(sides: Sides) -> None:
    """Two delays have to pass before it must be on both sides."""
    sides.write("fresh", "1", sides.one)
    reading = await sides.compare(delay=5)
    assert (reading.sampled, reading.differences) == (0, ())


async def test_what_does_not_travel_is_left_out(sides: Sides) -> None:
    """Unfinished files, hidden ones, and the folder of markers."""
    for name in ("x.m_inproc", ".hidden", ".folder/file", "mark[er]s/file", "lost+found/file"):
        sides.write(name, "1", sides.one)
    reading = await sides.compare(delay=AT_ONCE, markers=("mark[er]s/", None))
    assert (reading.sampled, reading.differences) == (0, ())


async def test_one_empty_side_lacks_everything(sides: Sides) -> None:
    """Both empty are the same; no more than twenty differences travel."""
    assert await sides.compare(delay=AT_ONCE) == StorageReading(place="two", sampled=0)
    for number in range(30):
        sides.write(f"file{number}", "1", sides.one)
    reading = await sides.compare(delay=AT_ONCE)
    assert (reading.sampled, len(reading.differences)) == (30, 20)


async def test_a_storage_that_cannot_be_read_is_trouble_there(
    sides: Sides, ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing, too slow, or answering garbage: nothing is known, and nothing counts as equal."""
    await asyncio.to_thread(sides.two.rmdir)
    reading = await sides.compare(delay=AT_ONCE)
    assert errors(reading) == [("storage_unreadable", "two")]
    assert reading.sampled is None
    await asyncio.to_thread(sides.two.mkdir)
    monkeypatch.setattr(samples, "_SAMPLE", "sleep 5")
    monkeypatch.setattr(samples, "SEARCH_TIMEOUT", 1)
    both = [("storage_unreadable", "one"), ("storage_unreadable", "two")]
    assert errors(await sides.compare(delay=AT_ONCE)) == both
    for garbage in ("echo sample:", "echo sample:; echo AAAA", "printf /done | base64", "exit 1"):
        monkeypatch.setattr(samples, "_SAMPLE", garbage)
        assert errors(await sides.compare(delay=AT_ONCE)) == both
    ssh_server.cut()
    ssh_server.refuse_more()
    assert errors(await sides.compare(delay=AT_ONCE)) == both


async def test_a_folder_that_cannot_be_read_leaves_the_whole_unknown(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is below it might differ; so might a file that cannot be read."""
    sides.write("file", "1")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (
        ("find", '#!/bin/sh\n/usr/bin/find "$@"\nexit 1\n'),
        ("cat", "#!/bin/sh\nexit 1\n"),
    ):
        tool = tools / name
        tool.write_text(text)
        tool.chmod(0o755)
        with monkeypatch.context() as patch:
            patch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
            reading = await sides.compare(delay=AT_ONCE)
        assert errors(reading) == [("storage_unreadable", "one"), ("storage_unreadable", "two")]
        tool.unlink()


async def test_markers_measure_the_delay(sides: Sides) -> None:
    """Both ways at the same time; only what the other side sees in time has one."""
    for side in (sides.one, sides.two):
        (side / "markers").mkdir()

    async def carry() -> None:
        """From one to two, half a second late."""
        while not (found := list((sides.one / "markers").iterdir())):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        shutil.copy(found[0], sides.two / "markers")

    carrying = asyncio.create_task(carry())
    reading = await sides.compare(delay=0.5, markers=("markers", "markers"))
    await carrying
    assert reading.findings == ()
    delay = reading.delays["one"]
    assert delay is not None
    assert timedelta(seconds=0.3) < delay < timedelta(seconds=1.5)
    assert reading.delays["two"] is None
    assert list((sides.one / "markers").iterdir()) == []
    assert len(list((sides.two / "markers").iterdir())) == 1  # the other side's, for it to remove


async def test_a_marker_is_removed_whatever_happens(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the wait for it fails, or is cancelled."""
    (sides.one / "markers").mkdir()
    comparing = asyncio.create_task(sides.compare(delay=5, markers=("markers", None)))
    while not list((sides.one / "markers").iterdir()):  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.01)
    comparing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await comparing
    assert list((sides.one / "markers").iterdir()) == []
    monkeypatch.setattr(storages, "_HAS_MARKER", "exit 3")
    reading = await sides.compare(delay=5, markers=("markers", None))
    assert errors(reading) == [("storage_unreadable", "two")]
    assert list((sides.one / "markers").iterdir()) == []


async def test_a_marker_that_a_killed_worker_left_is_removed(sides: Sides) -> None:
    """An old one, and nothing else."""
    folder = sides.one / "markers"
    folder.mkdir()
    for name in ("switchover-marker-1", "theirs"):
        (folder / name).write_text("")
        os.utime(folder / name, times=(time.time() - 7200,) * 2)
    await sides.compare(delay=0.1, markers=("markers", None))
    assert [file.name for file in folder.iterdir()] == ["theirs"]


async def test_a_marker_that_cannot_be_written_is_trouble_there(sides: Sides) -> None:
    """The files are compared all the same."""
    sides.write("file", "1")
    reading = await sides.compare(delay=AT_ONCE, markers=(None, "nowhere"))
    assert errors(reading) == [("storage_unreadable", "two")]
    assert (reading.sampled, reading.delays) == (1, {})


def listing(root: Path) -> list[tuple[Path, float]]:
    """Return every file and its time."""
    return sorted((path, path.stat().st_mtime) for path in root.rglob("*"))
