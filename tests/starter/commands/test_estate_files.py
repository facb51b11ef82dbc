"""`switchover validate` reads estate files without Temporal."""

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
