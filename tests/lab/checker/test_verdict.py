"""Records with one thing wrong, and the number that must report it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.checker.evidence import ClientOperation, Evidence, SessionEvent
from lab.checker.expected import Variant, chains, expected_effects, misordered
from lab.checker.invariants import Roles
from lab.checker.verdict import Run, judge
from tests.support import perfect_records as flawless
from tests.support.perfect_records import (
    RUN,
    Change,
    added,
    moved,
    server2_drains_late,
    time_of,
    without,
)

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


def effects(change: Change) -> Wrong:
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
    """Try one operation more."""
    return lambda evidence: replace(evidence, operations=[*evidence.operations, one])


def failed(operation: str, at: float, message: str) -> Wrong:
    """Let one operation more fail."""
    return tried(ClientOperation(at, at, "client002", operation, ok=False, message=message))


FILE = "accounts/partner001/file"
WRONG: dict[str, dict[str, Wrong]] = {
    "traffic: 1 failed": {
        "a failed operation": failed("list", 9, "refused"),
        "a refused connection": failed("connect", 6, "refused"),
        "a young read refused for another reason": failed(
            "young_get", 9, "SFTPFailure: shutting down"
        ),
    },
    "files: 1 missing": {
        "a file missing on the source": stored("cluster1", FILE, None),
        "a file missing on the target": stored("cluster2", FILE, None),
        "a drop that was not picked up": stored("cluster2", "done/drop0001.dat", None),
    },
    "files: 1 corrupt": {"a corrupt file": stored("cluster2", FILE, "c" * 64)},
    "files: 1 duplicated": {
        "a file picked up twice": work(("pickup", "drop0001.dat")),
        "a slot run twice": work(("schedule", "t@1")),
    },
    "events: 1 duplicated": {"an event worked off twice": work(("event", "id1"))},
    "events: 1 missing": {
        "an event that was not processed": lambda evidence: replace(evidence, work=Counter()),
        "an upload that was not tracked": lambda evidence: replace(evidence, uploads={}),
    },
    "effects: 1 repeated": {
        "a stop": effects(added("cluster1-edge1 monitor stop", 5.5, changed=False)),
        "a pending drain": effects(added("cluster1-server1 ssh drain", 17.5, changed=False)),
        "a start": effects(added("cluster2-server1 scheduler start", 49, changed=False)),
        "a redirect": effects(added("loadbalancer1 traffic redirect cluster2", 8, changed=False)),
        "a stop that had completed": effects(added("cluster1-server1 tm stop", 49, changed=False)),
    },
    "effects: 1 skipped": {"a stop": effects(without("cluster1-edge2 socks stop"))},
    "effects: 1 unexpected": {
        "a stop of a stopped service": effects(added("cluster1-edge1 as2 stop", 20, changed=False)),
        "a service that died": effects(added("cluster1-edge1 ssh died", 20)),
    },
    "misordered": {"a Monitor stopped too late": effects(moved("cluster1-edge1 monitor stop", 49))},
    "effects: 1 misordered": {
        "scheduling started early": effects(moved("cluster2-server1 scheduler start", 6.5)),
        "a TM drained too early": effects(moved("cluster1-server1 tm drain", 16.5)),
        "admin stopped too early": effects(moved("cluster1-server1 admin stop", 17.5)),
    },
    "1 unfinished files remain": {"an unfinished file": lambda e: replace(e, orphans=1)},
    "1 transfers stay In Progress": {"an open transfer": lambda e: replace(e, in_progress=1)},
    # A denominator of zero proves nothing, so it fails the run.
    "traffic: attempted is zero": {"no traffic": lambda e: replace(e, operations=[])},
    "traffic: clients is zero": {"no client": lambda e: replace(e, operations=[])},
    "traffic: straddling is zero": {
        "no straddling transfer": lambda e: replace(
            e, operations=[one for one in e.operations if one.operation != "put"]
        )
    },
    "files: expected is zero": {"no file": lambda e: replace(e, operations=e.operations[:1])},
    "events: expected is zero": {"no event": lambda e: replace(e, operations=e.operations[:1])},
    "effects: recorded is zero": {"no effect": lambda e: replace(e, effects=[])},
    "invariants: samples is zero": {"no sample": lambda e: replace(e, samples=[])},
    "no client moved": {
        "no session": lambda e: replace(e, sessions=[]),
        "no session on the target": lambda e: replace(
            e, sessions=[v for v in e.sessions if "cluster1" in v.node]
        ),
    },
}


@pytest.mark.parametrize(
    ("problem", "name"), [(problem, name) for problem, some in WRONG.items() for name in some]
)
def test_what_went_wrong_is_a_problem(roles: Roles, problem: str, name: str) -> None:
    """Each fault, and each thing that was not measured, is reported by its own number."""
    spoilt = WRONG[problem][name](flawless.evidence(roles))

    problems = flawless.verdict(roles, spoilt).problems()

    assert any(problem in one for one in problems), problems


def test_work_done_twice_is_named(roles: Roles) -> None:
    """The details name what was done twice."""
    twice = work(("pickup", "drop0001.dat"))(flawless.evidence(roles))

    assert flawless.verdict(roles, twice).details["duplicated"] == ["pickup drop0001.dat"]


def test_an_unfinished_run_is_a_problem(roles: Roles) -> None:
    """However good the records are, another outcome than completed is a problem."""
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


@pytest.mark.parametrize(
    ("connection", "seconds"),
    [
        (None, 1.2),  # from the source's last session to the target's first
        (ClientOperation(5.9, 6.05, "c", "connect", ok=False), 0.3),  # from the first refusal
        (ClientOperation(5.7, 6.2, "c", "connect"), 0.5),  # from one that took too long
        (ClientOperation(1.0, 1.1, "c", "connect", ok=False), 1.2),  # failed long before
    ],
)
def test_the_gap_of_the_redirect(
    roles: Roles, connection: ClientOperation | None, seconds: float
) -> None:
    """It begins with the first failed or delayed connection around the redirect."""
    evidence = flawless.evidence(roles)
    evidence = tried(connection)(evidence) if connection else evidence
    gap = flawless.verdict(roles, evidence).traffic.redirect_gap_seconds
    assert gap == pytest.approx(seconds)


LAST_START = "cluster2-server2 folder_monitor start"


def test_seconds_are_the_clients_or_ours(roles: Roles) -> None:
    """From the target's scheduling until the last client has disconnected, time is the clients'."""
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
    ("late", "count"), [("cluster1-server2 ssh stopped", 0), ("cluster1-edge1 ssh stopped", 1)]
)
def test_node_by_node_the_sequence_is_each_servers_own(roles: Roles, late: str, count: int) -> None:
    """A Transaction Manager may stop before another Server has drained, not before an Edge."""
    record = server2_drains_late(late)(flawless.effects(roles))
    expected = expected_effects(roles.estate, roles.source, roles.target)
    found = misordered(record, expected, concerns=chains(roles.estate, "by_node"))
    assert len(found) >= count
    assert bool(found) is bool(count)
    assert misordered(record, expected)


@pytest.mark.parametrize(
    ("early", "when", "variants"),
    [
        ("cluster1-server1 admin stop", "cluster1-server1 tm stopped", ["by_stage"]),
        ("cluster1-edge1 socks stop", "cluster1-server1 tm stopped", ["by_stage", "by_node"]),
        ("cluster1-edge1 ssh drain", "cluster1-server1 scheduler stop", ["by_stage", "by_node"]),
    ],
)
def test_node_by_node_only_a_server_stops_before_the_others(
    roles: Roles, early: str, when: str, variants: list[str]
) -> None:
    """An Edge's proxy outlives all Transaction Managers; scheduling moves before any drain."""
    record = moved(early, time_of(when, 0.5))(flawless.effects(roles))
    expected = expected_effects(roles.estate, roles.source, roles.target)
    both: tuple[Variant, ...] = ("by_stage", "by_node")
    found = {v: misordered(record, expected, concerns=chains(roles.estate, v)) for v in both}
    assert [variant for variant, early_effects in found.items() if early_effects] == variants


