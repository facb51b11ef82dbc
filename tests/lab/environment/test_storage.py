"""The storages are synced both ways, with a delay."""

import time
from pathlib import Path

import pytest

from lab.environment.lab import Lab
from lab.environment.storage import Side, sync
from lab.simulation_options import SimulationOptions
from tests.support.polling import eventually


class Pair:
    """Two storages, and the sync between them, which a test runs."""

    def __init__(self, root: Path, delay: float) -> None:
        self.roots = root / "one", root / "two"
        for folder in self.roots:
            (folder / "inbox").mkdir(parents=True)
        self._simulation = root / "simulation.json"
        SimulationOptions(storage_delay=delay).write(self._simulation)
        self._sides = Side(self.roots[0]), Side(self.roots[1])

    def sync(self) -> None:
        """Sync as often as changes without delay need to arrive."""
        for _ in range(3):
            sync(*self._sides, self._simulation)

    def contents(self) -> list[dict[str, bytes]]:
        """Every visible file of each side."""
        return [
            {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
            for root in self.roots
        ]


def put(file: Path, content: bytes) -> None:
    """Write a file as SecureTransport does: hidden until it is complete."""
    file.parent.mkdir(parents=True, exist_ok=True)
    hidden = file.with_name(f".{file.name}")
    hidden.write_bytes(content)
    hidden.replace(file)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A pair without delay."""
    return Pair(tmp_path, delay=0)


@pytest.mark.parametrize(("here", "there"), [(0, 1), (1, 0)])
def test_files_appear_and_vanish_on_the_other_side(pair: Pair, here: int, there: int) -> None:
    """Additions, replacements and removals are copied, in new folders too, both ways."""
    file = pair.roots[here] / "accounts/partner001/file"
    put(file, b"first")
    pair.sync()
    assert pair.contents()[there] == {"accounts/partner001/file": b"first"}

    put(file, b"second")
    pair.sync()
    assert pair.contents()[there] == {"accounts/partner001/file": b"second"}

    file.unlink()
    pair.sync()
    assert pair.contents() == [{}, {}]


def test_an_incomplete_file_is_not_synced(pair: Pair) -> None:
    """Neither hidden names nor ``*.m_inproc`` are copied."""
    (pair.roots[0] / "inbox/.hidden").write_bytes(b"")
    (pair.roots[0] / "inbox/file.m_inproc").write_bytes(b"")
    pair.sync()

    assert pair.contents()[1] == {}


def test_a_file_that_came_is_not_sent_back(pair: Pair) -> None:
    """A removal on one side right after its arrival on the other is not undone by the sync."""
    put(pair.roots[0] / "inbox/job", b"job")
    pair.sync()
    (pair.roots[0] / "inbox/job").unlink()
    pair.sync()
    pair.sync()

    assert pair.contents() == [{}, {}]


def test_a_file_removed_within_the_delay_is_never_copied(tmp_path: Path) -> None:
    """What the Folder Monitor moved meanwhile does not show up in the other inbox."""
    pair = Pair(tmp_path, delay=0.05)
    put(pair.roots[0] / "inbox/job", b"job")
    pair.sync()
    (pair.roots[0] / "inbox/job").unlink()
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        pair.sync()
        assert pair.contents()[1] == {}


def test_a_change_on_both_sides_keeps_the_later_one(pair: Pair) -> None:
    """A newer file is not overwritten by an older one."""
    put(pair.roots[0] / "inbox/job", b"old")
    pair.sync()
    (pair.roots[0] / "inbox/job").unlink()
    put(pair.roots[1] / "inbox/job", b"new")
    pair.sync()

    assert pair.contents() == [{"inbox/job": b"new"}, {"inbox/job": b"new"}]


@pytest.mark.parametrize("delay", [0.3, 1.0])
async def test_the_delay_is_an_option(whole_lab: Lab, delay: float) -> None:
    """A file is on the other side after the delay, and not before."""
    SimulationOptions(storage_delay=delay).write(whole_lab.layout.simulation)
    one, two = (cluster.storage for cluster in whole_lab.layout.clusters)
    began = time.monotonic()
    put(one / "done/file", b"x")

    async def arrived() -> bool:
        return (two / "done/file").exists()

    await eventually(arrived)
    assert delay <= time.monotonic() - began < delay + 1
