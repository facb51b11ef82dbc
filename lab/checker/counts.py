"""Count what became of the clients' operations, their files and the events of these files."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lab.checker.evidence import ClientOperation, Evidence
from lab.recorder.effects import RecordedEffect

TRANSFERS = ("put", "get", "young_get")
ABSENT = ("SFTPNoSuchFile", "Unexpected: HTTP status 404")
"""A server's answer if it does not have a file."""
DELAYED = 0.25
"""Seconds from which a connection counts as delayed."""
AROUND = 2.0
"""Seconds before the redirect in which a refused or delayed connection is put down to it."""


@dataclass(frozen=True)
class TrafficCounts:
    """The results of the clients' operations."""

    clients: int
    attempted: int
    failed: int
    straddling: int
    """Transfers that were in flight when traffic was redirected."""
    redirect_gap_seconds: float | None
    redirected: bool
    """Whether traffic was sent to another cluster at all."""
    young_reads: int
    """Reads of a file that the other storage may not have yet: measured, not promised."""
    young_reads_failed: int


@dataclass(frozen=True)
class FileCounts:
    """Whether every uploaded file is whole on both storages, and its work done once."""

    expected: int
    missing: int
    corrupt: int
    duplicated: int


@dataclass(frozen=True)
class EventCounts:
    """Whether every upload's event was processed once."""

    expected: int
    missing: int
    duplicated: int


def redirect(evidence: Evidence) -> RecordedEffect | None:
    """The event when traffic was first sent to another cluster."""
    moves = (r for r in evidence.effects if r.effect.effect == "redirect" and r.changed)
    return next(moves, None)


def count_traffic(
    evidence: Evidence, source: Sequence[str], target: Sequence[str]
) -> TrafficCounts:
    """Judge what clients saw; *source* and *target* are the names of the clusters' nodes."""
    young = [one for one in evidence.operations if one.operation == "young_get"]
    late = [one for one in young if not one.ok and one.message.startswith(ABSENT)]
    asked = [one for one in evidence.operations if one.operation != "drop" and one not in late]
    moved = redirect(evidence)
    straddling = [
        one
        for one in evidence.operations
        if moved and one.operation in TRANSFERS and one.begin < moved.at < one.end
    ]
    return TrafficCounts(
        clients=len({one.client for one in asked}),
        attempted=len(asked),
        failed=sum(not one.ok for one in asked),
        straddling=len(straddling),
        redirect_gap_seconds=redirect_gap(evidence, source, target),
        redirected=moved is not None,
        young_reads=len(young),
        young_reads_failed=len(late),
    )


def redirect_gap(evidence: Evidence, source: Sequence[str], target: Sequence[str]) -> float | None:
    """Seconds until the target served its first connection; None if it never did.

    They begin with the first connection that suffered, or else with the last that the source took.
    """
    moved = redirect(evidence)
    if moved is None:
        return None
    begins = [visit for visit in evidence.sessions if visit.what == "begin"]
    reached = [v.at for v in begins if v.node in target and v.at >= moved.at - AROUND]
    before_target = [v.at for v in begins if v.node in source and reached and v.at < min(reached)]
    if not reached or not before_target:
        return None
    connects = [one for one in evidence.operations if one.operation == "connect"]
    slow = _slow(connects)
    suffered = [
        one.begin
        for one in connects
        if moved.at - AROUND < one.begin < min(reached)
        and one.end > moved.at
        and (not one.ok or one.end - one.begin > slow)
    ]
    return round(min(reached) - min(suffered, default=max(before_target)), 3)


def _slow(connects: Sequence[ClientOperation]) -> float:
    """A busy machine delays every connection; only unusual delays are caused by the redirect."""
    usual = statistics.median(one.end - one.begin for one in connects) if connects else 0
    return max(DELAYED, 3 * usual)


def count_files(evidence: Evidence) -> FileCounts:
    """Compare what clients and applications wrote with what both storages hold."""
    expected = {_place(one): one.sha256 for one in _written(evidence)}
    held = evidence.stored.values()
    missing = [path for path in expected if any(path not in files for files in held)]
    corrupt = [
        path
        for path, digest in expected.items()
        if any(path in files and files[path] != digest for files in held)
    ]
    twice = [key for key, times in evidence.work.items() if key[0] != "event" and times > 1]
    return FileCounts(len(expected), len(missing), len(corrupt), len(twice))


def _written(evidence: Evidence) -> list[ClientOperation]:
    return [one for one in evidence.operations if one.operation in ("put", "drop") and one.ok]


def _place(one: ClientOperation) -> str:
    """Where a written file has to lie in the end: an inbox's file is moved when it is done."""
    return f"done/{one.path}" if one.operation == "drop" else f"accounts/{one.path}"


def count_events(evidence: Evidence) -> EventCounts:
    """Count how often each upload's event was processed, on both clusters together."""
    expected = {one.path for one in evidence.operations if one.operation == "put" and one.ok}
    done: Counter[str] = Counter()
    for (kind, key), times in evidence.work.items():
        if kind == "event" and key in evidence.uploads:
            done[evidence.uploads[key]] += times
    return EventCounts(
        expected=len(expected),
        missing=sum(done[path] == 0 for path in expected),
        duplicated=sum(times > 1 for times in done.values()),
    )
