"""Choose the points of each run, so that every request is covered before and after."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lab.campaigns.crash.points import KINDS, Kind, Point
from lab.node.request_hook import When
from lab.proxy.request_id import Request

SHARES: dict[Kind, int] = {
    "before_effect": 92,
    "after_effect": 92,
    "history_event": 48,
    "freeze": 16,
    "server": 16,
    "network": 16,
    "reset": 12,
    "reboot": 8,
}
"""Of 300 points."""
MAX_POINTS_PER_RUN = 8
"""As many as do not disturb one another."""
MAX_POINTS_PER_RUN_AT_PLACES = 3
"""Where all of them meet the same few actions, each of which outlasts so many dead workers."""
MAX_OBSERVING_POINTS = 2
"""Of these, how many may attack while stage 0 only reads: its attempts run out of time."""
AT_MOST_ONE: tuple[Kind, ...] = ("freeze", "server", "network", "reset", "reboot")
UNBOUND: tuple[Kind, ...] = ("history_event", "reboot")
"""Kinds that wait for no request."""
SIDES: dict[Kind, When] = {"before_effect": "before", "after_effect": "after"}


@dataclass(frozen=True)
class KnownRequest:
    """A request as it came in a run without attacks."""

    request: Request
    times: int
    observing: bool
    """Whether it came before the estate was first changed."""


@dataclass(frozen=True)
class Catalogue:
    """What an unattacked run consists of, in the order in which it came."""

    requests: tuple[KnownRequest, ...] = ()
    events: int = 0
    turning: tuple[str, ...] = ()
    """Nodes that drained, or started to serve in a rejoin."""


@dataclass
class Schedule:
    """All points that are still to be done."""

    catalogue: Catalogue
    random: random.Random
    kinds: list[Kind] = field(default_factory=list)
    done: Counter[Kind] = field(default_factory=Counter)
    covered: set[tuple[Request, When]] = field(default_factory=set)
    most: int = MAX_POINTS_PER_RUN
    """Points of one run."""
    _reserved: set[tuple[str, Kind]] = field(default_factory=set)

    @classmethod
    def of(
        cls, catalogue: Catalogue, seed: int, kinds: Counter[Kind], most: int = MAX_POINTS_PER_RUN
    ) -> Schedule:
        """Shuffle this number of points of each kind."""
        schedule = cls(catalogue, random.Random(seed), most=most)
        schedule.reschedule(kinds)
        return schedule

    def next_points(self) -> tuple[Point, ...]:
        """Return the points of one more run, or none if all are done or under way."""
        chosen: list[Kind] = []
        rest: list[Kind] = []
        for kind in self.kinds:
            fits = len(chosen) < self.most and not (kind in AT_MOST_ONE and kind in chosen)
            (chosen if fits else rest).append(kind)
        self.kinds = rest
        points: list[Point] = []
        for point in self._points(chosen):
            if point in points:  # only the first would be hit
                self.kinds.append(point.kind)
            else:
                points.append(point)
        return tuple(points)

    def record(self, hit: Iterable[Point], missed: Iterable[Point]) -> None:
        """Count the points that were hit; the others are scheduled again."""
        for point in hit:
            self.done[point.kind] += 1
        for point in missed:
            self.kinds.append(point.kind)
        self._reserved.clear()

    def reschedule(self, kinds: Counter[Kind]) -> None:
        """Shuffle what is not done, also what was under way when a campaign was interrupted."""
        self.kinds = [kind for kind in KINDS for _ in range(kinds[kind] - self.done[kind])]
        self.random.shuffle(self.kinds)

    def uncovered(self, when: When) -> list[KnownRequest]:
        """Requests at which no worker has died yet, on this side."""
        return [k for k in self.catalogue.requests if (k.request, when) not in self.covered]

    def _points(self, chosen: list[Kind]) -> Iterator[Point]:
        """Give each kind its trigger, from all parts of the run."""
        observing = 0
        for number, kind in enumerate(sorted(chosen, key=KINDS.index)):
            share = ((number + self.random.random()) / len(chosen)) % 1
            match kind:
                case "history_event":
                    yield Point(kind, str(max(4, math.floor(share * self.catalogue.events))))
                case "reboot":
                    yield Point(kind, self.random.choice(self.catalogue.turning))
                case _:
                    known = self._request(kind, may_observe=observing < MAX_OBSERVING_POINTS)
                    observing += known.observing
                    occurrence = self._occurrence(kind, known)
                    self._reserved.add((known.request.key, kind))
                    yield Point(kind, f"{known.request.key}.{occurrence}")

    def _request(self, kind: Kind, *, may_observe: bool) -> KnownRequest:
        allowed = [k for k in self.catalogue.requests if may_observe or not k.observing]
        if kind in SIDES:
            uncovered = self.uncovered(SIDES[kind])
            free = [k for k in allowed if (k.request.key, kind) not in self._reserved] or allowed
            allowed = [k for k in free if k in uncovered] or free
        else:
            # What only reads gives up in time, and that is correct.
            acting = [k for k in allowed if not k.observing and k.request.protocol != "sql"]
            allowed = acting or allowed
        return self.random.choice(allowed)

    def _occurrence(self, kind: Kind, known: KnownRequest) -> int:
        """Return which occurrence is attacked; the first where no worker has died there yet."""
        if kind not in SIDES:
            return self.random.randint(1, max(1, known.times // 3))
        is_covered = (known.request, SIDES[kind]) in self.covered
        return self.random.randint(1, known.times) if is_covered else 1


def shares(points: int, only: Kind | None, *, bound: bool = False) -> Counter[Kind]:
    """Return the number of points of each kind, or of those that are *bound* to a request.

    At least one of each.
    """
    if only:
        return Counter({only: points})
    wanted = {k: of for k, of in SHARES.items() if not (bound and k in UNBOUND)}
    total = sum(wanted.values())
    parts = Counter({kind: max(1, points * of // total) for kind, of in wanted.items()})
    parts["before_effect"] += max(0, points - parts.total())
    return parts
