"""Every replication driver is observed, suspended, compared and resumed in the same way."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.activities.replication.conformance.rigs import (
    NAMES,
    CommandsRig,
    LinkAction,
    MemoryRig,
    PostgresRig,
    Rig,
)
from tests.support.postgres_pair import Pair, replicating_pair
from tests.support.site_replication import Site
from tests.support.ssh_machines import Attempt, SshServer
from workflows.errors import BadInput, NotReady, NotYet, OutcomeUnknown, Unreachable
from workflows.model import actions
from workflows.preflight.catalogue import BY_NAME

THERE, BACK = NAMES
SUSPEND, RESUME = actions.SuspendReplication(link=THERE), actions.ResumeReplication(link=THERE)
VERIFY = actions.VerifyNoConflicts(link=THERE)


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Pair]:
    """The two databases."""
    async with replicating_pair() as pair:
        yield pair


@pytest.fixture(params=["postgresql", "commands", "memory"])
async def rig(
    request: pytest.FixtureRequest, pair: Pair, ssh_server: SshServer, tmp_path: Path
) -> AsyncIterator[Rig]:
    """A driver, with both links running."""
    rig: Rig
    match request.param:
        case "postgresql":
            rig = PostgresRig(pair)
        case "commands":
            rig = CommandsRig(Site(tmp_path / "site"), ssh_server, tmp_path)
        case _:
            rig = MemoryRig()
    await rig.reset()
    yield rig
    if isinstance(rig, CommandsRig):
        await rig.shell.close()


async def test_it_is_suspended_once_and_resumed_once(rig: Rig) -> None:
    """Off and not running, then on and running; the second time nothing is changed."""
    await rig.write("one", "before")
    outcomes = [(await rig.run(SUSPEND)).outcome for _ in range(2)]
    assert await rig.holds("two", "before")
    reading = await rig.observe()
    assert (reading.exists, reading.enabled, reading.running) == (True, False, False)
    await rig.write("one", "meanwhile")
    assert not await rig.holds("two", "meanwhile")
    outcomes += [(await rig.run(RESUME)).outcome for _ in range(2)]
    assert outcomes == ["changed", "unchanged", "changed", "unchanged"]
    await rig.arrives("two", "meanwhile")
    reading = await rig.observe()
    assert (reading.exists, reading.enabled, reading.running) == (True, True, True)


async def test_a_lag_that_stays_forbids_it(rig: Rig) -> None:
    """A subscriber that cannot apply is not cut off: what it lacks would be missing for good."""
    async with rig.blocked():
        await rig.write("one", "late")
        with pytest.raises(NotYet, match=r"is still \d+ \w+ behind database-one, expected 0"):
            await rig.run(SUSPEND, Attempt(limit=timedelta(seconds=6)))
    assert (await rig.observe()).enabled
    assert await rig.statements() == []


async def test_a_frozen_worker_sends_nothing(rig: Rig) -> None:
    """After the first third of its time an attempt only reads."""
    late = Attempt(limit=timedelta(seconds=30), age=timedelta(seconds=11))
    with pytest.raises(Unreachable, match="nothing was sent"):
        await rig.run(SUSPEND, late)
    await rig.suspend_both()
    with pytest.raises(Unreachable, match="nothing was sent"):
        await rig.run(RESUME, late)
    assert (await rig.observe()).enabled is False


async def test_a_lost_reply_is_resolved_by_reading(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement was carried out and its answer lost: what counts is what is read."""
    rig.lose_replies(monkeypatch)
    report = await rig.run(SUSPEND)
    assert report.outcome == "changed"


async def test_a_review_shows_the_very_statements(rig: Rig) -> None:
    """The databases got them word for word."""
    wait, suspended = rig.preview(SUSPEND)
    [resumed] = rig.preview(RESUME)
    await rig.run(SUSPEND)
    await rig.run(RESUME)
    assert [suspended, resumed] == await rig.statements()
    assert wait == "until database-two has confirmed everything that database-one has written"


async def test_rows_that_both_sides_wrote_are_listed_and_nothing_is_resumed(rig: Rig) -> None:
    """Neither by the comparison before, nor by the action itself."""
    await rig.suspend_both()
    for side in ("one", "two"):
        await rig.write(side, "both")
    await rig.write("one", "alone")
    for action in (VERIFY, RESUME):
        with pytest.raises(NotReady, match="both sides wrote the same rows") as refusal:
            await rig.run(action)
        assert "both" in str(refusal.value).partition("same rows")[2]
        assert "alone" not in str(refusal.value)
    assert (await rig.observe()).enabled is False


