"""An account that could not suspend or resume a link is found before anything is changed."""

from collections.abc import AsyncIterator
from typing import LiteralString

import pytest

from activities.replication.activities import ReplicationLinks
from activities.replication.postgresql.definition import Definition, definition_findings, sends_back
from activities.replication.postgresql.observe import too_old
from activities.transport.ssh import Shell
from lab.layout import DATABASE_PASSWORD
from tests.activities.replication.postgresql.observing import observed
from tests.support.postgres_pair import SECRETS, THERE, Pair, database, input_for, postgres_link
from tests.support.ssh_machines import Attempt
from workflows.errors import AccessRefused
from workflows.model import actions
from workflows.model.findings import Finding

OPERATOR = 'The "op"'
ROLE: LiteralString = '"The ""op"""'
PUBLICATION = THERE.publication


@pytest.fixture(autouse=True)
async def operator(pair: Pair) -> AsyncIterator[None]:
    """Both directions run; an account that is no superuser may log in."""
    await pair.run()
    await pair.execute("two", f"CREATE ROLE {ROLE} LOGIN PASSWORD '{DATABASE_PASSWORD}'")
    yield
    await pair.execute("two", "ALTER SUBSCRIPTION one_to_two OWNER TO CURRENT_USER")
    await pair.execute("two", "ALTER SUBSCRIPTION one_to_two SET (password_required = true)")
    await pair.execute("two", f"DROP OWNED BY {ROLE}")
    await pair.execute("two", f"DROP ROLE {ROLE}")


async def found() -> list[Finding]:
    """Observe with that account at the subscriber, and return what is found."""
    return list((await observed(subscriber=database("two", user=OPERATOR))).findings)


async def alter() -> None:
    """Suspend the link and resume it with that account."""
    link = postgres_link(user=OPERATOR)
    for change in ("DISABLE", "ENABLE"):
        await link.alter(link.altering(change), within=5)


async def test_a_subscription_of_another_owner_is_found(pair: Pair) -> None:
    """And what it advises suffices, word for word."""
    with pytest.raises(AccessRefused):
        await alter()
    [finding] = await found()
    assert finding.name == "replication_not_alterable"
    assert (
        finding.seen
        == f"subscription one_to_two belongs to postgres, whose rights {OPERATOR} has not"
    )
    granting = f'GRANT "postgres" TO {ROLE} WITH INHERIT TRUE'
    assert finding.advice.endswith(f": {granting}")
    await pair.execute("two", granting)
    assert await found() == []
    await alter()


async def owned_by_operator(pair: Pair) -> None:
    """Give the subscription to the account."""
    await pair.execute("two", f"GRANT pg_create_subscription TO {ROLE}")
    await pair.execute("two", f"GRANT CREATE ON DATABASE two TO {ROLE}")
    await pair.execute("two", f"ALTER SUBSCRIPTION one_to_two OWNER TO {ROLE}")


async def test_an_owner_may_alter_it(pair: Pair) -> None:
    """No other right is needed."""
    await owned_by_operator(pair)
    assert await found() == []
    await alter()


async def test_a_subscription_that_only_a_superuser_may_alter_is_found(pair: Pair) -> None:
    """Its owner may not, where it needs no password; what is advised helps."""
    await owned_by_operator(pair)
    await pair.execute("two", "ALTER SUBSCRIPTION one_to_two SET (password_required = false)")
    with pytest.raises(AccessRefused):
        await alter()
    [finding] = await found()
    assert finding.name == "replication_not_alterable"
    assert finding.seen == "subscription one_to_two has password_required = false"
    statement: LiteralString = 'ALTER SUBSCRIPTION "one_to_two" SET (password_required = true)'
    assert statement in finding.advice
    await pair.execute("two", statement)
    assert await found() == []


async def test_an_account_whose_transactions_are_read_only_is_found(pair: Pair) -> None:
    """By a setting of its own, or because the server is a standby."""
    await owned_by_operator(pair)
    await pair.execute("two", f"ALTER ROLE {ROLE} SET default_transaction_read_only = on")
    [finding] = await found()
    assert finding.name == "replication_not_alterable"
    assert finding.seen == f"transactions of {OPERATOR} on database-two are read only"


@pytest.mark.parametrize("state", ["running", "suspended"])
async def test_what_holds_already_needs_no_right(pair: Pair, state: str) -> None:
    """An action, or its undo, that has nothing to do reads the subscriber, and nothing else."""
    action: actions.Action = actions.ResumeReplication(link=THERE.name)
    if state == "suspended":
        await pair.idle()
        action = actions.SuspendReplication(link=THERE.name)
    given = input_for(
        action,
        publisher=database("one", port=1),  # it does not answer
        subscriber=database("two", user=OPERATOR),
    )
    links = ReplicationLinks(SECRETS, Shell(SECRETS))
    report = await Attempt().run(getattr(links, action.kind), given)
    assert report.outcome == "unchanged"


DEFINED = Definition(
    publications=(PUBLICATION,),
    owner="own er",
    has_owners_rights=True,
    superuser=False,
    read_only=False,
    asks_for_own=True,
    password_required=True,
)


def test_before_version_16_a_right_is_granted_in_other_words() -> None:
    """A membership is inherited, or not, by a property of the account."""
    foreign = Definition(**{**vars(DEFINED), "has_owners_rights": False})
    [finding] = definition_findings(foreign, postgres_link(user="op"), 150_000)
    assert finding.advice.endswith(': GRANT "own er" TO "op"; ALTER ROLE "op" INHERIT')


@pytest.mark.parametrize(
    ("asks", "publisher", "expected"),
    [
        (True, 160_000, False),
        (True, 150_018, True),
        (True, None, None),
        (False, 180_000, True),
        (False, None, True),
    ],
)
def test_a_link_sends_back_unless_both_sides_can_leave_that_out(
    asks: bool,  # noqa: FBT001 - a fact
    publisher: int | None,
    expected: bool | None,  # noqa: FBT001 - a fact
) -> None:
    """The subscriber asks for it, and the publisher has to be version 16 or later."""
    defined = Definition(**{**vars(DEFINED), "asks_for_own": asks})
    assert sends_back(defined, publisher) is expected


@pytest.mark.parametrize(
    ("version", "seen"),
    [(120_022, "PostgreSQL 12"), (130_009, "PostgreSQL 13"), (140_000, ""), (None, "")],
)
def test_a_version_that_is_too_old_is_one_finding(version: int | None, seen: str) -> None:
    """It names the version that is needed; no statement has to fail first."""
    findings = list(too_old(database("one"), version))
    assert [finding.place for finding in findings] == ["database-one"] * bool(seen)
    assert all(finding.seen.startswith(seen) for finding in findings)
    assert all("14 or later" in finding.expected for finding in findings)


async def test_of_a_version_that_is_too_old_nothing_else_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Statements that it does not know would each fail with an error of their own."""
    monkeypatch.setattr("activities.replication.postgresql.observe.OLDEST_VERSION", 999_999)
    reading = await observed()
    assert [(finding.name, finding.place) for finding in reading.findings] == [
        ("database_too_old", "database-one"),
        ("database_too_old", "database-two"),
    ]
    assert (reading.exists, reading.enabled, reading.tables) == (None, None, ())
