"""Records with one thing wrong, and the number that must report it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.checker.evidence import ClientOperation, Evidence, SessionEvent
from lab.checker.expected import chains, expected_effects, misordered
from lab.checker.invariants import Roles
from lab.checker.verdict import Run, judge
from lab.recorder.effects import RecordedEffect
from tests.support import perfect_records as flawless
from tests.support.perfect_records import RUN, added, moved, without

Wrong = Callable[[Evidence], Evidence]


def test_a_flawless_run_has_no_problem(roles: Roles) -> None:
    """Nothing is wrong with records in which nothing went wrong, and they have the agreed shape."""
    verdict = flawless.verdict(roles, flawless.evidence(roles))

    assert verdict.problems() == []
    shown = verdict.as_json()
    assert shown["traffic"]["attempted"] == 3
    assert shown["traffic"]["straddling"] == 1
    assert shown["files"] == {"expected": 2, "missing": 0, "corrupt": 0, "duplicated": 0}
    assert shown["events"] == {"expected": 1, "missing": 0, "duplicated": 0}
    assert shown["effects"]["expected"] == shown["effects"]["recorded"] == 43
    assert shown["stages"] == ({"stage": "stop_monitors", "seconds": 0.5},)
    assert set(shown) >= {
        *("outcome", "traffic", "files", "events", "effects", "invariants", "seconds", "stages")
    }


def effects(change: Callable[[list[RecordedEffect]], list[RecordedEffect]]) -> Wrong:
    """Change the record of effects."""
    return lambda evidence: replace(evidence, effects=change(evidence.effects))


def stored(cluster: str, path: str, digest: str | None) -> Wrong:
    """Change, or remove, one file on one storage."""

    def change(evidence: Evidence) -> Evidence:
        files = {**evidence.stored[cluster], path: digest}
        kept = {path: digest for path, digest in files.items() if digest is not None}
        return replace(evidence, stored={**evidence.stored, cluster: kept})

    return change


def work(*done: tuple[str, str]) -> Wrong:
    """Do more, or something else, than was to be done."""
    return lambda evidence: replace(evidence, work=evidence.work + Counter(done))


def tried(one: ClientOperation) -> Wrong:
    """Try one thing more."""
    return lambda evidence: replace(evidence, operations=[*evidence.operations, one])


FILE = "accounts/partner001/file"
PLANTED: dict[str, tuple[Wrong, str]] = {
    "a failed operation": (
        tried(ClientOperation(9, 9, "client002", "list", ok=False, message="refused")),
        "traffic: 1 failed",
    ),
    "a refused connection": (
        tried(ClientOperation(6.0, 6.1, "client003", "connect", ok=False, message="refused")),
        "traffic: 1 failed",
    ),
    "a young read refused for another reason": (
        tried(
            ClientOperation(
                9, 9, "client002", "young_get", ok=False, message="SFTPFailure: shutting down"
            )
        ),
        "traffic: 1 failed",
    ),
    "a file missing on the source": (stored("cluster1", FILE, None), "files: 1 missing"),
    "a file missing on the target": (stored("cluster2", FILE, None), "files: 1 missing"),
    "a drop that was not picked up": (
        stored("cluster2", "done/drop0001.dat", None),
        "files: 1 missing",
    ),
    "a corrupt file": (stored("cluster2", FILE, "c" * 64), "files: 1 corrupt"),
    "a file picked up twice": (work(("pickup", "drop0001.dat")), "files: 1 duplicated"),
    "a slot run twice": (work(("schedule", "t@1")), "files: 1 duplicated"),
    "an event worked off twice": (work(("event", "id1")), "events: 1 duplicated"),
    "an event that was not processed": (
        lambda evidence: replace(evidence, work=Counter()),
        "events: 1 missing",
    ),
    "an upload that was not tracked": (
        lambda evidence: replace(evidence, uploads={}),
        "events: 1 missing",
    ),
    "a stop repeated": (
        effects(lambda r: added(r, "cluster1-edge1 monitor stop", 5.5, changed=False)),
        "effects: 1 repeated",
    ),
    "a drain repeated while pending": (
        effects(lambda r: added(r, "cluster1-server1 ssh drain", 17.5, changed=False)),
        "effects: 1 repeated",
    ),
    "a start repeated": (
        effects(lambda r: added(r, "cluster2-server1 scheduler start", 49, changed=False)),
        "effects: 1 repeated",
    ),
    "a redirect repeated": (
        effects(lambda r: added(r, "loadbalancer1 traffic redirect cluster2", 8, changed=False)),
        "effects: 1 repeated",
    ),
    "a stop after the stop had landed": (
        effects(lambda r: added(r, "cluster1-server1 tm stop", 49, changed=False)),
        "effects: 1 repeated",
    ),
    "an effect skipped": (
        effects(lambda r: without(r, "cluster1-edge2 socks stop")),
        "effects: 1 skipped",
    ),
    "an order that found its state": (
        effects(lambda r: added(r, "cluster1-edge1 as2 stop", 20, changed=False)),
        "effects: 1 unexpected",
    ),
    "an unexpected effect": (
        effects(lambda r: added(r, "cluster1-edge1 ssh died", 20)),
        "effects: 1 unexpected",
    ),
    "a Monitor stopped too late": (
        effects(lambda r: moved(r, "cluster1-edge1 monitor stop", 49)),
        "misordered",
    ),
    "scheduling started too early": (
        effects(lambda r: moved(r, "cluster2-server1 scheduler start", 6.5)),
        "effects: 1 misordered",
    ),
    "a TM drained too early": (
        effects(lambda r: moved(r, "cluster1-server1 tm drain", 16.5)),
        "effects: 1 misordered",
    ),
    "admin stopped too early": (
        effects(lambda r: moved(r, "cluster1-server1 admin stop", 17.5)),
        "effects: 1 misordered",
    ),
    "an unfinished file left behind": (
        lambda evidence: replace(evidence, orphans=1),
        "1 unfinished files remain",
    ),
    "a transfer left in progress": (
        lambda evidence: replace(evidence, in_progress=1),
        "1 transfers stay In Progress",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_went_wrong_is_a_problem(roles: Roles, name: str) -> None:
    """Each fault is reported by its own number."""
    spoil, problem = PLANTED[name]

    problems = flawless.verdict(roles, spoil(flawless.evidence(roles))).problems()

    assert any(problem in one for one in problems), problems


EMPTY: dict[str, tuple[Wrong, str]] = {
    "no traffic": (lambda e: replace(e, operations=[]), "traffic: attempted is zero"),
    "no client": (lambda e: replace(e, operations=[]), "traffic: clients is zero"),
    "no straddling transfer": (
        lambda e: replace(e, operations=[one for one in e.operations if one.operation != "put"]),
        "traffic: straddling is zero",
    ),
    "no file": (lambda e: replace(e, operations=e.operations[:1]), "files: expected is zero"),
    "no event": (lambda e: replace(e, operations=e.operations[:1]), "events: expected is zero"),
    "no effect": (lambda e: replace(e, effects=[]), "effects: recorded is zero"),
    "no sample": (lambda e: replace(e, samples=[]), "invariants: samples is zero"),
    "no session": (lambda e: replace(e, sessions=[]), "no client moved"),
    "no session on the target": (
        lambda e: replace(e, sessions=[v for v in e.sessions if "cluster1" in v.node]),
        "no client moved",
    ),
}


@pytest.mark.parametrize("name", EMPTY)
def test_what_was_not_measured_is_a_problem(roles: Roles, name: str) -> None:
    """A denominator of zero proves nothing, so it fails the run."""
    spoil, problem = EMPTY[name]

    problems = flawless.verdict(roles, spoil(flawless.evidence(roles))).problems()

    assert any(problem in one for one in problems), problems


def test_work_done_twice_is_named(roles: Roles) -> None:
    """The details name what was done twice."""
    twice = work(("pickup", "drop0001.dat"))(flawless.evidence(roles))

    assert flawless.verdict(roles, twice).details["duplicated"] == ["pickup drop0001.dat"]


def test_an_unfinished_run_is_a_problem(roles: Roles) -> None:
    """However good the records are, another outcome than completed is none."""
    run = Run("rolled_back", 0, 1)

    problems = judge(roles, run, flawless.evidence(roles)).problems()

    assert problems == ["the outcome is rolled_back, expected completed"]


@pytest.mark.parametrize("message", ["SFTPNoSuchFile: file", "Unexpected: HTTP status 404"])
def test_young_reads_are_counted_apart(roles: Roles, message: str) -> None:
    """Reading what cannot be there yet is measured, and fails nothing."""
    young = ClientOperation(9, 9, "client002", "young_get", ok=False, message=message)
    verdict = flawless.verdict(roles, tried(young)(flawless.evidence(roles)))

    assert verdict.problems() == []
    assert (verdict.traffic.young_reads, verdict.traffic.young_reads_failed) == (1, 1)


def gap(roles: Roles, *more: ClientOperation) -> float | None:
    """The redirect's gap with these further connections."""
    evidence = flawless.evidence(roles)
    evidence = replace(evidence, operations=[*evidence.operations, *more])
    return flawless.verdict(roles, evidence).traffic.redirect_gap_seconds