async def test_different_rows_are_no_conflict(rig: Rig) -> None:
    """Each side's rows reach the other one; the comparison changes nothing."""
    await rig.suspend_both()
    await rig.write("one", "of one")
    await rig.write("two", "of two")
    before = datetime.now(UTC)
    report = await rig.run(VERIFY)
    assert report.outcome == "seen"
    assert before <= report.at
    assert (await rig.observe()).enabled is False
    for name in NAMES:
        assert (await rig.run(actions.ResumeReplication(link=name))).outcome == "changed"
    await rig.arrives("two", "of one")
    await rig.arrives("one", "of two")


async def test_a_link_that_runs_has_nothing_to_compare(rig: Rig) -> None:
    """What was never suspended wrote nothing meanwhile."""
    report = await rig.run(VERIFY)
    assert (report.outcome, report.message) == ("seen", f"{THERE} runs; nothing was compared")


async def test_a_silent_database_is_unknown(rig: Rig) -> None:
    """A reading says so; nothing is guessed, and nothing is done."""
    given = rig.silent(actions.ObserveReplication(link=THERE))
    reading = await Attempt().run(rig.links.observe_replication, given)
    assert (reading.exists, reading.enabled, reading.running) == (None, None, None)
    assert [finding.name for finding in reading.findings] == ["database_unreachable"]
    for action in (SUSPEND, VERIFY, RESUME):
        with pytest.raises(Unreachable):
            await rig.run(action, given=rig.silent(action))


async def test_a_link_that_is_not_there_is_named(rig: Rig) -> None:
    """The estate and the databases disagree; that is an answer, and nothing is done."""
    given = rig.missing_link(actions.ObserveReplication(link=THERE))
    reading = await Attempt().run(rig.links.observe_replication, given)
    assert (reading.exists, reading.enabled, reading.running) == (False, None, None)
    assert {finding.name for finding in reading.findings} <= set(BY_NAME)
    with pytest.raises(NotReady, match=THERE):
        await rig.run(SUSPEND, given=rig.missing_link(SUSPEND))


SLOTS = (actions.BeginSlot, actions.DropSlot, actions.CopyTables, actions.RenewSlot)


@pytest.mark.parametrize("kind", SLOTS)
async def test_links_that_run_have_the_slots_they_need(
    rig: Rig, kind: type[actions.BeginSlot]
) -> None:
    """Nothing is done to them; a driver without slots says that it has none."""
    action = kind(link=THERE)
    if not isinstance(rig, PostgresRig):
        for attempt in (lambda: rig.run(action), lambda: _previewed(rig, action)):
            with pytest.raises(BadInput, match=r"replication driver \w+ has no slots"):
                await attempt()
        return
    assert (await rig.run(action)).outcome == "unchanged"
    [shown] = rig.preview(action)
    assert "one_to_two" in shown
    with pytest.raises(Unreachable):
        await rig.run(action, given=rig.silent(action))
    with pytest.raises(NotReady, match=THERE):
        await rig.run(action, given=rig.missing_link(action))


async def _previewed(rig: Rig, action: LinkAction) -> None:
    rig.preview(action)


@pytest.fixture
def slow() -> MemoryRig:
    """Databases whose comparison takes longer than an attempt to resume can wait."""
    rig = MemoryRig()
    rig.databases.compare_time = timedelta(seconds=1)
    return rig


async def test_a_recent_comparison_counts_where_there_is_no_time_for_another(
    slow: MemoryRig,
) -> None:
    """The run compared in an action of its own; the attempt that changes something is short."""
    report = await slow.run(VERIFY)
    given = slow.given(RESUME).model_copy(update={"compared_at": report.at})
    short = Attempt(limit=timedelta(seconds=3))
    assert (await slow.run(RESUME, short, given)).outcome == "changed"


@pytest.mark.parametrize("age", [None, timedelta(hours=1)])
async def test_an_old_comparison_is_not_believed(slow: MemoryRig, age: timedelta | None) -> None:
    """A run may be paused for hours between the two actions, while users go on writing."""
    compared = datetime.now(UTC) - age if age else None
    given = slow.given(RESUME).model_copy(update={"compared_at": compared})
    with pytest.raises(NotReady, match="too much was written while it was suspended"):
        await slow.run(RESUME, Attempt(limit=timedelta(seconds=3)), given)
    assert slow.databases.commands == []


async def test_a_comparison_that_fails_is_no_long_one(slow: MemoryRig) -> None:
    """A timeout of the driver's own is unknown, however recent the comparison before it."""
    report = await slow.run(VERIFY)
    slow.databases.comparison_fails = True
    given = slow.given(RESUME).model_copy(update={"compared_at": report.at})
    with pytest.raises(OutcomeUnknown, match="cannot be compared"):
        await slow.run(RESUME, given=given)
    assert slow.databases.commands == []


async def test_a_comparison_heartbeats(slow: MemoryRig) -> None:
    """A worker that dies in a long one is noticed within seconds."""
    slow.databases.compare_time = timedelta(seconds=2.5)
    attempt = Attempt()
    await slow.run(VERIFY, attempt)
    assert attempt.heartbeats >= 2
