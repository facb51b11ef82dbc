"""Show the progress of a run in the Web UI, without a query, as Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from workflows.execution.drain_timeout import describe_remaining
from workflows.model.progress import (
    ActionProgress,
    NodeProgress,
    PendingQuestion,
    Progress,
    StageProgress,
    Status,
)
from workflows.model.text import printable
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
        *(_question(progress, question) for question in waits(progress)),
        _table("Rollback", progress.undo),
        _table("", progress.stages),
        _nodes(progress.nodes),
        *map(_actions, at_work(progress)),
        _listed("Exceptions", map(plain, progress.exceptions)),
        _listed("Findings", (plain(str(finding)) for finding in progress.findings)),
        _listed("Decisions", _messages(progress, counted=True)),
        _listed("Messages that changed nothing", _messages(progress, counted=False)),
    )
    return "\n\n".join("\n".join(section) for section in sections if section)


def at_work(progress: Progress) -> tuple[StageProgress, ...]:
    """Return every stage that is under way; during a rollback only the stages of the rollback."""
    if progress.outcome is not None:
        return ()
    under_way = (Status.RUNNING, Status.WAITING, Status.FAILED)
    stages = progress.undo or progress.stages
    return tuple(stage for stage in stages if stage.status in under_way)


def plain(text: str) -> str:
    """Escape text, so that nothing of it is Markdown, HTML or a control character."""
    escaped = re.sub(r"([\\`*_{}\[\]()<>#+!|~&-])", r"\\\1", printable(text))
    return escaped.replace("://", "&#58;//")  # or the Web UI makes a link of every address


def _paused(progress: Progress) -> list[str]:
    message = pause(progress)
    if message is None:
        return []
    why = f" ({plain(message.reason)})" if message.reason else ""
    by = plain(message.by) or "an operator"
    line = f"Paused by {by} at {message.at:%Y-%m-%d %H:%M:%S} UTC{why}"
    return [line, "", "Resume with", "", _item(progress, ("resume", {"by": "..."}))]


def _question(progress: Progress, question: PendingQuestion) -> list[str]:
    approved = ", ".join(map(plain, question.approved_by))
    lines = [f"Waits since {question.since:%Y-%m-%d %H:%M:%S} UTC: {plain(question.message)}"]
    if approved:
        lines += ["", f"Approved so far by {approved}"]
    if question.remaining:
        lines += ["", "Remaining when the run asked", ""]
        lines += [f"- {plain(describe_remaining(remaining))}" for remaining in question.remaining]
    lines += ["", "Answer with one of", ""]
    return lines + [_item(progress, answer) for answer in answers(question)]


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


def _actions(stage: StageProgress) -> list[str]:
    return [f"**{stage.number} {stage.title}**", "", *map(_action, stage.actions)]


def _action(action: ActionProgress) -> str:
    failure = (
        ""
        if action.failure is None
        else f": {action.failure.kind}: {plain(action.failure.message)}"
    )
    skipped = " (skipped)" if action.status is Status.SKIPPED else ""
    return f"- {MARKS[action.status]} {plain(action.message)}{skipped}{failure}"


def _messages(progress: Progress, *, counted: bool) -> Iterator[str]:
    messages = [one for one in progress.messages if one.counted is counted]
    for one in messages[-MAX_MESSAGES:]:
        about = plain(" ".join(filter(None, (one.verb, one.stage, one.node))))
        by = f" by {plain(one.by)}" if one.by else ""
        why = f" ({plain(one.reason)})" if one.reason else ""
        yield f"{about}{by}{why}: {plain(one.effect)}"


def _listed(title: str, items: Iterable[str]) -> list[str]:
    lines = [f"- {item}" for item in items]
    return [f"**{title}**", "", *lines] if lines else []
