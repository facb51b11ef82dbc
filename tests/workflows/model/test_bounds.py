"""What a run keeps and shows has a greatest length, however many places send how much."""

from datetime import UTC, datetime

from workflows.model.bounds import MAX_PAYLOAD, fitted, shortened
from workflows.model.findings import Finding, Severity
from workflows.model.outcome import Outcome, StageOutcome
from workflows.model.progress import Failure, Status
from workflows.model.results import Report
from workflows.model.stages import StageName
from workflows.preflight.report import ReadinessReport, Score
from workflows.views.readiness_markdown import reasons

AT = datetime(2026, 1, 1, tzinfo=UTC)


def finding(name: str, seen: str, severity: Severity = Severity.WARNS) -> Finding:
    """Return a finding of a place that says a lot."""
    return Finding(
        name=name, place="server1", seen=seen, expected="less", advice="ask", severity=severity
    )


def outcome(text: str, findings: tuple[Finding, ...] = ()) -> Outcome:
    """Return how a run ended on twenty places that each said this."""
    report = Report(action="stop", outcome="changed", message=text, at=AT)
    failure = Failure(action="stop", place="a", kind="b", message=text, outcome_known=True)
    stage = StageOutcome(
        stage=StageName.DRAIN_PROTOCOL_SERVERS,
        status=Status.DONE,
        seconds=1,
        reports=(report,) * 20,
        failures=(failure,),
    )
    return Outcome(
        outcome="completed",
        message=text,
        estate="lab",
        source="one",
        target="two",
        reason="",
        identity="",
        plan_hash="",
        started=AT,
        ended=AT,
        seconds=0,
        drain_seconds=0,
        stages=(stage,),
        findings=findings,
    )


def test_what_is_short_enough_is_the_same() -> None:
    """Also where it has many findings."""
    short = outcome("ok", tuple(finding(f"check_{n}", "little") for n in range(300)))
    assert fitted(short) is short


def test_long_texts_are_cut_and_say_how_much_is_missing() -> None:
    """A reader sees the beginning of each."""
    cut = fitted(outcome("x" * 100_000))
    assert len(cut.model_dump_json()) < MAX_PAYLOAD
    [stage] = cut.stages
    assert len(stage.reports) == 20
    assert all(one.message == f"{'x' * 2000}... and 98000 more characters" for one in stage.reports)
    assert stage.failures[0].message.startswith("xxx")


def test_bytes_count_not_characters() -> None:
    """Most letters of the world take more than one."""
    assert len(fitted(outcome("ж" * 10_000)).model_dump_json().encode()) <= MAX_PAYLOAD


def test_what_blocks_stays_longest() -> None:
    """However many findings only warn, and stand before it."""
    warnings = tuple(finding(f"check_{n}", "x" * 3000) for n in range(5000))
    cut = fitted(outcome("ok", (*warnings, finding("last", "it", Severity.BLOCKS))))
    assert len(cut.model_dump_json()) < MAX_PAYLOAD
    assert cut.findings[0].name == "last"
    assert len(cut.findings) + cut.more_findings == 5001


def test_a_report_says_what_it_left_out() -> None:
    """Whether an estate is ready, and how many findings there were, does not depend on the cut."""
    report = ReadinessReport(
        estate="lab",
        source="one",
        target="two",
        ready=False,
        score=Score(checks=1, passed=0, unknown=0),
        checks=(),
        findings=tuple(finding(f"check_{n}", "x" * 3000) for n in range(5000)),
        at=AT,
        seconds=1,
        plan_hash="",
    )
    cut = fitted(report)
    assert len(cut.model_dump_json()) < MAX_PAYLOAD
    left_out = 5000 - len(cut.findings)
    assert list(reasons(cut)) == [
        f"{left_out} more findings were left out: all would be too long to keep"
    ]


def test_lists_of_texts_say_how_many_more_there_are() -> None:
    """And keep the first."""
    assert shortened(("a", "b", "c"), 10, 2) == ("a", "b", "and 1 more")
