"""Every invariant is reported where it is violated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.checker.invariants import Roles, in_intervals, in_samples
from lab.recorder.effects import RecordedEffect
from lab.recorder.samples import Sample
from tests.support import perfect_records as flawless
from tests.support.perfect_records import added, moved, without

SPOILED: dict[str, tuple[int, Callable[[list[RecordedEffect]], list[RecordedEffect]]]] = {
    "scheduling starts before the source's has stopped": (
        1,
        lambda r: moved(r, "cluster2-server1 scheduler start", 6.5),
    ),
    "one Folder Monitor of the source is never stopped": (
        1,
        lambda r: without(r, "cluster1-server2 folder_monitor stop"),
    ),
    "traffic moves to a cluster whose servers were stopped": (
        2,
        lambda r: _stopped_at(r, "cluster2", 5.5),
    ),
    "the source stops serving before traffic has moved": (
        2,
        lambda r: _drained_at(r, 4.5),
    ),
    "traffic goes nowhere": (
        2,
        lambda r: added(r, "loadbalancer1 traffic redirect", 5.9),
    ),
    "a TM drains while its own protocol server runs": (
        3,
        lambda r: moved(r, "cluster1-server1 ssh stopped", 49),
    ),
    "a TM drains while an Edge's protocol server runs": (
        3,
        lambda r: moved(r, "cluster1-edge2 http stopped", 49),
    ),
    "a TM is stopped at once under protocol servers": (
        3,
        lambda r: added(r, "cluster1-server1 tm stop", 15.2),
    ),
    "traffic moves while one direction still replicates": (
        4,
        lambda r: moved(r, "database2 cluster1_to_cluster2 disable", 6.5),
    ),
    "replication comes back before traffic moves": (
        4,
        lambda r: added(r, "database1 cluster2_to_cluster1 enable", 5.5),
    ),
    "something is stopped on the target": (
        5,
        lambda r: added(r, "cluster2-edge1 http stop", 30.5),
    ),
    "scheduling of the target is stopped that this run did not start": (
        5,
        lambda r: added(r, "cluster2-server1 scheduler stop", 1.5),
    ),
    "a drain while the node's Monitor runs": (
        6,
        lambda r: moved(r, "cluster1-server1 monitor stop", 49),
    ),
    "a Monitor that comes back during a drain": (
        6,
        lambda r: added(r, "cluster1-server1 monitor start", 15.5),
    ),
    "a pending stop is repeated": (
        7,
        lambda r: added(r, "cluster1-server1 http drain", 15.5, changed=False),
    ),
    "a pending stop is overtaken by a start": (
        7,
        lambda r: added(r, "cluster1-server1 http start", 15.5),
    ),
}


def _stopped_at(record: list[RecordedEffect], cluster: str, at: float) -> list[RecordedEffect]:
    for edge in ("edge1", "edge2"):
        record = added(record, f"{cluster}-{edge} ssh stop", at)
    return record


def _drained_at(record: list[RecordedEffect], at: float) -> list[RecordedEffect]:
    for edge in ("edge1", "edge2"):
        record = moved(record, f"cluster1-{edge} ssh drain", at)
    return record


def test_a_flawless_run_breaks_nothing(roles: Roles) -> None:
    """Every effect and every interval is judged, and none is found bad."""
    judged, broken = in_intervals(roles, flawless.effects(roles))

    assert broken == []
    assert judged == 7 * 43


@pytest.mark.parametrize("name", SPOILED)
def test_a_broken_invariant_is_found(roles: Roles, name: str) -> None:
    """Computed from the intervals between effects: no sample has to be lucky."""
    number, spoil = SPOILED[name]

    _, broken = in_intervals(roles, spoil(flawless.effects(roles)))

    assert number in {violation.number for violation in broken}, broken


def test_allowed_stops_on_the_target_break_nothing(roles: Roles) -> None:
    """Its Monitor, and scheduling that this run has started, may be stopped there."""
    record = flawless.effects(roles)
    record = added(record, "cluster2-edge1 monitor stop", 0.5)
    record = added(record, "cluster2-server1 scheduler stop", 16.5)

    _, broken = in_intervals(roles, record)

    assert broken == []


def test_what_lasts_is_one_violation(roles: Roles) -> None:
    """A state that stays broken for many intervals is counted once."""
    record = without(flawless.effects(roles), "cluster1-server2 folder_monitor stop")

    _, broken = in_intervals(roles, record)

    assert [violation.number for violation in broken] == [1]


def _without_service(sample: Sample, node: str, service: str) -> Sample:
    left = [one for one in sample.running[node] if one != service]
    return replace(sample, running={**sample.running, node: left})


def _deaf(sample: Sample, cluster: str) -> Sample:
    serving = {n: [] if cluster in n else ports for n, ports in sample.serving.items()}
    return replace(sample, serving=serving)


SEEN: dict[str, tuple[int, Callable[[Sample], Sample]]] = {
    "scheduling on both": (
        1,
        lambda s: replace(s, scheduling={**s.scheduling, "cluster2-server1": ["scheduler"]}),
    ),
    "ports closed where traffic goes": (2, lambda s: _deaf(s, "cluster1")),
    "traffic going nowhere": (2, lambda s: replace(s, traffic="")),
    "a protocol server without TMs": (
        3,
        lambda s: _without_service(s, "cluster1-server2", "tm"),
    ),
    "file replication at rest": (4, lambda s: replace(s, synced=False)),
    "a service of the target gone": (
        5,
        lambda s: _without_service(s, "cluster2-edge1", "socks"),
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_a_broken_invariant_is_seen(roles: Roles, name: str) -> None:
    """What was really read from the machines counts, too."""
    number, spoil = SEEN[name]
    good = flawless.sample(roles)

    judged, broken = in_samples(roles, [good, spoil(good), spoil(good), good])

    assert [violation.number for violation in broken] == [number]
    assert judged == 20


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
    record = flawless.effects(roles)
    drains = next(r.at for r in record if str(r.effect) == "cluster1-server1 tm drain")
    ends = next(r.at for r in record if str(r.effect) == "cluster1-server1 tm stopped")
    record = moved(record, "cluster1-server2 tm drain", ends + 0.7)
    record = moved(record, "cluster1-server2 tm stopped", ends + 0.8)
    assert drains < ends
    found = in_intervals(replace(roles, variant="by_node"), moved(record, late, ends + 0.5))[1]
    assert [violation.number for violation in found] == broken
