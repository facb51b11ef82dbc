"""What the Web UI shows of a run without any query: progress as Markdown."""

from __future__ import annotations

import re

from workflows.progress import Progress, StageProgress, Step, Waiting

MARKS = {
    Step.PENDING: "·",
    Step.WAITING: "…",
    Step.RUNNING: "▶",
    Step.DONE: "✔",
    Step.FAULT: "✖",
    Step.LEFT_OUT: "-",
}


def details(progress: Progress) -> str:
    """Return the current details of a run: what it waits for, then the table of stages."""
    state = progress.outcome or progress.state.value.replace("_", " ")
    lines = [f"**{progress.estate}: {progress.source} → {progress.target}, {state}**", ""]
    if progress.waiting is not None:
        lines += [*_waiting(progress, progress.waiting), ""]
    lines += ["| | stage | gate | seconds | orders |", "|---|---|---|---|---|"]
    lines += [_row(stage) for stage in progress.stages]
    current = progress.stages[progress.stage.number] if progress.stages else None
    if current is not None and current.step not in (Step.DONE, Step.PENDING):
        lines += ["", f"**{current.stage}**", ""]
        lines += [
            f"- {MARKS[order.step]} {plain(order.words)}"
            + (f": {plain(order.fault.words)}" if order.fault is not None else "")
            for order in current.orders
        ]
    if progress.findings:
        lines += ["", "**Findings**", ""]
        lines += [f"- {plain(str(finding))}" for finding in progress.findings]
    unheard = [said for said in progress.said if not said.counted]
    if unheard:
        lines += ["", "**Messages that changed nothing**", ""]
        lines += [f"- {plain(said.verb)}: {plain(said.effect)}" for said in unheard[-5:]]
    return "\n".join(lines)


def plain(text: str) -> str:
    """Show what people wrote as they wrote it: nothing of it is Markdown, HTML or control."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~&-])", r"\\\1", printable)


def _waiting(progress: Progress, waiting: Waiting) -> list[str]:
    answers = [
        f"`temporal workflow signal --workflow-id switchover-{progress.estate} --name {verb} "
        f"--input '{_payload(waiting, verb)}'`"
        for verb in waiting.answers
    ]
    return [f"Waits: {plain(waiting.words)}", "", "Answer with one of", "", *_list(answers)]


def _payload(waiting: Waiting, verb: str) -> str:
    reason = ', "reason": "..."' if verb in ("reject", "abort") else ""
    return f'{{"stage": "{waiting.stage}", "by": "..."{reason}}}'


def _list(items: list[str]) -> list[str]:
    return [f"- {item}" for item in items]


def _row(stage: StageProgress) -> str:
    done = sum(order.step is Step.DONE for order in stage.orders)
    seconds = "" if stage.seconds is None else f"{stage.seconds:.1f}"
    return (
        f"| {MARKS[stage.step]} | {stage.number} `{stage.stage}` | "
        f"{'yes' if stage.gated else ''} | {seconds} | {done}/{len(stage.orders)} |"
    )
