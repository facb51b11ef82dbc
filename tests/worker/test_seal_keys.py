"""All workers of a queue share a file of keys, which nobody else can read."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from worker.seal_keys import UnknownKey, read_seal_keys
from worker.startup_errors import StartupError

NEW, OLD = "1" * 64, "2" * 64


def test_workers_that_start_side_by_side_make_one_key(tmp_path: Path) -> None:
    """The first makes the file; nobody else can read it, and no draft is left."""
    file = tmp_path / "keys" / "seal-keys"
    with ThreadPoolExecutor(8) as workers:
        found = {one.current for one in workers.map(read_seal_keys, [file] * 8)}
    assert len(found) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_the_first_key_seals_and_the_others_are_accepted(tmp_path: Path) -> None:
    """So a key can be changed while runs are open; without the old one, its seals are unknown."""
    file = tmp_path / "seal-keys"
    file.touch(0o600)
    file.write_text(f"{OLD}\n", encoding="ascii")
    before = read_seal_keys(file)
    code = before.code("a run", "a part", "its text")
    file.write_text(f"{NEW}\n{OLD}\n", encoding="ascii")
    both = read_seal_keys(file)
    assert both.current != before.current
    assert both.made(code, "a run", "a part", "its text", key=before.current)
    assert not both.made(code, "a run", "a part", "another", key=before.current)
    assert not both.made(code, "a run", "a part", "its text", key=both.current)
    assert not both.made(code, "a run", "a parti", "ts text", key=before.current)
    assert not both.made("ü" * 32, "a run", key=both.current)
    file.write_text(f"{NEW}\n", encoding="ascii")
    with pytest.raises(UnknownKey):
        read_seal_keys(file).made(code, "a run", key=before.current)


@pytest.mark.parametrize("content", ["", "secret\n", f"{NEW}\nsecret\n", NEW[1:], "\xff"])
def test_a_file_without_keys_is_refused_and_not_shown(content: str, tmp_path: Path) -> None:
    """The sentence names the file, and nothing of what is in it."""
    file = tmp_path / "seal-keys"
    file.touch(0o600)
    file.write_text(content, encoding="latin-1")
    with pytest.raises(StartupError, match="seal-keys") as refused:
        read_seal_keys(file)
    assert "secret" not in str(refused.value)


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    """So are a link, a directory, and a place that cannot be written to."""
    file, link = tmp_path / "seal-keys", tmp_path / "link"
    read_seal_keys(file)
    link.symlink_to(file)
    for place in (link, tmp_path, file / "below"):
        with pytest.raises(StartupError):
            read_seal_keys(place)
    file.chmod(0o640)
    with pytest.raises(StartupError, match="chmod 600"):
        read_seal_keys(file)
