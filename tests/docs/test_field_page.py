"""Every case of docs/field.md is shown by tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| ([A-Z]{1,2}[0-9]+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs/field.md").read_text(encoding="utf-8"))
NUMBERS = {"LB": 11, "S": 9, "A": 3, "V": 7, "R": 5, "T": 2, "D": 14}
"""How many cases there are of each kind."""


@cache
def functions_of(path: str) -> frozenset[str]:
    """Return the names of a file's tests."""
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = (node.name for node in tree.body if isinstance(node, functions))
    return frozenset(name for name in names if name.startswith("test_"))


def test_no_case_is_left_out() -> None:
    """Each kind is numbered from one on."""
    cases = [f"{kind}{n}" for kind, number in NUMBERS.items() for n in range(1, number + 1)]
    assert [row[0] for row in ROWS] == cases


@pytest.mark.parametrize(("case", "brings", "does", "shown"), ROWS, ids=[row[0] for row in ROWS])
def test_a_case_is_shown_by_tests(case: str, brings: str, does: str, shown: str) -> None:
    """Each of them exists, in the file that is named."""
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", shown)
    assert named, f"{case}: {brings}: {does}"
    missing = [f"{path}::{name}" for path, name in named if name not in functions_of(path)]
    assert missing == []
