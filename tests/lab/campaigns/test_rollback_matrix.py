"""The parts of the rollback matrix: cases, operator, results and saved state."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from typer.testing import CliRunner

from lab.__main__ import app
from lab.campaigns.results import NUMBERS
from lab.campaigns.rollback_matrix.campaign import MatrixState, RollbackMatrix, selected
from lab.campaigns.rollback_matrix.cases import GATE, REJECTED, WAYS, Case, Selection, cases
from lab.campaigns.rollback_matrix.run import CaseResult
from lab.campaigns.state import StateFile
from lab.checker import rejoin
from lab.checker.rollback import RollbackPoint
from lab.checker.verdict import Run
from lab.fault_injection.fault import KINDS, Fault
from lab.fault_injection.operator import (
    Answer,
    Operator,
    checked_outcome,
    expected_outcome,
    rollback_point,
)
from lab.layout import USUAL_DRIVERS, Drivers, Layout
from lab.product_driver import FINDINGS, STATE, DecisionRefused, Handle
from workflows.model.stages import POINT_OF_NO_RETURN, STAGES, StageName

LAYOUT = Layout(Path("/"), "127.0.0")


def test_every_stage_fails_in_every_way_at_every_kind_of_place() -> None:
    """And where the run asks, both answers are given."""
    every = list(cases(LAYOUT))
    kinds = Counter((case.stage, case.way) for case in every)

    assert len(set(every)) == len(every)
    for stage in list(StageName)[1:9]:
        far = stage.number >= POINT_OF_NO_RETURN.number
        for kind in KINDS:
            here = [case for case in every if (case.stage, case.way) == (stage, kind)]
            assert {case.answer for case in here} == ({"retry", "roll-back"} if far else {None})
        assert kinds[stage, REJECTED] == (stage.number <= POINT_OF_NO_RETURN.number)
    places = {case.place for case in every if case.stage is StageName.STOP_MONITORS}
    assert places == {GATE, "cluster1-server1", "cluster1-edge1"}


def test_every_stage_of_a_rejoin_fails_in_every_way() -> None:
    """Where it changes something in this lab; whatever fails, it rolls back by itself."""
    every = list(cases(LAYOUT, "rejoin"))
    idle = (StageName.CHECK_RETURNED, StageName.START_MONITORS)

    assert len(set(every)) == len(every)
    assert {case.answer for case in every} == {None}
    for stage in STAGES["rejoin"][1:]:
        ways = {case.way for case in every if case.stage is stage}
        assert ways == ({REJECTED} if stage in idle else {*KINDS, REJECTED})
    places = {case.place for case in every if case.stage is StageName.START_ADMIN}
    assert places == {GATE, "cluster1-server1", "cluster1-edge1"}
    turns = {(case.stage, case.place): case.rollback_point for case in every}
    assert turns[StageName.RESUME_REPLICATION, "database1"] == RollbackPoint(rejoin.OVER)
    assert turns[StageName.RESUME_REPLICATION, "database2"] == RollbackPoint(rejoin.BACK)
    assert turns[StageName.RESUME_SCHEDULING, GATE] == RollbackPoint(rejoin.PAUSE, begun=False)


def test_a_rejected_gate_rolls_a_run_back_before_its_stage() -> None:
    """Gates that are answered together keep both of their stages from beginning."""
    turns = {case.stage: case.rollback_point for case in cases(LAYOUT) if case.place == GATE}

    assert turns[StageName.REDIRECT_TRAFFIC] == RollbackPoint(2, begun=False)
    assert turns[StageName.START_SCHEDULING] == RollbackPoint(4, begun=False)
    assert turns[StageName.DRAIN_PROTOCOL_SERVERS] == RollbackPoint(6, begun=False)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("redirect_traffic", 5),
        ("redirect_traffic:loadbalancer1", 4),
        ("stop_monitors:cluster1-edge1:lost", 1),
        ("drain_transaction_manager:cluster1-server1:lost", 2),
        ("drain_transaction_manager:cluster1-server1:lost:retry", 1),
    ],
)
def test_a_part_of_the_matrix_can_be_selected(text: str, number: int) -> None:
    """By what its cases have in common."""
    assert len(selected((Selection.read(text, LAYOUT),))) == number


def test_a_part_belongs_to_one_procedure() -> None:
    """A stage of a rejoin is selected among rejoins only."""
    part = Selection.read("start_services", LAYOUT, "rejoin")
    assert len(selected((part,), "rejoin")) == 5
    with pytest.raises(ValueError, match="no part of the matrix"):
        Selection.read("start_services", LAYOUT)


@pytest.mark.parametrize(
    "text", ["", "nonsense", "stop_monitors:database1", "stop_monitors:gate:x"]
)
def test_an_unknown_part_is_refused(text: str) -> None:
    """It would prove nothing."""
    with pytest.raises(ValueError, match="no part of the matrix"):
        Selection.read(text, LAYOUT)


class FakeRun:
    """A run that has one state after the other, and waits for an answer."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)
        self.terminated = ""

    async def describe(self) -> Any:  # noqa: ANN401 - as much of a description as is read
        """Return the next state; the last one stays."""
        state = self.states[0] if len(self.states) == 1 else self.states.pop(0)
        status = WorkflowExecutionStatus
        over = self.terminated or state == "ended"
        attributes = TypedSearchAttributes([SearchAttributePair(STATE, state)])
        return type(
            "Description",
            (),
            {
                "status": status.COMPLETED if over else status.RUNNING,
                "typed_search_attributes": attributes,
            },
        )

    async def query(self, _: str) -> dict[str, Any]:
        """Return the question."""
        return {"waiting": {"message": "the script said no"}}

    async def terminate(self, why: str) -> None:
        """Record the reason."""
        self.terminated = why


