"""What all campaigns have in common: the runner, the saved state and the tables in documents."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from lab.campaigns.markdown import between, markers
from lab.campaigns.preflight_faults.campaign import FaultResult, FaultState
from lab.campaigns.rollback_matrix.campaign import MatrixState, selected
from lab.campaigns.runner import Campaign, CampaignState
from lab.campaigns.tables import TABLES, lines
from lab.product_driver import ReadinessAnswer
from lab.subprocesses import REPOSITORY
from tests.lab.campaigns.test_preflight_faults import FAULT, found
from tests.lab.campaigns.test_rollback_matrix import row


@dataclass
class Squares(CampaignState):
    """The results so far."""

    done: list[int] = field(default_factory=list)


class SquareCampaign(Campaign[Path, int, Squares]):
    """Square numbers on two labs; fails at the number *stops_at*."""

    labs = 2

    def __init__(self, json: Path, stops_at: int = -1) -> None:
        super().__init__(Squares(), json, "squares")
        self._remaining = [n for n in range(5) if n**2 not in self.state.done]
        self._stops_at = stops_at

    @asynccontextmanager
    async def open(self, directory: Path) -> AsyncIterator[Path]:
        """Use the directory as a lab."""
        yield directory

    def next_case(self) -> int | None:
        """Return the next number."""
        return self._remaining.pop(0) if self._remaining else None

    async def run_case(self, bed: Path, case: int) -> None:
        """Square it."""
        assert await asyncio.to_thread(bed.is_dir)
        await asyncio.sleep(0)
        if case == self._stops_at:
            raise asyncio.CancelledError
        self.state.done.append(case**2)

    def table(self) -> Table:
        """Return an empty table."""
        return Table()

    def problems(self) -> list[str]:
        """A five is a problem."""
        return ["five"] if 5 in self.state.done else []

    def as_json(self) -> dict[str, Any]:
        """The squares."""
        return {"done": self.state.done}


async def test_an_interrupted_campaign_resumes_with_what_remains(tmp_path: Path) -> None:
    """A completed case is not run again, and the state is removed with the result."""
    result = tmp_path / "squares.json"
    with pytest.raises(asyncio.CancelledError):
        await SquareCampaign(result, stops_at=3).run(tmp_path / "first")
    assert not result.exists()

    assert await SquareCampaign(result).run(tmp_path / "second")
    written = json.loads(result.read_text(encoding="utf-8"))
    assert sorted(written["done"]) == [0, 1, 4, 9, 16]
    assert written["problems"] == []
    assert not result.with_suffix(".state").exists()


async def test_a_campaign_with_a_problem_fails(tmp_path: Path) -> None:
    """The problem stands in its result."""
    campaign = SquareCampaign(tmp_path / "squares.json")
    campaign.state.done.append(5)
    assert not await campaign.run(tmp_path / "labs")
    written = json.loads((tmp_path / "squares.json").read_text(encoding="utf-8"))
    assert written["problems"] == ["five"]


def crash_result() -> dict[str, Any]:
    """The result of a small crash campaign."""
    effects = ("expected", "recorded", "repeated", "skipped", "misordered", "unexpected")
    return {
        "procedure": "switchover",
        "points": {"before_effect": 2, "reboot": 1},
        "runs": 1,
        "completed": 1,
        "operator_acts": 0,
        "operator_acts_after_reboots": ["one"],
        "effects": dict.fromkeys(effects, 43),
        "traffic": {"attempted": 500, "failed": 0, "straddling": 2},
        "invariants": {"samples": 9, "violations": 0},
        "requests": {"requests": 211, "before": 211, "after": 211},
        "resume_seconds": {"p50": 5.4, "p99": 13.8},
        "seconds": 120.0,
    }


def rollback_result() -> dict[str, Any]:
    """The result of all cases but one, of which one is bad."""
    rows = [row(case) for case in selected(())[:-1]]
    result = MatrixState(60.0, rows).as_json() | {"seconds": 60.0}
    result["rows"][-1]["problems"] = ["traffic: 1 failed"]
    return result


def driver_result() -> dict[str, Any]:
    """The results of attacks and of rollbacks with one driver."""
    return {"parts": [crash_result(), rollback_result()], "seconds": 180.0}


def readiness_result() -> dict[str, Any]:
    """The result of one fault."""
    one = FaultResult.of(FAULT, FAULT.place, found(FAULT.name, FAULT.place))
    state = FaultState(60.0, [ReadinessAnswer(0, (), 3.0)], [one])
    return state.as_json() | {"seconds": 60.0, "rows": [asdict(one)]}


@pytest.mark.parametrize(
    ("campaign", "result", "expected"),
    [
        ("crash", crash_result(), ["| points | 3: 2 before_effect, 1 reboot |"]),
        (
            "driver-dns",
            driver_result(),
            [
                "|  | crash campaign | rollback matrix |",
                "| runs | 1, of which 1 completed | 73, of which 73 as expected |",
                "of 211 requests a worker died before 211 and after 211 | `stop_monitors`, ",
            ],
        ),
        (
            "rollback",
            rollback_result(),
            [
                "| `redirect_traffic` | 1 of 1 | 1 of 1 | 1 of 1 | 1 of 1 | 1 of 1 |",
                "| `drain_transaction_manager` | 2 of 2 | 2 of 2 | 2 of 2 | 2 of 2 |  |",
                "| cases | 73, of which 73 as expected:",
                "median 1.5 s, longest 1.5 s",
            ],
        ),
        (
            "readiness",
            readiness_result(),
            [
                f"| `{FAULT.name}` | `{FAULT.place}` | {FAULT.description} | an \\| older one |",
                "1 of 1 injected faults",
                "| `taeh_differs` | `tests/workflows/preflight/test_checks.py`:",
            ],
        ),
    ],
)
def test_a_result_replaces_the_tables_in_its_document(
    campaign: str, result: dict[str, Any], expected: list[str]
) -> None:
    """Everything around them stays; a document without markers is refused."""
    name = TABLES[campaign][0]
    begin, end = markers(name)
    document = f"# Proof\n\n{begin}\nold\n{end}\n\nthe rest\n"

    once = between(document, name, lines(campaign, result, "scripts/prove", "457d83d"))

    assert once.startswith("# Proof\n\n")
    assert once.endswith("\n\nthe rest\n")
    assert "old\n" not in once
    assert "`scripts/prove` on commit 457d83d,\nin " in once
    for text in expected:
        assert text in once
    assert between(once, name, lines(campaign, result, "scripts/prove", "457d83d")) == once
    with pytest.raises(ValueError, match=name):
        between("# Proof\n", name, lines(campaign, result, "scripts/prove", "457d83d"))


def test_every_table_has_its_place_in_a_document() -> None:
    """Or a campaign of hours would end without one."""
    documents = [file.read_text(encoding="utf-8") for file in (REPOSITORY / "docs").glob("*.md")]
    for name, _ in TABLES.values():
        assert sum(all(mark in text for mark in markers(name)) for text in documents) == 1, name
