"""What differs between a plan that was reviewed and the plan as it is now? Pure.

Estates are compared key by key, their nodes, hosts and links by name; orders by stage and key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING

from workflows.model.actions import Action
from workflows.model.base import Value

if TYPE_CHECKING:
    from workflows.planning.plan import Plan, Stage

SHOWN = 8
"""Lines of a refusal: more of them nobody reads there."""
LONGEST = 48
"""Characters of a value."""
NAMES = ("name", "protocol")
"""The fields that a value of a list goes by, where it has one."""


def refusal(pinned: str, reviewed: Plan | None, now: Plan) -> str:
    """Return why a start that pinned another plan is refused, and what has changed."""
    head = f"plan_hash: {pinned} was reviewed, but the plan is now {now.hash}"
    again = "look at it again with `switchover plan`"
    if reviewed is None:
        return (
            f"{head}; this worker has not kept the reviewed one, so it cannot say what has "
            f"changed; {again}"
        )
    found = changes(reviewed, now) or ("nothing in it: another version of the worker wrote it",)
    shown, rest = found[:SHOWN], found[SHOWN:]
    more = [f"and {len(rest)} more"] if rest else []
    lines = (f"- {one}" for one in [*shown, *more])
    return "\n".join([f"{head}; what has changed:", *lines, again])


def changes(reviewed: Plan, now: Plan) -> tuple[str, ...]:
    """Return everything in which two plans differ, what people decide first."""
    return tuple(
        chain(
            _differences("", _fields(reviewed), _fields(now)),
            _differences("", _parts(reviewed.estate), _parts(now.estate)),
            _of_stages(reviewed, now),
        )
    )


def _fields(plan: Plan) -> dict[str, object]:
    own = _parts(plan)
    return {name: value for name, value in own.items() if name not in ("estate", "stages")}


def _parts(value: Value) -> dict[str, object]:
    return {name: getattr(value, name) for name in type(value).model_fields}


def _differences(path: str, before: object, after: object) -> Iterator[str]:
    """Yield each difference by its path, as deep as there are names for it."""
    if before == after:
        return
    old, new = _named(before), _named(after)
    if old is None or new is None:
        yield f"{path}: {_shown(before, after)}"
        return
    for key in dict.fromkeys((*old, *new)):
        name = f"{path}.{key}" if path else key
        if key not in new:
            yield f"{name} is gone"
        elif key not in old:
            yield f"{name} is new"
        else:
            yield from _differences(name, old[key], new[key])
    if list(old) != list(new) and set(old) == set(new):
        yield f"{path}: in another order"


def _named(value: object) -> Mapping[str, object] | None:
    """Return the parts of a value by name; None where it has no parts, or none with names."""
    if isinstance(value, Value):
        return _parts(value)
    if isinstance(value, Mapping):
        return {str(key): part for key, part in value.items()}
    if isinstance(value, tuple) and all(isinstance(part, Value) for part in value):
        names = [
            str(getattr(part, field))
            for part in value
            for field in NAMES
            if field in type(part).model_fields
        ]
        if len(set(names)) == len(value) == len(names):
            return dict(zip(names, value, strict=True))
    return None


def _of_stages(reviewed: Plan, now: Plan) -> Iterator[str]:
    before = {stage.name: stage for stage in reviewed.stages}
    after = {stage.name: stage for stage in now.stages}
    for name in dict.fromkeys((*before, *after)):
        if name not in after or name not in before:
            yield f"stage {name} is {'gone' if name in before else 'new'}"
        elif before[name] != after[name]:
            yield from _of_stage(before[name], after[name])
    if list(before) != list(after) and set(before) == set(after):
        yield "stages: in another order"


def _of_stage(before: Stage, after: Stage) -> Iterator[str]:
    name = f"stage {before.name}"
    if before.gated is not after.gated:
        yield f"{name}: {'waits' if after.gated else 'no longer waits'} for an approval"
    old = {action.key: action for action in before.actions}
    new = {action.key: action for action in after.actions}
    yield from (f"{name}: {action} is gone" for key, action in old.items() if key not in new)
    yield from (f"{name}: {action} is new" for key, action in new.items() if key not in old)
    common = [(old[key], new[key]) for key in old if key in new]
    yield from _of_orders(name, [(a, b) for a, b in common if a != b])
    if [[o.key for o in wave if o.key in new] for wave in before.waves] != [
        [o.key for o in wave if o.key in old] for wave in after.waves
    ]:
        yield f"{name}: its orders come in another order"


def _of_orders(name: str, pairs: list[tuple[Action, Action]]) -> Iterator[str]:
    """Yield each kind of change once: one of the estate's fields may change hundreds of orders."""
    alike: dict[str, list[Action]] = {}
    for before, after in pairs:
        message = "; ".join(_differences("", before, after))
        alike.setdefault(message, []).append(after)
    for message, actions in alike.items():
        more = f" and {len(actions) - 1} more orders" if actions[1:] else ""
        yield f"{name}: {actions[0]}{more}: {message}"


def _shown(before: object, after: object) -> str:
    old, new = _said(before), _said(after)
    return f"{old} -> {new}" if old != new else f"{old} is another one"


def _said(value: object) -> str:
    match value:
        case None | () | "":
            message = "nothing"
        case timedelta():
            message = f"{value.total_seconds():g} s"
        case bool():
            message = "yes" if value else "no"
        case tuple():
            message = ", ".join(map(_said, value))
        case Mapping():
            message = ", ".join(f"{key}: {_said(part)}" for key, part in value.items())
        case _:
            message = str(value)
    return message if len(message) <= LONGEST else f"{message[:LONGEST]}..."
