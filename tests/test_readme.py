"""What the README says is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from tests import estates
from workflows.plan import plan_switchover
from workflows.verbs import VERBS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_the_stages_we_run() -> None:
    """The manual an operator reads is the plan the worker executes."""
    plan = plan_switchover(estates.estate(), estates.request())
    rows = re.findall(r"^\| (\d) \| `(\w+)` \| (.+) \|$", README, re.MULTILINE)
    assert rows == [(str(s.slug.number), s.slug.value, s.title) for s in plan.stages]


def test_the_readme_lists_the_verbs_we_take() -> None:
    """Every verb that is answered, and no other."""
    rows = re.findall(r"^\| `(\w+)` \| `?[\w`, ]+ \| .+ \|$", README, re.MULTILINE)
    assert [row for row in rows if row in VERBS] == list(VERBS)


def test_links_lead_somewhere() -> None:
    """Every relative link of the README and the docs is a file of this repository."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
        if "://" not in link
    ]
    assert links
    assert [
        str(page.parent / link) for page, link in links if not (page.parent / link).exists()
    ] == []


def test_what_traceability_names_exists() -> None:
    """Every module and every test that a sentence is held against."""
    page = (ROOT / "docs/traceability.md").read_text(encoding="utf-8")
    modules = set(re.findall(r"`(\w+/\w+\.py)`", page))
    tests = set(re.findall(r"`(test_\w+)`", page))
    written = "\n".join(
        file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py")
    )
    assert modules
    assert tests
    assert {module for module in modules if not (ROOT / module).exists()} == set()
    assert {test for test in tests if f"def {test}(" not in written} == set()
