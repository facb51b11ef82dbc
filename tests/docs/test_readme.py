"""What the README says is what the code does."""

import re
from pathlib import Path
from typing import get_args

from starter.commands.decisions import DESCRIPTIONS
from starter.views.plan import plan_json
from tests.support import estates
from workflows import errors
from workflows.model.decisions import NEED_MINUTES, NEED_REASON, NEED_STAGE, VERBS
from workflows.model.outcome import Outcome
from workflows.model.progress import Progress, RunStatus
from workflows.model.request import RejoinRequest
from workflows.planning.preview import ReviewedAction, review
from workflows.planning.rejoin import plan_rejoin
from workflows.planning.switchover import plan_switchover

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LIFECYCLE = (ROOT / "docs/lifecycle.md").read_text(encoding="utf-8")
OPERATING = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
STATUS = (ROOT / "docs/status.md").read_text(encoding="utf-8")


def test_the_readme_lists_the_stages_we_run() -> None:
    """The manual an operator reads is the plan the worker executes."""
    plan = plan_switchover(estates.estate(), estates.request())
    rows = re.findall(r"^\| (\d) \| `(\w+)` \| (.+) \|$", README, re.MULTILINE)
    assert rows == [(str(s.name.number), s.name.value, s.title) for s in plan.stages]


def test_the_life_of_a_pair_lists_the_stages_of_a_rejoin() -> None:
    """Their numbers, names and titles, as the plan has them."""
    request = RejoinRequest(estate="lab", cluster="cluster1")
    plan = plan_rejoin(estates.estate(), request)
    rows = re.findall(r"^\| (\d) \| `(\w+)` \| ([^|]+) \| [^|]*\|$", LIFECYCLE, re.MULTILINE)
    assert rows == [(str(s.name.number), s.name.value, s.title) for s in plan.stages]


def test_the_readme_lists_the_verbs_we_take() -> None:
    """Every verb that is answered and no other, with what it needs, as the console says it."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| (.+) \|$", README, re.MULTILINE)
    assert [row for row in rows if row[0] in VERBS] == [
        (verb, _needs(verb), DESCRIPTIONS[verb]) for verb in VERBS
    ]


def test_operating_knows_every_state_verb_and_error() -> None:
    """An operator finds every state of a run, every decision and every error."""
    states = {*RunStatus, *get_args(Outcome.model_fields["outcome"].annotation)}
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
    words = set(re.findall(r"^\| `(\w+)` \|", OPERATING, re.MULTILINE))
    assert words == {*states, *VERBS, *kinds} - {errors.SwitchoverError.__name__}


def test_status_documents_every_key_and_no_other() -> None:
    """What a script may rely on is what a run answers, value by value."""
    sections = dict(re.findall(r"^## (\w+)\n(.+?)(?=^##? |\Z)", STATUS, re.MULTILINE | re.DOTALL))
    documented = {
        name: re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        for name, section in sections.items()
    }
    schema = Progress.model_json_schema()
    values = {"Progress": schema, **schema["$defs"]}
    plan = plan_switchover(estates.estate(), estates.request())
    assert documented == {
        name: list(value["properties"]) for name, value in values.items() if "properties" in value
    } | {
        "Review": list(plan_json(review(plan))),
        "ReviewedAction": list(ReviewedAction.model_fields),
    }


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


def test_what_documents_name_exists() -> None:
    """Every module, folder and test that a document refers to."""
    pages = {page.name: page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")}
    text = "\n".join(pages.values())
    modules = set(
        re.findall(r"`((?:workflows|activities|worker|starter|lab|tests)/[\w/.]*)`", text)
    )
    tests = set(re.findall(r"`(test_\w+)`", text))
    written = "\n".join(
        file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py")
    )
    assert all(
        re.search(r"`(\w+/)+\w+\.py`", pages[n]) for n in ("architecture.md", "traceability.md")
    )
    assert tests
    assert {module for module in modules if not (ROOT / module).exists()} == set()
    assert {test for test in tests if f"def {test}(" not in written} == set()


def _needs(verb: str) -> str:
    needs = {"stage": NEED_STAGE, "minutes": NEED_MINUTES, "reason": NEED_REASON}
    return ", ".join(f"`{key}`" for key, verbs in needs.items() if verb in verbs) or "nothing"