def operator(shown: FakeRun, answer: Answer | None, *, taken: bool = True) -> Operator:
    """An operator of this run, whose decisions are accepted, or refused."""

    async def decide(_: Answer) -> None:
        if not taken:
            raise DecisionRefused("retry was refused")

    return Operator(cast(Handle, shown), answer, decide)


WAITS = "waiting_for_decision"


async def test_an_operator_answers_once() -> None:
    """One answer is enough."""
    one = operator(FakeRun("running", WAITS, "running", "ended"), "retry")
    await one.run()

    assert (one.questions, one.gave_up) == (["the script said no"], "")


@pytest.mark.parametrize(
    ("states", "answer", "taken", "words"),
    [
        ((WAITS,), None, True, "an unexpected decision: the script said no"),
        ((WAITS, "running", WAITS), "retry", True, "an unexpected decision"),
        ((WAITS,), "retry", False, "retry was refused"),
    ],
)
async def test_an_operator_who_cannot_help_gives_the_run_up(
    states: tuple[str, ...], answer: Answer | None, *, taken: bool, words: str
) -> None:
    """An unexpected question, a second question, or a refused answer is the result of the case."""
    shown = FakeRun(*states)
    one = operator(shown, answer, taken=taken)
    await one.run()

    assert words in one.gave_up
    assert shown.terminated
    assert checked_outcome(Run("rolled_back", 0, 1), one, began=True) == one.gave_up


def test_a_fault_that_never_struck_proves_nothing() -> None:
    """However well the run ended."""
    one = operator(FakeRun("ended"), None)

    assert checked_outcome(Run("completed", 0, 1), one, began=False) != "completed"


@pytest.mark.parametrize(
    ("stage", "answer", "outcome"),
    [
        (StageName.CHECK_PREREQUISITES, "retry", FINDINGS),
        (StageName.START_SCHEDULING, "retry", "rolled_back"),
        (StageName.DRAIN_PROTOCOL_SERVERS, "retry", "completed"),
        (StageName.DRAIN_PROTOCOL_SERVERS, "roll-back", "rolled_back"),
    ],
)
def test_the_outcome_that_a_fault_should_have(
    stage: StageName, answer: Answer, outcome: str
) -> None:
    """By where the fault strikes, and by what an operator answers."""
    assert expected_outcome(Fault(stage, "cluster1-edge1", "lost"), answer) == outcome
    back = {
        FINDINGS: RollbackPoint(0),
        "rolled_back": RollbackPoint(stage.number),
        "completed": None,
    }
    assert rollback_point(outcome, stage.number, begun=True) == back[outcome]