def test_the_gap_begins_with_the_source_s_last_session(roles: Roles) -> None:
    """Without a failed or delayed connection it is the time between two sessions."""
    assert gap(roles) == pytest.approx(1.2)


def test_the_gap_begins_with_the_first_refusal(roles: Roles) -> None:
    """A refused connection around the redirect counts from the event it was tried."""
    assert gap(roles, ClientOperation(5.9, 6.05, "c", "connect", ok=False)) == pytest.approx(0.3)


def test_the_gap_begins_with_the_first_delay(roles: Roles) -> None:
    """So does one that took much longer than connections take."""
    assert gap(roles, ClientOperation(5.7, 6.2, "c", "connect")) == pytest.approx(0.5)


def test_a_refusal_long_before_is_not_the_redirect_s(roles: Roles) -> None:
    """It counts as failed, but the gap is not an hour long."""
    assert gap(roles, ClientOperation(1.0, 1.1, "c", "connect", ok=False)) == pytest.approx(1.2)


LAST_START = "cluster2-server2 folder_monitor start"


def test_seconds_are_the_clients_or_ours(roles: Roles) -> None:
    """From the target's scheduling until the last client had left, time is the clients'."""
    evidence = flawless.evidence(roles)
    late = SessionEvent(44.0, "cluster1-edge1", "partner001", "end")
    seconds = flawless.verdict(
        roles, replace(evidence, sessions=[*evidence.sessions, late])
    ).seconds

    started = evidence.effects[flawless.find(evidence.effects, LAST_START)].at
    assert seconds.total == RUN.ended - RUN.began
    assert seconds.drain == 44.0 - started
    assert seconds.orchestration == seconds.total - seconds.drain


@pytest.mark.parametrize(
    ("late", "count"),
    [("cluster1-server2 ssh stopped", 0), ("cluster1-edge1 ssh stopped", 1)],
)
def test_node_by_node_the_order_is_each_servers_own(roles: Roles, late: str, count: int) -> None:
    """A Transaction Manager may stop before another Server has drained, not before an Edge."""
    record = flawless.effects(roles)
    ends = next(r.at for r in record if str(r.effect) == "cluster1-server1 tm stopped")
    record = moved(record, "cluster1-server2 tm drain", ends + 0.7)
    record = moved(record, "cluster1-server2 tm stopped", ends + 0.8)
    record = moved(record, late, ends + 0.5)
    expected = expected_effects(roles.estate, roles.source, roles.target)
    found = misordered(record, expected, concerns=chains(roles.estate, "by_node"))
    assert len(found) >= count
    assert bool(found) is bool(count)
    assert misordered(record, expected)
