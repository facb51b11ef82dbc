"""What docs/readiness.md says is what the checks are, and what a script gets."""

import re
from pathlib import Path

from scripts.checks_table import renewed
from workflows.preflight.catalogue import CHECKS
from workflows.preflight.report import ReadinessReport

PAGE = (Path(__file__).parents[2] / "docs/readiness.md").read_text(encoding="utf-8")


def test_the_page_lists_the_checks_we_make() -> None:
    """``python -m scripts.checks_table docs/readiness.md`` brings it up to date."""
    assert renewed(PAGE) == PAGE
    assert all(f"| `{check.name}` | {check.title} |" in PAGE for check in CHECKS)


def test_the_page_documents_every_key_of_a_verdict() -> None:
    """And no other."""
    [section] = re.findall(r"^## What `--json` says\n(.+?)^## ", PAGE, re.MULTILINE | re.DOTALL)
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(
        ReadinessReport.model_fields
    )
