"""Every invariant is reported where it is violated."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.checker.invariants import Roles, in_intervals, in_samples
from lab.recorder.samples import Sample
from tests.support import perfect_records as flawless
from tests.support.perfect_records import Change, added, both, moved, server2_drains_late, without

EDGES = ("edge1", "edge2")
SPOILED: dict[int, dict[str, Change]] = {
    1: {
        "scheduling starts before the source's has stopped": moved(
            "cluster2-server1 scheduler start", 6.5
        ),
        "one Folder Monitor of the source is never stopped": without(
            "cluster1-server2 folder_monitor stop"
        ),
    },
    2: {
        "traffic moves to a cluster whose servers were stopped": both(
            *(added(f"cluster2-{edge} ssh stop", 5.5) for edge in EDGES)
        ),
        "the source stops serving before traffic has moved": both(
            *(moved(f"cluster1-{edge} ssh drain", 4.5) for edge in EDGES)
        ),
        "traffic goes nowhere": added("loadbalancer1 traffic redirect", 5.9),
    },
    3: {
        "a TM drains while its own protocol server runs": moved("cluster1-server1 ssh stopped", 49),
        "a TM drains while an Edge's protocol server runs": moved(
            "cluster1-edge2 http stopped", 49
        ),
        "a TM is stopped at once under protocol servers": added("cluster1-server1 tm stop", 15.2),
    },
    4: {
        "traffic moves while one direction still replicates": moved(
            "database2 cluster1_to_cluster2 disable", 6.5
        ),
        "replication is resumed before traffic moves": added(
            "database1 cluster2_to_cluster1 enable", 5.5
        ),
    },
    5: {
        "a service of the target is stopped": added("cluster2-edge1 http stop", 30.5),
        "scheduling of the target is stopped that this run did not start": added(
            "cluster2-server1 scheduler stop", 1.5
        ),
    },
    6: {
        "a drain while the node's Monitor runs": moved("cluster1-server1 monitor stop", 49),
        "a Monitor that starts during a drain": added("cluster1-server1 monitor start", 15.5),
    },
    7: {
        "a pending stop is repeated": added("cluster1-server1 http drain", 15.5, changed=False),
        "a pending stop is overtaken by a start": added("cluster1-server1 http start", 15.5),
    },
}


def test_a_flawless_run_breaks_nothing(roles: Roles) -> None:
    """Every effect and every interval is judged, and none is found bad."""
    judged, broken = in_intervals(roles, flawless.effects(roles))

    assert broken == []
    assert judged == 7 * 43


@pytest.mark.parametrize(
    ("number", "name"), [(number, name) for number, some in SPOILED.items() for name in some]
)
def test_a_broken_invariant_is_found(roles: Roles, number: int, name: str) -> None:
    """It is computed from the intervals between effects, whenever samples were taken."""
    _, broken = in_intervals(roles, SPOILED[number][name](flawless.effects(roles)))

    assert number in {violation.number for violation in broken}, broken


def test_allowed_stops_on_the_target_break_nothing(roles: Roles) -> None:
    """Its Monitor, and scheduling that this run has started, may be stopped there."""
    allowed = both(
        added("cluster2-edge1 monitor stop", 0.5), added("cluster2-server1 scheduler stop", 16.5)
    )
    assert in_intervals(roles, allowed(flawless.effects(roles)))[1] == []


def test_what_lasts_is_one_violation(roles: Roles) -> None:
    """A state that stays broken for many intervals is counted once."""
    record = without("cluster1-server2 folder_monitor stop")(flawless.effects(roles))

    assert [violation.number for violation in in_intervals(roles, record)[1]] == [1]


def _without_service(sample: Sample, node: str, service: str) -> Sample:
    remaining = [one for one in sample.running[node] if one != service]
    return replace(sample, running={**sample.running, node: remaining})


def _closed(sample: Sample, cluster: str) -> Sample:
    serving = {n: [] if cluster in n else ports for n, ports in sample.serving.items()}
    return replace(sample, serving=serving)


SAMPLED: dict[str, tuple[int, Callable[[Sample], Sample]]] = {
    "scheduling on both": (
        1,
        lambda s: replace(s, scheduling={**s.scheduling, "cluster2-server1": ["scheduler"]}),
    ),
    "ports closed where traffic goes": (2, lambda s: _closed(s, "cluster1")),
    "traffic going nowhere": (2, lambda s: replace(s, traffic="")),
    "traffic going to both, and one closed": (
        2,
        lambda s: _closed(replace(s, traffic="cluster1 and cluster2"), "cluster2"),
    ),
    "a protocol server without TMs": (3, lambda s: _without_service(s, "cluster1-server2", "tm")),
    "file replication at rest": (4, lambda s: replace(s, synced=False)),
    "a service of the target down": (5, lambda s: _without_service(s, "cluster2-edge1", "socks")),
}


@pytest.mark.parametrize("name", SAMPLED)
def test_a_broken_invariant_is_found_in_samples(roles: Roles, name: str) -> None:
    """What was read from the machines counts, too."""
    number, spoil = SAMPLED[name]
    good = flawless.sample(roles)

    judged, broken = in_samples(roles, [good, spoil(good), spoil(good), good])

    assert [violation.number for violation in broken] == [number]
    assert judged == 20


def test_traffic_may_go_to_both_while_both_serve(roles: Roles) -> None:
    """A load balancer that is told one server after the other."""
    good = flawless.sample(roles)
    _, broken = in_samples(roles, [good, replace(good, traffic="cluster1 and cluster2"), good])
    assert broken == []


@pytest.mark.parametrize(
    ("late", "broken"),
    [
        ("cluster1-server2 ssh stopped", []),
        ("cluster1-server1 ssh stopped", [3]),
        ("cluster1-edge1 ssh stopped", [3]),
    ],
)
def test_node_by_node_a_manager_waits_for_its_own_node_and_the_edges(
    roles: Roles, late: str, broken: list[int]
) -> None:
    """Invariant 3 in its per-node form: another Server may still drain, an Edge may not."""
    record = server2_drains_late(late)(flawless.effects(roles))
    found = in_intervals(replace(roles, variant="by_node"), record)[1]
    assert [violation.number for violation in found] == broken
