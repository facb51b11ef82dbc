"""What a refused start says about the plan that was reviewed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import estates
from workflows.errors import BadInput
from workflows.model.base import Value
from workflows.model.estate import Estate
from workflows.planning.diff import SHOWN, changes
from workflows.planning.plan import Plan, plan_switchover

BASE = plan_switchover(estates.estate(), estates.request())


def plan(**given: Any) -> Plan:  # noqa: ANN401 - keys of the estate
    """The plan of an estate with other keys."""
    return plan_switchover(estates.estate(**given), estates.request())


def test_equal_plans_have_no_changes() -> None:
    """Planned again from the same file, nothing is different."""
    assert changes(BASE, plan()) == ()


@given(servers=st.integers(1, 3), edges=st.integers(1, 3), more=st.integers(1, 3))
def test_nodes_that_came_or_went_are_named(servers: int, edges: int, more: int) -> None:
    """With every order that is new or gone because of them."""
    before, after = plan_of(servers, edges), plan_of(more, edges)
    found = changes(before, after)
    old, new = ({node.name for node in one.estate.nodes} for one in (before, after))
    assert (found == ()) is (servers == more)
    for name in new - old:
        assert any(line.endswith(f"nodes.{name} is new") for line in found)
        assert any(line.startswith("stage ") and name in line for line in found)
    for name in old - new:
        assert any(line.endswith(f"nodes.{name} is gone") for line in found)


def plan_of(servers: int, edges: int) -> Plan:
    """The plan of an estate of this size."""
    return plan_switchover(estates.estate(servers, edges), estates.request())


def leaves(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where every single datum of an estate stands, as its JSON has it."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for index, part in enumerate(value):
            yield from leaves(part, (*path, index))
    else:
        yield path


DUMPED = estates.estate().model_dump(mode="json")
LEAVES = list(leaves(DUMPED))


def another(value: object) -> object:
    """Return some other value of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case list():
            return [*value, "another"] if value else ["another"]
        case None:
            return "another"
        case _:
            return f"{value}x"


@given(st.sampled_from(LEAVES))
def test_every_field_of_the_estate_is_named(path: tuple[Any, ...]) -> None:
    """Whatever is changed in an estate file after the review, the refusal can say it."""
    document = copy.deepcopy(DUMPED)
    place: Any = document
    for status in path[:-1]:
        place = place[status]
    place[path[-1]] = given = another(place[path[-1]])
    changed = _unchecked(BASE.estate, document)
    found = changes(BASE, BASE.model_copy(update={"estate": changed}))
    assert found
    name = next(part for part in reversed(path) if isinstance(part, str))
    # What has another name is another thing: the one is gone, the other is new.
    assert any(name in line or str(given) in line for line in found)


def _unchecked(like: Any, document: Any) -> Any:  # noqa: ANN401 - any part of an estate
    """Build a value of the same shape out of JSON, whether or not it makes sense."""
    if isinstance(like, Value):
        fields = {key: _unchecked(getattr(like, key), part) for key, part in document.items()}
        return type(like).model_construct(**fields)
    if isinstance(like, dict):
        return {key: _unchecked(like.get(key), part) for key, part in document.items()}
    if isinstance(like, tuple):
        pairs = zip((*like, *[None] * len(document)), document, strict=False)
        return tuple(_unchecked(part, given) for part, given in pairs)
    if isinstance(like, timedelta):
        return like + timedelta(seconds=1) if str(document).endswith("x") else like
    return document


def test_what_people_decide_is_told_in_words() -> None:
    """Roles, variant, approvals, gates; each under its own name."""
    asked = estates.request(
        source="cluster2",
        target="cluster1",
        variant="by_node",
        approve_before=["redirect_traffic"],
        approvers=["ann"],
    )
    found = changes(BASE, plan_switchover(estates.estate(), asked))
    assert found[:4] == (
        "source: cluster1 -> cluster2",
        "target: cluster2 -> cluster1",
        "variant: by_stage -> by_node",
        "approvals.approvers: nothing -> ann",
    )
    assert "stage redirect_traffic: waits for an approval" in found
    assert "stage redirect_traffic: no longer waits for an approval" in changes(
        plan_switchover(estates.estate(), asked), BASE
    )


def test_a_changed_grace_is_told_once_and_not_for_every_order() -> None:
    """One key of the estate changes every graceful stop of the plan."""
    field, stops = changes(BASE, plan(timing={"grace": 60}))
    assert field == "timing.grace: 120 s -> 60 s"
    assert stops == (
        "stage drain_protocol_servers: stop http gracefully on cluster1-server1 "
        "and 7 more orders: grace: 120 s -> 60 s"
    )


def test_orders_that_came_went_or_changed_places_are_told() -> None:
    """Also where another version of the code is what planned otherwise."""
    with_monitors = plan(stop_target_monitors=True)
    assert "stage stop_monitors: stop the Monitor on cluster2-server1 is new" in changes(
        BASE, with_monitors
    )
    stages = list(BASE.stages)
    stages[1] = stages[1].model_copy(update={"waves": (tuple(reversed(stages[1].actions)),)})
    turned = BASE.model_copy(update={"stages": tuple(stages)})
    assert changes(BASE, turned) == ("stage stop_monitors: its orders come in another order",)
    fewer = BASE.model_copy(update={"stages": BASE.stages[:-1]})
    assert changes(BASE, fewer) == ("stage restore_monitors is gone",)
    assert changes(fewer, BASE) == ("stage restore_monitors is new",)


def test_nodes_in_another_order_are_a_change() -> None:
    """They are asked in the order in which the file has them."""
    document = estates.written()
    document["clusters"][0]["nodes"].reverse()
    turned = plan_switchover(Estate.model_validate(document), estates.request())
    assert "clusters.cluster1.nodes: in another order" in changes(BASE, turned)


def refused(reviewed: Plan | None, pinned: str = "0" * 64) -> str:
    """The words of a refused start."""
    with pytest.raises(BadInput) as refusal:
        plan_switchover(estates.estate(), estates.request(plan_hash=pinned), reviewed)
    return str(refusal.value)


def test_a_refusal_has_about_ten_lines() -> None:
    """However much has changed."""
    lines = refused(plan_of(3, 3)).splitlines()
    assert len(lines) == SHOWN + 3
    assert lines[0].endswith("what has changed:")
    assert lines[-2].startswith("- and ")
    assert lines[-1] == "look at it again with `switchover plan`"


def test_a_refusal_without_the_reviewed_plan_says_so() -> None:
    """Another worker made it, or its file is gone."""
    assert refused(None) == (
        f"plan_hash: {'0' * 64} was reviewed, but the plan is now {BASE.hash}; this worker has not "
        "kept the reviewed one, so it cannot say what has changed; "
        "look at it again with `switchover plan`"
    )


def test_a_refusal_where_nothing_differs_blames_the_version() -> None:
    """A newer worker may write the same plan with one more key."""
    assert "- nothing in it: another version of the worker wrote it" in refused(BASE)
