"""Show the progress of a run in the Web UI, without a query, as Markdown."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from workflows.execution.drain_timeout import describe_remaining
from workflows.model.progress import (
    ActionProgress,
    NodeProgress,
    NodeStage,
    PendingQuestion,
    Progress,
    StageProgress,
    Status,
)
from workflows.model.text import left_out, printable
from workflows.views.direction import direction
from workflows.views.suggested_answers import (
    Answer,
    answers,
    author,
    decision_text,
    ignored,
    pause,
    waits,
)

SIGNS = {
    Status.PENDING: "·",
    Status.WAITING: "⏸",
    Status.RUNNING: "▶",
    Status.DONE: "✔",
    Status.FAILED: "✖",
    Status.SKIPPED: "-",
}

TIME = "%Y-%m-%d %H:%M:%S UTC"
MAX_MESSAGES = 5


def details(progress: Progress) -> str:
    """Return the current details of a run: what it waits for, then where everything is."""
    state = progress.outcome or progress.state.value.replace("_", " ")
    way = direction(progress.procedure, progress.source, progress.target)
    title = f"**{progress.estate}: {way}, {state}**"
    if progress.reason:
        title += plain(f" ({progress.reason})")
    sections = (
        [title],
        _paused(progress),
        *(_question(progress, question) for question in waits(progress)),
        ["**Rollback**"] if progress.undo else [],
        _stages(progress.undo),
        _stages(progress.stages),
        _nodes(progress.nodes),
        *map(_actions, at_work(progress)),
        bulleted("Exceptions", map(plain, progress.exceptions)),
        bulleted("Configuration changes", map(plain, map(str, progress.configuration_changes))),
        bulleted("Findings", map(plain, _findings(progress))),
        bulleted("Decisions", _messages(progress, counted=True)),
        bulleted("Messages that changed nothing", _messages(progress, counted=False)),
    )
    return "\n\n".join("\n".join(section) for section in sections if section)


def _findings(progress: Progress) -> tuple[str, ...]:
    return (*map(str, progress.findings), *left_out(progress.more_findings))


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
    line = f"Paused at {message.at:{TIME}}{plain(author(message))}"
    return [line, "", "Resume with", "", _item(progress, ("resume", {"by": "..."}))]


def _question(progress: Progress, question: PendingQuestion) -> list[str]:
    lines = [f"Waits since {question.since:{TIME}}: {plain(question.message)}"]
    if question.approved_by:
        lines += ["", f"Approved so far by {plain(', '.join(question.approved_by))}"]
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


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a table; none without a row."""
    heads = [*heads]
    lines = [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]
    return lines if len(lines) > len(("head", "rule")) else []


def _stages(stages: Iterable[StageProgress]) -> list[str]:
    # Few columns, since the Web UI leaves no space between them.
    return table(("", "stage", "done"), map(_row, stages))


def _row(stage: StageProgress) -> tuple[str, str, str]:
    done = sum(action.status is Status.DONE for action in stage.actions)
    gate = ", gated" if stage.gated else ""
    seconds = "" if stage.seconds is None else f", {stage.seconds:.1f} s"
    name = f"{stage.number} `{stage.stage}`{gate}"
    return SIGNS[stage.status], name, f"{done} of {len(stage.actions)}{seconds}"


def _nodes(nodes: Sequence[NodeProgress]) -> list[str]:
    if not nodes:
        return []
    names = [f"{one.stage.number} `{one.stage}`" for one in nodes[0].stages]
    rows = ((plain(node.node), *map(_cell, node.stages)) for node in nodes)
    return table(("node", *names), rows)


def _cell(one: NodeStage) -> str:
    return f"{SIGNS[one.status]} {one.done} of {one.actions}" if one.actions else ""


def _actions(stage: StageProgress) -> list[str]:
    return [f"**{stage.number} {stage.title}**", "", *map(_action, stage.actions)]


def _action(action: ActionProgress) -> str:
    failure = action.failure
    why = f": {failure.kind}: {failure.message}" if failure else ""
    skipped = " (skipped)" if action.status is Status.SKIPPED else ""
    return f"- {SIGNS[action.status]} {plain(f'{action.message}{skipped}{why}')}"


def _messages(progress: Progress, *, counted: bool) -> Iterator[str]:
    messages = [one for one in progress.messages if one.counted is counted]
    for one in messages[-MAX_MESSAGES:]:
        yield plain(f"{decision_text(one)}: {one.effect}")
    if not counted and (older := ignored(progress)):
        yield older


def bulleted(title: str, items: Iterable[str]) -> list[str]:
    """Return a titled list; nothing without an item."""
    lines = [f"- {item}" for item in items]
    return [f"**{title}**", "", *lines] if lines else []
