"""The cases of the rollback matrix."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self, get_args

from lab.checker import rejoin
from lab.checker.legs import Leg
from lab.checker.rollback import RollbackPoint
from lab.fault_injection.fault import KINDS, Fault, Kind, before_no_return, leg_of, places
from lab.fault_injection.operator import Answer
from lab.layout import Layout
from workflows.model.stages import POINT_OF_NO_RETURN, STAGES, Procedure, StageName

GATE = "gate"
Way = Kind | Literal["rejected"]
REJECTED: Way = "rejected"
WAYS: tuple[Way, ...] = (*KINDS, REJECTED)
ANSWERS: tuple[Answer, ...] = get_args(Answer)

ROLLBACK_STEPS = {
    StageName.STOP_MONITORS: 1,
    StageName.SUSPEND_REPLICATION: 2,
    # Approved together with the stage before: a run never waits with replication off ...
    StageName.REDIRECT_TRAFFIC: 2,
    StageName.STOP_SCHEDULING: 4,
    # ... nor with scheduling on neither cluster.
    StageName.START_SCHEDULING: 4,
    POINT_OF_NO_RETURN: 6,
    StageName.START_ADMIN: rejoin.ADMIN,
    StageName.CHECK_RETURNED: rejoin.PAUSE,
    StageName.PAUSE_SCHEDULING: rejoin.PAUSE,
    StageName.START_TRANSACTION_MANAGERS: rejoin.PAUSE,
    StageName.RESUME_SCHEDULING: rejoin.PAUSE,
    StageName.START_SERVICES: rejoin.SERVICES,
    StageName.RESUME_REPLICATION: rejoin.OVER,
    StageName.START_MONITORS: rejoin.MONITORS,
}
"""The step, of the manual or of a rejoin, before which a run waits for a stage's approval."""
REJOIN_STEPS = {
    StageName.START_ADMIN: rejoin.ADMIN,
    StageName.PAUSE_SCHEDULING: rejoin.PAUSE,
    StageName.START_TRANSACTION_MANAGERS: rejoin.MANAGERS,
    StageName.RESUME_SCHEDULING: rejoin.RESUME,
    StageName.START_SERVICES: rejoin.SERVICES,
}
"""The step of a rejoin in which a stage fails; of a resumption it depends on the database."""


@dataclass(frozen=True, order=True)
class Case:
    """One run: what fails in it, or which gate is closed, and what an operator answers."""

    stage: StageName
    place: str
    way: Way
    answer: Answer | None = None

    def __str__(self) -> str:
        return ":".join(filter(None, (self.stage, self.place, self.way, self.answer)))

    @property
    def fault(self) -> Fault | None:
        """The fault; none where an operator rejects the stage."""
        for kind in KINDS:
            if kind == self.way:
                return Fault(self.stage, self.place, kind)
        return None

    @property
    def expected_outcome(self) -> str:
        """The outcome that it has to have."""
        return "completed" if self.answer == "retry" else "rolled_back"

    @property
    def leg(self) -> Leg:
        """The run in which it fails."""
        return leg_of(self.stage)

    @property
    def rollback_point(self) -> RollbackPoint:
        """Where a run begins its rollback, if it does."""
        if self.fault is None:
            return RollbackPoint(ROLLBACK_STEPS[self.stage], begun=False)
        if self.stage is StageName.RESUME_REPLICATION:
            back = self.place == f"database{self.leg.source.removeprefix('cluster')}"
            return RollbackPoint(rejoin.BACK if back else rejoin.OVER)
        step = REJOIN_STEPS.get(self.stage, self.stage.number)
        return RollbackPoint(step, begun=self.fault.may_act)


def cases(layout: Layout, procedure: Procedure = "switchover") -> Iterator[Case]:
    """Every case of this lab, stage by stage."""
    for stage in STAGES[procedure]:
        if not stage.number:
            continue  # it changes nothing, so there is nothing to roll back
        if stage in ROLLBACK_STEPS:
            yield Case(stage, GATE, REJECTED)
        before = before_no_return(stage)
        for place in _one_of_each_kind(places(layout, stage)):
            for kind in KINDS:
                for answer in (None,) if before else ANSWERS:
                    yield Case(stage, place, kind, answer)


@dataclass(frozen=True)
class Selection:
    """A part of the matrix, written ``STAGE[:PLACE[:KIND[:ANSWER]]]``."""

    parts: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str, layout: Layout, procedure: Procedure = "switchover") -> Self:
        """Read one; ValueError where there is no such case."""
        selection = cls(tuple(text.split(":")))
        if not any(selection.has(case) for case in cases(layout, procedure)):
            raise ValueError(f"{text!r} is no part of the matrix: write STAGE[:PLACE[:KIND]]")
        return selection

    def has(self, case: Case) -> bool:
        """Whether the case is in it."""
        return tuple(str(case).split(":"))[: len(self.parts)] == self.parts


def _one_of_each_kind(names: tuple[str, ...]) -> Iterator[str]:
    """Of each cluster's nodes of a kind the first; every other place."""
    seen = set()
    for name in names:
        cluster, dash, kind = name.rpartition("-")
        alike = f"{cluster}-{kind.rstrip('0123456789')}" if dash else name
        if alike not in seen:
            seen.add(alike)
            yield name
