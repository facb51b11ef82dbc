"""What a refused start says about the plan that was reviewed."""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import estates
from workflows.model.estate import Estate
from workflows.planning.diff import MAX_LINE_LENGTH, MAX_SHOWN_CHANGES, changes, lines, refusal
from workflows.planning.plan import Plan
from workflows.planning.switchover import plan_switchover

BASE = plan_switchover(estates.estate(), estates.request())


def plan(**given: Any) -> Plan:  # noqa: ANN401 - keys of the estate
    """The plan of an estate with other keys."""
    return plan_switchover(estates.estate(**given), estates.request())


def test_equal_plans_have_no_changes() -> None:
    """Planned again from the same file, nothing is different."""
    assert changes(BASE, plan()) == []


@settings(deadline=None)
@given(servers=st.integers(1, 3), edges=st.integers(1, 3), more=st.integers(1, 3))
def test_added_and_removed_nodes_are_named(servers: int, edges: int, more: int) -> None:
    """With every action that is added or removed because of them."""
    before, after = plan_of(servers, edges), plan_of(more, edges)
    found = changes(before, after)
    old, new = ({node.name for node in one.estate.nodes} for one in (before, after))
    assert (found == []) is (servers == more)
    for sign, names in (("+", new - old), ("-", old - new)):
        for name in names:
            some = [line for line in found if line[0] == sign and name in line]
            assert any(line.startswith(f"{sign}estate.clusters.") for line in some)
            assert any(line.startswith(f"{sign}stop_scheduling.") for line in some) is (
                name.startswith("cluster1")
            )


def plan_of(servers: int, edges: int) -> Plan:
    """The plan of an estate of this size."""
    return plan_switchover(estates.estate(servers, edges), estates.request())


def leaves(value: object) -> Iterator[object]:
    """Yield every single value of an estate's JSON."""
    if isinstance(value, dict) and value:
        yield from chain.from_iterable(map(leaves, value.values()))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from chain.from_iterable(map(leaves, value))
    else:
        yield value


def test_every_value_of_the_estate_has_its_own_line() -> None:
    """Whatever changes in an estate file after the review, the refusal shows it."""
    found = [line for line in lines(BASE) if line.startswith("estate.")]
    values = [*leaves(BASE.estate.model_dump(mode="json"))]
    assert [json.loads(line.partition(": ")[2]) for line in found] == values
    assert len({line.partition(": ")[0] for line in found}) == len(values)


def test_what_the_request_says_comes_first() -> None:
    """Roles, variant, approvals; then the estate and the stages with their gates."""
    asked = estates.request(
        source="cluster2",
        target="cluster1",
        variant="by_node",
        approve_before=["redirect_traffic"],
        approvers=["ann"],
    )
    now = plan_switchover(estates.estate(), asked)
    found = changes(BASE, now)
    assert found[:8] == [
        '-source: "cluster1"',
        '-target: "cluster2"',
        '-variant: "by_stage"',
        "-approvals.approvers: []",
        '+source: "cluster2"',
        '+target: "cluster1"',
        '+variant: "by_node"',
        '+approvals.approvers: ["ann"]',
    ]
    assert "-redirect_traffic.gated: false" in found
    assert "+redirect_traffic.gated: true" in found
    assert "+redirect_traffic.gated: false" in changes(now, BASE)


def test_a_changed_grace_is_shown_with_the_actions_that_it_changes() -> None:
    """The estate's key comes first; a path names the cluster's own node and the stage."""
    found = changes(BASE, plan(timing={"grace": 60}))
    assert found[:2] == ['-estate.timing.grace: "PT2M"', '+estate.timing.grace: "PT1M"']
    assert all("drain_protocol_servers.wave" in line for line in found[2:])
    assert any("stop http gracefully on cluster1-server1" in line for line in found[2:])


def test_added_removed_and_reordered_actions_are_shown() -> None:
    """Also where another version of the code is what planned otherwise."""
    found = changes(BASE, plan(stop_target_monitors=True))
    added = "+stop_monitors.wave 1: stop the Monitor on cluster2-server1"
    assert any(line.startswith(added) for line in found), found
    stages = [*BASE.stages]
    stages[1] = stages[1].model_copy(update={"waves": (tuple(reversed(stages[1].actions)),)})
    turned = changes(BASE, BASE.model_copy(update={"sequence": tuple(stages)}))
    assert turned
    assert all(line[1:].startswith("stop_monitors.wave 1: ") for line in turned)
    fewer = BASE.model_copy(update={"sequence": BASE.sequence[:-1]})
    assert all(line.startswith("-restore_monitors.") for line in changes(BASE, fewer))
    assert all(line.startswith("+restore_monitors.") for line in changes(fewer, BASE))


def test_nodes_in_another_sequence_are_a_change() -> None:
    """They are reached in the sequence in which the file lists them."""
    document = estates.written()
    document["clusters"][0]["nodes"].reverse()
    turned = plan_switchover(Estate.model_validate(document), estates.request())
    assert any("estate.clusters.cluster1.nodes." in line for line in changes(BASE, turned))


def refused(reviewed: Plan | None) -> str:
    """The message of a refused start."""
    return str(refusal("0" * 64, reviewed, BASE))


def test_a_refusal_is_short() -> None:
    """However much has changed; no line is endless or moves a terminal's cursor."""
    other = plan_of(3, 3).model_copy(update={"source": "\x1b[2J\x9b" * 1000})
    message = refused(other).split("\n")
    assert len(message) == MAX_SHOWN_CHANGES + 3
    assert message[0].endswith("differences:")
    assert message[-2].startswith("and ")
    assert message[-1] == "review it again with `switchover plan`"
    assert all(line.isprintable() and len(line) <= MAX_LINE_LENGTH + 3 for line in message)


def test_a_refusal_without_the_reviewed_plan_says_so() -> None:
    """Another worker made it, or its file was deleted."""
    assert refused(None) == (
        f"plan_hash: {'0' * 64} was reviewed, but the plan is now {BASE.hash}; this worker does "
        "not have the reviewed plan, so it cannot list the differences; "
        "review it again with `switchover plan`"
    )


def test_a_refusal_where_nothing_differs_blames_the_version() -> None:
    """A newer worker may write the same plan with one more key."""
    assert "no difference: another version of the worker wrote it" in refused(BASE)
