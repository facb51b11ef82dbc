"""`switchover validate` reads estate files without Temporal."""

# ruff: noqa: ASYNC240 - the files are small, and nothing else runs

import os
from pathlib import Path

from tests.support.console import Operator

EXAMPLE = Path(__file__).parents[3] / "docs/estate.example.yaml"
OPERATOR = Operator("127.0.0.1:1")
"""No server is there."""


async def test_mistakes_are_listed_by_line(tmp_path: Path) -> None:
    """One line for each, and exit code 2; a file without a mistake is described."""
    text = EXAMPLE.read_text(encoding="utf-8")
    good, bad = tmp_path / "production.yaml", tmp_path / "other.yaml"
    good.write_text(text, encoding="utf-8")
    bad.write_text(text.replace("grace: 120", "grace: -5"), encoding="utf-8")

    answer = await OPERATOR.types("validate", str(good))
    assert answer.code == 0
    assert "frankfurt has servers fra-server1, fra-server2 and edges fra-edge1" in answer.message

    answer = await OPERATOR.types("validate", str(good), str(bad), str(tmp_path / "none.yaml"))
    assert answer.code == 2
    described, grace, other, missing = answer.out.splitlines()
    assert described.startswith(f"{good}: no mistake; ")
    assert grace.startswith(f"{bad}: line ")
    assert ": timing.grace: " in grace
    assert ": timing.transaction_manager_grace: " in other
    assert missing == f"{tmp_path / 'none.yaml'}: it cannot be read: No such file or directory"


async def test_what_holds_no_text_is_refused_at_once(tmp_path: Path) -> None:
    """A pipe is not waited for, a device without an end is not read, a huge file not kept."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "full.yaml").symlink_to("/dev/full")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    with (tmp_path / "huge.yaml").open("wb") as huge:
        huge.truncate(10 * 1024**3)
    files = sorted(map(str, tmp_path.iterdir()))
    answer = await OPERATOR.types("validate", *files, str(tmp_path / "\x1b[2J\n.yaml"))
    assert answer.code == 2
    lines = answer.out.splitlines()
    assert len(lines) == len(files) + 1
    assert all(line.isprintable() for line in lines)
    assert sum("it is no file that holds text" in line for line in lines) == 3
    assert sum("it is larger than 256 KiB" in line for line in lines) == 1
    assert sum("it cannot be read" in line for line in lines) == 3
