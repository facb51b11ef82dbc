"""Refuse to start a plan that differs from the reviewed one, and list the differences."""

import json
from collections.abc import Iterator
from difflib import unified_diff

from workflows.errors import BadInput
from workflows.model.text import printable
from workflows.planning.plan import Plan

MAX_SHOWN_CHANGES = 12
MAX_LINE_LENGTH = 200


def refusal(pinned: str, reviewed: Plan | None, now: Plan) -> BadInput:
    """Return why a start that pins another plan is refused, with the first differences.

    *reviewed* is the plan that the pinned hash names, if this worker has kept it.
    """
    head = f"plan_hash: {pinned} was reviewed, but the plan is now {now.hash}"
    advice = "review it again with `switchover plan`"
    if reviewed is None:
        return BadInput(
            f"{head}; this worker does not have the reviewed plan, so it cannot list the "
            f"differences; {advice}"
        )
    found = changes(reviewed, now) or ["no difference: another version of the worker wrote it"]
    shown, rest = found[:MAX_SHOWN_CHANGES], found[MAX_SHOWN_CHANGES:]
    more = [f"and {len(rest)} more lines"] if rest else []
    return BadInput("\n".join([f"{head}; differences:", *shown, *more, advice]))


def changes(reviewed: Plan, now: Plan) -> list[str]:
    """Return the lines of a diff: `-` as reviewed, `+` as it is now; the request's fields first."""
    diff = unified_diff([*lines(reviewed)], [*lines(now)], n=0, lineterm="")
    return [_bounded(line) for line in diff if not line.startswith(("--- ", "+++ ", "@@"))]


def lines(plan: Plan) -> Iterator[str]:
    """Yield a line for each scalar under its full path, so that a line is clear by itself."""
    fields = plan.model_dump(mode="json", exclude={"sequence", "seals"})
    estate = fields.pop("estate")
    yield from _scalars("", fields)
    yield from _scalars("estate", estate)
    for stage in plan.stages:
        yield f"{stage.name}.gated: {json.dumps(stage.gated)}"
        for number, wave in enumerate(stage.waves, 1):
            yield from (f"{stage.name}.wave {number}: {a} {a.model_dump_json()}" for a in wave)


def _scalars(path: str, value: object) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _scalars(f"{path}.{key}" if path else key, part)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for index, part in enumerate(value):
            yield from _scalars(f"{path}.{part.get('name', index)}", part)
    else:
        yield f"{path}: {json.dumps(value, ensure_ascii=False)}"


def _bounded(line: str) -> str:
    shown = printable(line)
    cut = shown[:MAX_LINE_LENGTH]
    return cut if cut == shown else f"{cut}..."