def row(case: Case, *problems: str) -> CaseResult:
    """The result of a case."""
    return CaseResult(
        case=str(case),
        stage=case.stage.value,
        place=case.place,
        way=case.way,
        answer=case.answer or "",
        outcome=case.expected_outcome,
        expected_outcome=case.expected_outcome,
        seconds=20.0,
        rollback_seconds=1.5,
        questions=[],
        numbers=dict.fromkeys(NUMBERS, 2),
        problems=list(problems),
    )


def test_a_case_with_a_problem_and_a_case_not_tried_are_problems() -> None:
    """Only when all were tried, and all went well, is there none."""
    here = selected((Selection.read("redirect_traffic", LAYOUT),))
    good = [row(case) for case in here]

    assert list(MatrixState(1.0, good).problems(here)) == []
    assert list(MatrixState(1.0, good[1:]).problems(here)) == ["1 cases were not run"]
    spoilt = [row(here[0], "traffic: 1 failed"), *good[1:]]
    assert list(MatrixState(1.0, spoilt).problems(here)) == [f"{here[0]}: traffic: 1 failed"]
    assert "nothing was run" in list(MatrixState().problems([]))


def test_an_interrupted_matrix_resumes(tmp_path: Path) -> None:
    """Another selection begins anew."""
    parts = (Selection.read("redirect_traffic", LAYOUT),)
    here, result = selected(parts), tmp_path / "rollback.json"
    StateFile[MatrixState](result, ("switchover", parts, USUAL_DRIVERS, False)).save(
        MatrixState(20.0, [row(here[0])])
    )

    resumed = RollbackMatrix(parts, 8, result)
    assert resumed.labs == len(here) - 1
    assert resumed.next_case() == here[1]
    assert resumed.state.seconds == 20.0
    assert RollbackMatrix((), 8, result).state.rows == []


def test_a_row_of_numbers_is_shown() -> None:
    """The terminal's table has every stage of the matrix."""
    here = selected(())
    rows = [row(here[0]), replace(row(here[1]), problems=["bad"])]
    shown = MatrixState(1.0, rows).table(here)

    assert shown.row_count == len({case.stage for case in here})


@pytest.mark.parametrize(
    ("drivers", "part", "places"),
    [
        (Drivers("dns"), "redirect_traffic", {GATE, "dns"}),
        (Drivers("haproxy"), "redirect_traffic", {GATE, "loadbalancer1"}),
        (Drivers(replication="commands"), "suspend_replication", {GATE, "loadbalancer1"}),
        (Drivers(jump_host=True), "redirect_traffic", {GATE, "loadbalancer1", "jumphost1"}),
        (Drivers("dns", jump_host=True), "redirect_traffic", {GATE, "dns"}),
        (
            Drivers(jump_host=True),
            "suspend_replication",
            {GATE, "database1", "database2"},  # no machine
        ),
    ],
)
def test_a_driver_has_its_own_places(drivers: Drivers, part: str, places: set[str]) -> None:
    """Where the product acts with it, in each way."""
    here = selected((Selection((part,)),), drivers=drivers)
    assert {case.place for case in here} == places
    assert {case.way for case in here} == set(WAYS)


def test_a_command_resumes_the_direction_to_the_returning_cluster_first() -> None:
    """So that a rollback of its failure begins there."""
    part = Selection(("resume_replication", "loadbalancer1"))
    here = selected((part,), "rejoin", Drivers(replication="commands"))
    assert {case.rollback_point for case in here} == {RollbackPoint(rejoin.OVER)}


@pytest.mark.parametrize("campaign", ["crash", "rollback"])
def test_no_rejoin_after_a_suspension_by_command_is_promised(campaign: str) -> None:
    """A campaign says so before it starts a lab."""
    asked = [campaign, "--procedure", "rejoin", "--replication", "commands"]
    answered = CliRunner().invoke(app, asked)
    assert answered.exit_code == 2
    assert "knows of no suspension" in " ".join(answered.stderr.replace("│", " ").split())
