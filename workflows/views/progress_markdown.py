"""What the Web UI shows of a run without any query: progress as Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from workflows.execution.drain_timeout import whom
from workflows.model.progress import (
    ActionProgress,
    NodeProgress,
    PendingQuestion,
    Progress,
    StageProgress,
    Status,
)
from workflows.views.suggested_answers import Answer, answers, pause, waits

MARKS = {
    Status.PENDING: "·",
    Status.WAITING: "…",
    Status.RUNNING: "▶",
    Status.DONE: "✔",
    Status.FAILED: "✖",
    Status.SKIPPED: "-",
}

MAX_MESSAGES = 5


def details(progress: Progress) -> str:
    """Return the current details of a run: what it waits for, then where everything is."""
    state = progress.outcome or progress.state.value.replace("_", " ")
    title = f"**{progress.estate}: {progress.source} → {progress.target}, {state}**"
    if progress.reason:
        title += f" ({plain(progress.reason)})"
    sections = (
        [title],
        _paused(progress),
        *(_waiting(progress, waiting) for waiting in waits(progress)),
        _table("What is taken back", progress.undo),
        _table("", progress.stages),
        _nodes(progress.nodes),
        *map(_orders, at_work(progress)),
        _listed("Exceptions", map(plain, progress.exceptions)),
        _listed("Findings", (plain(str(finding)) for finding in progress.findings)),
        _listed("What people said", _said(progress, counted=True)),
        _listed("Messages that changed nothing", _said(progress, counted=False)),
    )
    return "\n\n".join("\n".join(section) for section in sections if section)


def at_work(progress: Progress) -> tuple[StageProgress, ...]:
    """Return every stage that is under way: of a roll-back, only what takes back."""
    if progress.outcome is not None:
        return ()
    under_way = (Status.RUNNING, Status.WAITING, Status.FAILED)
    stages = progress.undo or progress.stages
    return tuple(stage for stage in stages if stage.status in under_way)


def plain(text: str) -> str:
    """Show what people wrote as they wrote it: nothing of it is Markdown, HTML or control."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    escaped = re.sub(r"([\\`*_{}\[\]()<>#+!|~&-])", r"\\\1", printable)
    return escaped.replace("://", "&#58;//")  # or the Web UI makes a link of every address


def _paused(progress: Progress) -> list[str]:
    messages = pause(progress)
    if messages is None:
        return []
    why = f" ({plain(messages.reason)})" if messages.reason else ""
    message = (
        f"Paused by {plain(messages.by) or 'someone'} at {messages.at:%Y-%m-%d %H:%M:%S} UTC{why}"
    )
    return [message, "", "Go on with", "", _item(progress, ("resume", {"by": "..."}))]


def _waiting(progress: Progress, waiting: PendingQuestion) -> list[str]:
    approved = ", ".join(map(plain, waiting.approved_by))
    lines = [f"Waits since {waiting.since:%Y-%m-%d %H:%M:%S} UTC: {plain(waiting.message)}"]
    if approved:
        lines += ["", f"Approved so far by {approved}"]
    if waiting.remaining:
        lines += ["", "Still there when it asked", ""]
        lines += [f"- {plain(whom(remaining))}" for remaining in waiting.remaining]
    lines += ["", "Answer with one of", ""]
    return lines + [_item(progress, answer) for answer in answers(waiting)]


def _item(progress: Progress, answer: Answer) -> str:
    verb, payload = answer
    return (
        f"- `temporal workflow signal --workflow-id switchover-{progress.estate} --name {verb} "
        f"--input '{json.dumps(payload)}'`"
    )


def _table(title: str, stages: Iterable[StageProgress]) -> list[str]:
    rows = [_row(stage) for stage in stages]
    if not rows:
        return []
    head = ["| | stage | done |", "|---|---|---|"]
    return [*([f"**{title}**", ""] if title else []), *head, *rows]


def _row(stage: StageProgress) -> str:
    """One row; few columns, since the Web UI leaves no space between them."""
    done = sum(action.status is Status.DONE for action in stage.actions)
    gate = ", gated" if stage.gated else ""
    seconds = "" if stage.seconds is None else f", {stage.seconds:.1f} s"
    return (
        f"| {MARKS[stage.status]} | {stage.number} `{stage.stage}`{gate} | "
        f"{done} of {len(stage.actions)}{seconds} |"
    )


def _nodes(nodes: Sequence[NodeProgress]) -> list[str]:
    rows = [
        f"| {plain(node.node)} | "
        + " | ".join(
            f"{MARKS[one.status]} {one.done} of {one.actions}" if one.actions else ""
            for one in node.stages
        )
        + " |"
        for node in nodes
    ]
    if not rows:
        return []
    names = [one.stage for one in nodes[0].stages]
    stages = " | ".join(f"{name.number} `{name}`" for name in names)
    return [f"| node | {stages} |", "|---" * (len(names) + 1) + "|", *rows]


def _orders(stage: StageProgress) -> list[str]:
    return [f"**{stage.number} {stage.title}**", "", *map(_order, stage.actions)]


def _order(action: ActionProgress) -> str:
    failure = (
        ""
        if action.failure is None
        else f": {action.failure.kind}: {plain(action.failure.message)}"
    )
    skipped = " (left out)" if action.status is Status.SKIPPED else ""
    return f"- {MARKS[action.status]} {plain(action.message)}{skipped}{failure}"


def _said(progress: Progress, *, counted: bool) -> Iterator[str]:
    messages = [one for one in progress.messages if one.counted is counted]
    for one in messages[-MAX_MESSAGES:]:
        about = plain(" ".join(filter(None, (one.verb, one.stage, one.node))))
        by = f" by {plain(one.by)}" if one.by else ""
        why = f" ({plain(one.reason)})" if one.reason else ""
        yield f"{about}{by}{why}: {plain(one.effect)}"


def _listed(title: str, items: Iterable[str]) -> list[str]:
    lines = [f"- {item}" for item in items]
    return [f"**{title}**", "", *lines] if lines else []
