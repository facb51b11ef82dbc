"""A site's own command changes a link once for each operation, and is believed only by reading."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.replication import activities
from activities.site_commands import commands as site_commands
from tests.activities.replication.conformance.rigs import NAMES, CommandsRig, LinkAction
from tests.support.polling import eventually
from tests.support.site_replication import Site
from tests.support.ssh_machines import Attempt, SshServer
from tests.support.unix_machines import UnixMachine
from workflows.errors import CommandFailed, Lost, NotReady, NotYet, OutcomeUnknown
from workflows.model import actions
from workflows.model.replications.commands_checks import conflicts_not_told
from workflows.ports.replication import ReplicationInput

THERE, BACK = NAMES
SUSPEND, RESUME = actions.SuspendReplication(link=THERE), actions.ResumeReplication(link=THERE)
VERIFY = actions.VerifyNoConflicts(link=THERE)
SECOND = timedelta(seconds=1)
WHOLE: dict[str, Any] = {"exists": True, "enabled": True, "running": True, "compares": True}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The command, with both links running."""
    return Site(tmp_path / "site")


@pytest.fixture
async def rig(
    site: Site, ssh_server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[CommandsRig]:
    """The driver; it soon gives up on a change that does not show."""
    monkeypatch.setattr(activities, "MAX_READS_AFTER_CHANGE", 2)
    monkeypatch.setattr(site_commands, "PAUSE", SECOND)
    rig = CommandsRig(site, ssh_server, tmp_path)
    yield rig
    await rig.shell.close()


def changed(rig: CommandsRig, action: LinkAction, **changes: object) -> ReplicationInput[Any]:
    """Return the input of an action on a link with these keys."""
    given = rig.given(action)
    [there, back] = rig.replication.links
    links = (there.model_copy(update=changes), back)
    other = rig.replication.model_copy(update={"links": links})
    return given.model_copy(update={"replication": other})


async def findings(rig: CommandsRig, **changes: object) -> dict[str, str]:
    """Observe the link with these keys; return what is seen by the name of each finding."""
    given = changed(rig, actions.ObserveReplication(link=THERE), **changes)
    reading = await Attempt().run(rig.links.observe_replication, given)
    return {one.name: one.seen for one in reading.findings}


async def test_an_observation_changes_nothing(rig: CommandsRig, site: Site) -> None:
    """It reads the link, which tables it carries, and what the site reports."""
    found = {"what": "the extract is slow", "expected": "no lag", "advice": "look at it"}
    lag = {"amount": 61.5, "unit": "seconds"}
    tables = ["ST.EVENT", "ST.ACCOUNT"]
    site.says("observe", {**WHOLE, "lag": lag, "tables": tables, "findings": [found]})
    reading = await rig.observe()
    assert reading.tables == ("st.event", "st.account")
    assert reading.not_read == {}
    assert {one.name: one.seen for one in reading.findings} == {
        "replication_command_reports": "the extract is slow",
        "replication_behind": "two is 61.5 seconds behind one",
    }
    assert await findings(rig, lag_limit=61.5) == {
        "replication_command_reports": "the extract is slow"
    }
    assert site.changes == []


async def test_what_is_not_said_is_unknown(rig: CommandsRig, site: Site) -> None:
    """Neither the tables, nor a lag, nor whether it sends back: none of it counts as good."""
    site.says("observe", WHOLE)
    reading = await rig.observe()
    assert set(reading.not_read) == {"excluded_tables_replicated", "replication_behind"}
    assert reading.sends_back is None


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ("echo not yet", "it printed no JSON document"),
        ('echo \'{"exists": true, "ena\'', "it printed no JSON document"),
        ('echo \'{"exists": true, "enabled": true}\'', "enabled and running have to be true"),
        ('echo \'{"exists": "yes"}\'', "exists: "),
        ('echo \'{"exists": false, "more": 1}\'', "more: "),
        ('echo \'{"exists": false, "exists": true}\'', "it printed no JSON document"),
        ("exit 3", "it ended with 3: it printed nothing"),
        ("read word || exit 4", "it ended with 4"),
        ("head -c 300000 /dev/zero", "printed more than 131072 bytes"),
        ("sleep 3217", "did not end within 1 s"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_one_finding(
    script: str, seen: str, rig: CommandsRig, site: Site
) -> None:
    """It names the command; nothing is known of the link, and nothing is done to it."""
    site.runs("observe", script)
    rig.replication = rig.replication.model_copy(update={"reading_timeout": SECOND})
    reading = await rig.observe()
    assert (reading.exists, reading.enabled, reading.running) == (None, None, None)
    [finding] = reading.findings
    assert finding.name == "replication_command_unusable"
    assert f"`{site.program} {THERE} observe`: " in finding.seen
    assert seen in finding.seen
    with pytest.raises(OutcomeUnknown):
        await rig.run(SUSPEND)
    assert site.changes == []


async def test_a_command_has_to_be_there(rig: CommandsRig) -> None:
    """For every word that a run may need."""
    found = await findings(rig, command=("/nowhere/repl",))
    assert set(found) == {"replication_command_unusable", "replication_command_not_runnable"}
    assert "`/nowhere/repl suspend`" in found["replication_command_not_runnable"]


async def test_a_ledger_that_cannot_be_kept_is_found(rig: CommandsRig) -> None:
    """A suspension would be refused there in the middle of a run."""
    [host] = rig.replication.hosts
    other = host.model_copy(update={"ledger": "/proc/switchover"})
    rig.replication = rig.replication.model_copy(update={"hosts": (other,)})
    assert set(await findings(rig)) == {"replication_ledger_not_usable"}


async def test_a_program_that_a_suspension_needs_is_found_missing(
    rig: CommandsRig, ssh_server: SshServer, tmp_path: Path
) -> None:
    """Whether or not the site's command runs without it."""
    machine = UnixMachine.of(tmp_path, "dash-needed")
    machine.without(("mv",))
    ssh_server.sh = machine.login_shell()
    found = await findings(rig)
    assert "find no mv (to record each command" in found["replication_program_missing"]
    machine.link({"mv": "mv"})
    assert "replication_program_missing" not in await findings(rig)


async def test_conflicts_that_cannot_be_told_are_found_beforehand(
    rig: CommandsRig, site: Site
) -> None:
    """An operator may accept that, with a reason; it blocks otherwise."""
    site.says("observe", {**WHOLE, "compares": False})
    assert set(await findings(rig)) == {"conflicts_not_told"}
    assert conflicts_not_told.may_be_accepted("switchover")
    assert conflicts_not_told.may_be_accepted("rejoin")


async def test_conflicts_that_cannot_be_told_forbid_to_resume(rig: CommandsRig, site: Site) -> None:
    """The refusal says what to compare by hand, and how the run goes on after that."""
    await rig.suspend_both()
    site.says("compare", {"conflicts": None})
    for action in (VERIFY, RESUME):
        with pytest.raises(NotReady, match="compare what was written on database-one and on data"):
            await rig.run(action)
    assert not site.enabled(THERE)
    site.set(f"enabled.{THERE}")  # by hand, as the sentence says
    assert (await rig.run(RESUME)).outcome == "unchanged"


async def test_what_was_accepted_is_resumed(rig: CommandsRig, site: Site) -> None:
    """Without a comparison, and the report says so; rows that are named forbid it all the same."""
    await rig.suspend_both()
    accepted = {"accepted": (conflicts_not_told.name,)}
    verify, resume = (rig.given(one).model_copy(update=accepted) for one in (VERIFY, RESUME))
    site.says("compare", {"conflicts": ["account 7"]})
    with pytest.raises(NotReady, match="both sides wrote the same rows: account 7"):
        await rig.run(RESUME, given=resume)
    site.says("compare", {"conflicts": None})
    report = await rig.run(VERIFY, given=verify)
    assert report.message.endswith("compare` cannot tell, which was accepted")
    assert (await rig.run(RESUME, given=resume)).outcome == "changed"


async def test_a_change_that_shows_nothing_is_no_success(rig: CommandsRig, site: Site) -> None:
    """Although it exits 0; it is not run again before an operator says so."""
    site.runs("suspend", "echo suspended")
    with pytest.raises(OutcomeUnknown, match="enabled: True, running: True, expected disabled"):
        await rig.run(SUSPEND)
    for _ in range(2):
        with pytest.raises(NotReady, match="ended with 0, but observe shows enabled: True"):
            await rig.run(SUSPEND)
    assert len(site.changes) == 1
    again = rig.given(SUSPEND).operation.model_copy(update={"round": 2})
    given = rig.given(SUSPEND).model_copy(update={"operation": again})
    with pytest.raises(OutcomeUnknown):
        await rig.run(SUSPEND, given=given)
    assert len(site.changes) == 2


async def test_a_change_that_fails_says_why(rig: CommandsRig, site: Site) -> None:
    """In the command's own words."""
    site.runs("suspend", "echo 'the manager is down' >&2; exit 3")
    for _ in range(2):
        with pytest.raises(CommandFailed, match="suspend`: the command ended with 3: the manager"):
            await rig.run(SUSPEND)
    assert len(site.changes) == 1


async def test_a_command_that_asks_for_another_try_gets_one(rig: CommandsRig, site: Site) -> None:
    """Within the same operation."""
    site.runs("suspend", "[ -e tried ] && rm -f enabled.$1 && exit; : >tried; exit 75")
    assert (await rig.run(SUSPEND)).outcome == "changed"


async def test_a_change_that_hangs_is_ended(rig: CommandsRig, site: Site) -> None:
    """What is seen afterwards decides."""
    limit = {"change_timeout": SECOND}
    site.runs("suspend", "sleep 3218")
    with pytest.raises(OutcomeUnknown, match="did not end within 1 s, and was ended"):
        await rig.run(SUSPEND, given=changed(rig, SUSPEND, **limit))
    with pytest.raises(NotReady, match="did not end within 1 s, and was ended, but observe shows"):
        await rig.run(SUSPEND, given=changed(rig, SUSPEND, **limit))
    site.runs("resume", "rm -f other; : >enabled.$1; sleep 3219")
    site.clear(f"enabled.{THERE}")
    assert (await rig.run(RESUME, given=changed(rig, RESUME, **limit))).outcome == "changed"


async def test_a_killed_worker_repeats_nothing(rig: CommandsRig, site: Site) -> None:
    """The command that was begun is waited for, also where it takes longer than an attempt."""
    site.runs("suspend", "sleep 2; rm -f enabled.$1")
    for after in (1.0, 0.5):
        attempt = asyncio.ensure_future(rig.run(SUSPEND))
        await eventually(lambda: site.changes != [])
        await asyncio.sleep(after)
        attempt.cancel()
        with suppress(asyncio.CancelledError):
            await attempt
    short = Attempt(limit=timedelta(seconds=3))
    outcome = None
    async with asyncio.timeout(20):
        while outcome is None:
            with suppress(OutcomeUnknown):
                outcome = (await rig.run(SUSPEND, short)).outcome
            short = Attempt(limit=timedelta(seconds=3))
    assert outcome in {"changed", "unchanged"}
    assert len(site.changes) == 1


async def test_an_undo_waits_for_what_it_undoes(rig: CommandsRig, site: Site) -> None:
    """A suspension whose worker was killed has its effect later than an undo would see."""
    site.runs("suspend", "sleep 1.5; rm -f enabled.$1")
    begun = asyncio.ensure_future(rig.run(SUSPEND))
    await eventually(lambda: site.changes != [])
    begun.cancel()
    with suppress(asyncio.CancelledError):
        await begun
    with pytest.raises(NotYet, match="still runs on repl1"):
        await rig.run(RESUME)
    await eventually(lambda: not site.enabled(THERE))
    report = None
    async with asyncio.timeout(10):
        while report is None:
            with suppress(NotYet):
                report = await rig.run(RESUME)
    assert report.outcome == "changed"
    assert site.enabled(THERE)


async def test_a_command_whose_end_was_never_recorded_is_seen_to(
    rig: CommandsRig, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts where it had its effect; otherwise an operator decides."""
    monkeypatch.setattr(site_commands, "ENDING", SECOND)
    [host] = rig.replication.hosts
    dies = f"kill -9 $(cut -d ' ' -f 3 {host.ledger}/claims/*) 2>/dev/null; sleep 0.1"
    limit = {"change_timeout": SECOND}
    site.runs("suspend", dies)
    with pytest.raises(OutcomeUnknown, match="is lost"):
        await rig.run(SUSPEND, given=changed(rig, SUSPEND, **limit))
    with pytest.raises(Lost):
        await rig.run(SUSPEND, given=changed(rig, SUSPEND, **limit))
    site.clear(f"enabled.{THERE}")
    assert (await rig.run(SUSPEND)).outcome == "unchanged"
