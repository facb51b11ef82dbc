"""Replication is resumed only where no change is lost: on two real databases."""

import asyncio
from dataclasses import replace
from itertools import count
from typing import Any, LiteralString

import pytest

from activities.replication.activities import ReplicationLinks
from activities.replication.postgresql import conflicts, pending
from activities.replication.postgresql.pending import Pending
from activities.replication.postgresql.row_changes import Row
from activities.transport.login import Logins
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from tests.support.postgres_pair import (
    BACK,
    LINKS,
    SECRETS,
    THERE,
    Pair,
    database,
    input_for,
    postgres_link,
)
from tests.support.ssh_machines import Attempt
from workflows.errors import AccessRefused, NotReady, NotYet, OutcomeUnknown
from workflows.model import actions
from workflows.model.replications.postgresql import SubscriptionLink
from workflows.model.results import Report
from workflows.ports.replication import ReplicationInput

REPLICATION = ReplicationLinks(SECRETS, Shell(SECRETS))
RUNS = count(1)
pytestmark = pytest.mark.usefixtures("suspended")
NOTE: LiteralString = "SELECT note FROM account WHERE name = 'p1'"


async def resume(link: SubscriptionLink, *all_: SubscriptionLink) -> Report:
    """Resume one direction."""
    return await Attempt().run(REPLICATION.resume_replication, resuming(link, *all_))


def resuming(link: SubscriptionLink, *all_: SubscriptionLink) -> ReplicationInput[Any]:
    """Return the action that resumes one direction, of a run of its own."""
    given = input_for(actions.ResumeReplication(link=link.name), link, *all_)
    run = given.operation.model_copy(update={"identity": f"run-{next(RUNS)}"})
    return given.model_copy(update={"operation": run})


async def persistently(given: ReplicationInput[Any]) -> Report:
    """Try again what the engine would try again."""
    while True:
        try:
            return await Attempt().run(REPLICATION.resume_replication, given)
        except (NotYet, OutcomeUnknown):
            await asyncio.sleep(0.2)


async def resume_both() -> list[Any]:
    """Resume both directions side by side."""
    return await asyncio.gather(
        *(persistently(resuming(link)) for link in LINKS), return_exceptions=True
    )


async def enabled(pair: Pair) -> list[bool]:
    """Whether each link is enabled."""
    query: LiteralString = (
        "SELECT subenabled FROM pg_subscription JOIN pg_database d ON d.oid = subdbid "
        "AND d.datname = current_database()"
    )
    return [await pair.value(link.target, query) for link in LINKS]


async def test_what_each_side_wrote_for_itself_reaches_the_other(pair: Pair) -> None:
    """Different rows, side by side, again and again: nothing is refused, nothing is lost."""
    for turn in range(5):
        await pair.execute("one", "INSERT INTO account SELECT 'one' || nextval('n'), 'new'")
        await pair.execute("two", "INSERT INTO account SELECT 'two' || nextval('n'), 'new'")
        reports = await resume_both()
        assert [report.outcome for report in reports] == ["changed", "changed"], reports
        for side in ("one", "two"):
            await pair.settles(side, "SELECT count(*) FROM account", 3 + 2 * turn)
        await pair.idle()


@pytest.fixture(autouse=True, scope="module")
async def sequences(pair: Pair) -> None:
    """Numbers for rows that no other test has."""
    await pair.execute("one", "CREATE SEQUENCE n")
    await pair.execute("two", "CREATE SEQUENCE n")


CONFLICTS: dict[str, tuple[LiteralString, LiteralString, str]] = {
    "updated": (
        "UPDATE account SET note = 'of one' WHERE name = 'p1'",
        "UPDATE account SET note = 'of two' WHERE name = 'p1'",
        "public.account (name=p1);",
    ),
    "updated alike": (
        "UPDATE account SET note = 'same' WHERE name = 'p1'",
        "UPDATE account SET note = 'same' WHERE name = 'p1'",
        "public.account (name=p1);",
    ),
    "inserted": (
        "INSERT INTO account VALUES ('p2', 'of one')",
        "INSERT INTO account VALUES ('p2', 'of two')",
        "public.account (name=p2);",
    ),
    "removed here": (
        "DELETE FROM account WHERE name = 'p1'",
        "UPDATE account SET note = 'of two' WHERE name = 'p1'",
        "public.account (name=p1);",
    ),
    "renamed to the same": (
        "UPDATE account SET name = 'p3' WHERE name = 'p1'",
        "INSERT INTO account VALUES ('p3', 'of two')",
        "public.account (name=p3);",
    ),
    "emptied here": (
        "TRUNCATE account",
        "UPDATE account SET note = 'of two' WHERE name = 'p1'",
        "public.account",
    ),
    "an odd name and key": (
        """INSERT INTO "Odd ""1"" table" VALUES (1, 'b', true)""",
        """INSERT INTO "Odd ""1"" table" VALUES (1, 'b', false)""",
        'public.Odd "1" table (a=1, b=b        );',
    ),
    "no key": (
        "INSERT INTO keyless VALUES ('line', 1.50)",
        "INSERT INTO keyless VALUES ('line', 1.50)",
        "public.keyless (line=line, number=1.50);",
    ),
}