@pytest.mark.parametrize(
    ("more", "problems"),
    [
        ([], []),
        ([{"to": "b", "past_by": "127.0.0.1"}], ["jump_host: 1 past_it"]),
        (None, ["jump_host: no connection to 2 machines went through it"]),
    ],
)
def test_what_came_past_a_jump_host_is_a_problem(
    roles: Roles, more: list[dict[str, object]] | None, problems: list[str]
) -> None:
    """And a machine to which nothing went through it."""
    led: list[dict[str, object]] = [
        {"user": "jump"},
        {"to": "a", "port": 1},
        {"to": "b", "port": 1},
    ]
    ways = [] if more is None else [*led, *more]
    evidence = replace(flawless.evidence(roles), behind=frozenset({"a", "b"}), ways=ways)
    verdict = flawless.verdict(roles, evidence)
    assert verdict.problems() == problems
    assert verdict.as_json()["jump_host"]["machines"] == 2


@pytest.mark.parametrize(
    ("more", "problems"),
    [
        ([], []),
        ([{"place": "b", "kind": "other"}], ["sudo: 1 others"]),
        (None, ["sudo: no command ran through it on 2 machines"]),
    ],
)
def test_what_ran_without_sudo_is_a_problem(
    roles: Roles, more: list[dict[str, str]] | None, problems: list[str]
) -> None:
    """And a machine on which nothing ran through it."""
    known = [{"place": place, "kind": "command"} for place in ("a", "b", "b")]
    asked = [{"place": "a", "kind": "question"}]
    lines = [] if more is None else [*known, *asked, *more]
    logins = [{**line, "real": True, "sent": "id"} for line in lines]
    evidence = replace(flawless.evidence(roles), sudo_machines=frozenset({"a", "b"}), logins=logins)
    verdict = flawless.verdict(roles, evidence)
    assert verdict.problems() == problems
    assert verdict.as_json()["sudo"]["machines"] == 2
    assert verdict.details.get("others") == (["id"] if more else None)
