"""What is kept of a run that went wrong, before the next one begins with a reset?"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.campaigns.crash.testbed import TestBed
from lab.product_driver import WORKFLOW


async def keep_evidence(testbed: TestBed, place: Path, words: str) -> None:
    """Copy the lab's records, the workers' logs and the history."""
    history = await testbed.client.get_workflow_handle(WORKFLOW).fetch_history()
    _keep(testbed, place, {"words.txt": f"{words}\n", "history.json": history.to_json()})


def _keep(testbed: TestBed, place: Path, texts: dict[str, str]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    layout = testbed.lab.layout
    logs = testbed.workers.place.glob("worker-*.log")
    records = (layout.effects, layout.traffic, layout.sessions, layout.work, layout.samples)
    for file in (*records, *logs):
        if file.exists():
            shutil.copy(file, place)
    for name, text in texts.items():
        (place / name).write_text(text, encoding="utf-8")