@pytest.mark.parametrize("how", CONFLICTS)
async def test_rows_that_both_sides_wrote_are_named_and_nothing_is_resumed(
    how: str, pair: Pair
) -> None:
    """From either direction, one after the other and side by side; and nothing is consumed."""
    here, there, named = CONFLICTS[how]
    await pair.execute("one", here)
    await pair.execute("two", there)
    for link in LINKS:
        with pytest.raises(NotReady, match="both sides wrote the same rows") as refusal:
            await resume(link)
        assert named in str(refusal.value)
        assert "pg_replication_slot_advance (slots: " in str(refusal.value)
        assert f"{link.name} in {link.subscription}" in str(refusal.value)
    assert [type(refusal) for refusal in await resume_both()] == [NotReady, NotReady]
    assert await enabled(pair) == [False, False]


async def test_the_advice_works(pair: Pair) -> None:
    """One side's changes are discarded: the same action completes, and both sides are alike."""
    await pair.execute("one", "UPDATE account SET note = 'of one' WHERE name = 'p1'")
    await pair.execute("two", "UPDATE account SET note = 'of two' WHERE name = 'p1'")
    with pytest.raises(NotReady):
        await resume(THERE)
    await pair.discard(BACK)
    reports = await resume_both()
    assert [report.outcome for report in reports] == ["changed", "changed"], reports
    await pair.settles("two", NOTE, "of one")
    assert await pair.value("one", NOTE) == "of one"


async def test_only_the_first_rows_are_listed(pair: Pair) -> None:
    """Twenty, and how many more; a row that was written again counts once."""
    for side in ("one", "two"):
        await pair.execute(side, "INSERT INTO account SELECT 'x' || generate_series(101, 130)")
        await pair.execute(side, "UPDATE account SET note = 'again' WHERE name LIKE 'x%'")
    with pytest.raises(NotReady, match="and 10 more") as refusal:
        await resume(THERE)
    assert str(refusal.value).count("public.account") == conflicts.MAX_SHOWN_ROWS


async def test_what_came_by_replication_is_not_a_sides_own(pair: Pair) -> None:
    """A row that the other side delivered before is not taken for one that this side wrote."""
    await pair.switch(THERE, "ENABLE")
    await pair.execute("one", "UPDATE account SET note = 'of one' WHERE name = 'p1'")
    await pair.settles("two", NOTE, "of one")
    await pair.idle()
    await pair.execute("one", "UPDATE account SET note = 'later' WHERE name = 'p1'")
    assert (await resume(BACK)).outcome == "changed"
    assert (await resume(THERE)).outcome == "changed"
    await pair.settles("two", NOTE, "later")


async def test_a_direction_that_went_first_by_hand_may_have_overwritten(pair: Pair) -> None:
    """What this side wrote does not stand any more: delivered now, the two would swap."""
    await pair.execute("one", "UPDATE account SET note = 'of one' WHERE name = 'p1'")
    await pair.execute("two", "UPDATE account SET note = 'of two' WHERE name = 'p1'")
    await pair.switch(THERE, "ENABLE")
    await pair.settles("two", NOTE, "of one")
    [refusal] = [r for r in await resume_both() if isinstance(r, NotReady)]
    assert "public.account (name=p1);" in str(refusal)
    assert await enabled(pair) == [True, False]


async def test_a_direction_that_went_first_does_not_hold_up_what_stands(pair: Pair) -> None:
    """Whatever is delivered still stands at its own side: updated, removed, long, odd."""
    await pair.execute("one", "UPDATE account SET note = 'of one' WHERE name = 'p1'")
    await pair.execute("two", "INSERT INTO account VALUES ('gone', 'soon'), ('p2', 'two')")
    await pair.execute("two", "UPDATE account SET note = repeat(md5('x'), 9999) WHERE name = 'p2'")
    await pair.execute("two", "UPDATE account SET at = now() WHERE name = 'p2'")
    await pair.execute("two", "DELETE FROM account WHERE name = 'gone'")
    await pair.execute("two", """INSERT INTO "Odd ""1"" table" VALUES (1, 'b', true)""")
    await pair.execute("two", "INSERT INTO keyless VALUES ('line', 1.50), (NULL, NULL)")
    await pair.switch(THERE, "ENABLE")
    await pair.settles("two", NOTE, "of one")
    await caught_up(pair)
    assert (await resume(BACK)).outcome == "changed"
    await pair.settles("one", "SELECT length(note) FROM account WHERE name = 'p2'", 319968)
    await pair.settles("one", """SELECT count(*) FROM "Odd ""1"" table" """, 1)


async def caught_up(pair: Pair) -> None:
    """Wait until the first direction has delivered everything."""
    query: LiteralString = (
        "SELECT confirmed_flush_lsn >= pg_current_wal_lsn() FROM pg_replication_slots "
        "WHERE slot_name = 'one_to_two'"
    )
    await pair.settles("one", query, True)  # noqa: FBT003 - the value that is waited for


