"""A build is identified by its code."""

from importlib.metadata import version
from pathlib import Path

from worker.build_id import build_id, digest_of


def test_the_same_code_is_the_same_build(tmp_path: Path) -> None:
    """Wherever it is installed; a changed, moved or added file is another build."""
    one, two = (tmp_path / place / "core" for place in "ab")
    for directory in (one, two):
        (directory / "inner").mkdir(parents=True)
        (directory / "a.py").write_text("x = 1\n", encoding="utf-8")
        (directory / "notes.txt").write_text(str(directory), encoding="utf-8")
    same = digest_of([one])
    assert digest_of([two]) == same
    (two / "a.py").rename(two / "inner" / "a.py")
    moved = digest_of([two])
    (one / "a.py").write_text("x = 2\n", encoding="utf-8")
    assert len({same, moved, digest_of([one])}) == 3


def test_our_own_build_has_a_name() -> None:
    """The version comes first."""
    assert build_id().startswith(f"{version('switchover')}-")
    assert build_id() == build_id()
