"""Two sides pick the same files of a storage without talking to each other."""

import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.storage import sampling as samples
from activities.storage.sampling import Sample
from tests.support.unix_machines import MACHINES, UnixMachine
from workflows.errors import OutcomeUnknown

NAMES = st.lists(
    st.text(
        st.characters(exclude_characters="/\0\1", codec="utf-8"), min_size=1, max_size=12
    ).filter(lambda name: not name.startswith(".") and not name.endswith(".m_inproc")),
    min_size=1,
    max_size=12,
    unique=True,
)


@dataclass
class Trees:
    """Two trees that the script itself is run on."""

    one: Path
    two: Path

    def fill(self, names: list[str]) -> None:
        """Leave the same files on both sides."""
        for root in (self.one, self.two):
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            for name in names:
                (root / name).write_text(name, encoding="utf-8")

    def samples(self, most: int) -> tuple[Sample, Sample]:
        """Take a sample of each."""
        return sampled(self.one, most), sampled(self.two, most)


def sampled(root: Path, most: int, markers: str | None = None) -> Sample:
    """Run the script here."""
    argv = samples.sample(str(root), markers, most).argv
    ended = subprocess.run(argv, check=True, capture_output=True, text=True)
    return samples.parse_sample(ended.stdout, most)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    """Two trees."""
    root = tmp_path_factory.mktemp("trees")
    return Trees(root / "one", root / "two")


def suspects(one: Sample, two: Sample) -> set[str]:
    """Return what is not the same."""
    return {
        key[1].decode()
        for key in samples.comparable(one, two, timedelta(seconds=-2))
        if not samples.alike(one.files.get(key), two.files.get(key))
    }


RUNS = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@RUNS
@given(names=NAMES, most=st.integers(1, 15))
def test_two_sides_with_the_same_files_differ_in_nothing(
    names: list[str], most: int, trees: Trees
) -> None:
    """However many are sampled, and whatever they are called."""
    trees.fill(names)
    one, two = trees.samples(most)
    assert len(one.files) == min(most, len(names))
    assert len(samples.comparable(one, two, timedelta(seconds=-2))) == len(one.files)
    assert suspects(one, two) == set()


@RUNS
@given(names=NAMES, most=st.integers(1, 15), data=st.data())
def test_one_difference_within_the_sample_is_found(
    names: list[str], most: int, data: st.DataObject, trees: Trees
) -> None:
    """A file that is missing, other or new is suspected, and no other one is."""
    trees.fill(names)
    picked = {key[1].decode() for key in trees.samples(most)[0].files}
    name = data.draw(st.sampled_from(sorted(picked)))
    change = data.draw(st.sampled_from(["removed", "changed"]))
    if change == "removed":
        (trees.two / name).unlink()
    else:
        (trees.two / name).write_text(f"{name}!", encoding="utf-8")
    assert suspects(*trees.samples(most)) == {name}


@pytest.mark.parametrize("kind", MACHINES)
def test_every_shell_and_program_samples_the_same(kind: str, trees: Trees, tmp_path: Path) -> None:
    """Whatever files are called, and where only a part of one is read."""
    trees.fill(["-n", "two  words", "new\nline", "quo'te\"s", "back\\slash", "ü", "gone.m_inproc"])
    (trees.one / "large").write_bytes(os.urandom(2 * samples.PART_BYTES + 1))
    (trees.one / os.fsdecode(b"deep\xff")).mkdir()
    (trees.one / os.fsdecode(b"deep\xff") / "inside").touch()
    for hidden in ("markers", "lost+found", ".snapshot"):
        (trees.one / hidden).mkdir()
        (trees.one / hidden / "file").touch()
    machine = UnixMachine.of(tmp_path, kind)
    text = machine.run(samples.sample(str(trees.one), "markers", 20).argv)
    there, here = samples.parse_sample(text, 20), sampled(trees.one, 20, "markers")
    assert there.files == here.files
    assert len(here.files) == 8
    paths = [path for _, path in here.files]
    again = samples.parse_again(machine.run(samples.again(str(trees.one), [*paths, b"no"]).argv))
    assert again == {b"no": None, **{path: copy for (_, path), copy in here.files.items()}}


def test_both_sides_pick_alike_whatever_else_they_have(trees: Trees) -> None:
    """Only what both would have picked is held side by side."""
    trees.fill([f"file{number:04}" for number in range(300)])
    for number in range(300, 600):
        (trees.two / f"file{number:04}").write_text("more", encoding="utf-8")
    one, two = trees.samples(50)
    assert suspects(one, two) <= {f"file{number:04}" for number in range(300, 600)}
    assert len(suspects(one, two)) > 5
    assert len(samples.comparable(one, two, timedelta(seconds=-2))) < 75


def test_a_sample_that_is_cut_is_unknown(trees: Trees) -> None:
    """Wherever it ends."""
    trees.fill(["a", "b"])
    argv = samples.sample(str(trees.one), None, 5).argv
    text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert samples.parse_sample(f"Welcome!\nsample:\n{text}", 5).full is False
    for end in range(len(text) - 2):
        with pytest.raises(OutcomeUnknown):
            samples.parse_sample(text[:end], 5)


def test_files_in_motion_are_not_comparable() -> None:
    """Neither those that just changed on one side, nor those that went away meanwhile."""
    copy = samples.Copy(1, "0" * 64, changed=100)
    one = Sample({("1", b"a"): copy, ("2", b"b"): None}, at=200, full=False)
    two = Sample({("1", b"a"): replace(copy, changed=195)}, at=200, full=False)
    assert samples.comparable(one, two, timedelta(seconds=5)) == (("1", b"a"),)
    assert samples.comparable(one, two, timedelta(seconds=6)) == ()