async def test_a_direction_that_goes_on_and_is_behind_is_waited_for(pair: Pair) -> None:
    """A row that both inserted stops its worker: what it has not delivered cannot be compared."""
    await pair.execute("one", "INSERT INTO account VALUES ('p2', 'of one')")
    await pair.execute("two", "INSERT INTO account VALUES ('p2', 'of two')")
    await pair.switch(THERE, "ENABLE")
    with pytest.raises(NotYet, match=r"one-to-two runs already and is still \d+ bytes"):
        await resume(BACK)
    assert await enabled(pair) == [True, False]


async def test_too_much_to_compare_is_refused(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """No end of changes is read, and no answer is made up."""
    await pair.execute("one", "UPDATE account SET note = 'of one' WHERE name = 'p1'")
    await pair.execute("two", "INSERT INTO account SELECT 'y' || generate_series(1, 50)")
    monkeypatch.setattr(pending, "MAX_PENDING_MESSAGES", 20)
    with pytest.raises(NotReady, match="more than 20 changes wait at database-two"):
        await resume(THERE)
    monkeypatch.undo()
    monkeypatch.setattr(conflicts, "MAX_ROWS_LOOKED_UP", 20)
    await pair.switch(THERE, "ENABLE")
    await pair.settles("two", NOTE, "of one")
    await caught_up(pair)
    with pytest.raises(NotReady, match="one-to-two runs already, and more than 20 rows"):
        await resume(BACK)
    assert await enabled(pair) == [True, False]


async def test_a_hundred_thousand_rows_are_compared(pair: Pair) -> None:
    """A busy night's changes are read a part at a time, in an action that may take minutes."""
    await pair.execute("one", "INSERT INTO account SELECT 'a' || generate_series(1, 99000)")
    await pair.execute("two", "INSERT INTO account SELECT 'b' || generate_series(1, 99000)")
    await pair.execute("two", "INSERT INTO account VALUES ('a99000')")
    given = input_for(actions.VerifyNoConflicts(link=THERE.name))
    with pytest.raises(NotReady, match=r"\(name=a99000\);"):
        await Attempt().run(REPLICATION.verify_no_conflicts, given)


async def test_what_cannot_be_read_in_time_is_unknown(pair: Pair) -> None:
    """The server itself ends a reading that takes too long."""
    await pair.execute("two", "INSERT INTO account SELECT 'c' || generate_series(1, 50000)")
    here = postgres_link(BACK)
    with pytest.raises(OutcomeUnknown, match="took too long"):
        await anext(Pending(here, BACK.subscription, 0.001).changes())


async def test_a_slot_in_use_is_waited_for(pair: Pair) -> None:
    """A slot can be read only while no other connection uses it."""
    await pair.switch(THERE, "ENABLE")
    here = postgres_link()
    query: LiteralString = "SELECT active FROM pg_replication_slots WHERE slot_name = 'one_to_two'"
    await pair.settles("one", query, True)  # noqa: FBT003 - the value that is waited for
    with pytest.raises(NotYet, match="is active for PID"):
        await anext(Pending(here, THERE.subscription, 5).changes())


async def test_the_right_to_read_a_slot_is_asked_for(pair: Pair) -> None:
    """Who may not replicate may not compare, which is found before anything is suspended."""
    role: LiteralString = (
        "DO $$ BEGIN CREATE ROLE reader LOGIN PASSWORD 'invented'; "
        "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    )
    await pair.execute("one", role)
    secrets = Secrets({"DATABASE": "invented"})
    here = replace(
        postgres_link(), logins=Logins(secrets), publisher=database("one", user="reader")
    )
    with pytest.raises(AccessRefused, match="grant the right"):
        await anext(Pending(here, THERE.subscription, 5).changes())
    observation = input_for(actions.ObserveReplication(link=THERE.name), THERE)
    reader = observation.model_copy(update={"publisher": database("one", user="reader")})
    found = [
        await Attempt().run(ReplicationLinks(secrets, Shell(secrets)).observe_replication, given)
        for secrets, given in ((SECRETS, observation), (secrets, reader))
    ]
    assert [finding.name for finding in found[0].findings] == []
    assert "replication_not_comparable" in [finding.name for finding in found[1].findings]


async def test_an_estate_with_one_direction_has_nothing_to_compare(pair: Pair) -> None:
    """Only what leads the other way can meet it."""
    await pair.execute("one", "UPDATE account SET note = 'of one' WHERE name = 'p1'")
    assert (await resume(THERE, THERE)).outcome == "changed"
    await pair.settles("two", NOTE, "of one")


async def test_a_row_is_read_in_the_format_of_replication(pair: Pair) -> None:
    """A value in another format would seem to be overwritten."""
    await pair.execute("one", """INSERT INTO "Odd ""1"" table" VALUES (7, 'b', true)""")
    here = postgres_link()
    sent = [change async for change in Pending(here, THERE.subscription, 5).changes()]
    assert [await here.current(change.row) for change in sent] == [
        {"a": "7", "b": "b        ", "yes": "t"}
    ]
    assert await here.current(Row('public.Odd "1" table', (("a", "8"), ("b", "b")))) is None
