"""The recorded histories, and where they are; ``record`` makes them."""

from pathlib import Path

from temporalio.client import WorkflowHistory

PLACE = Path(__file__).parent
NAMES = tuple(sorted(file.stem for file in PLACE.glob("*.json")))


def recorded(name: str) -> WorkflowHistory:
    """Read a committed history."""
    text = (PLACE / f"{name}.json").read_text(encoding="utf-8")
    return WorkflowHistory.from_json(f"switchover-{name}", text)
