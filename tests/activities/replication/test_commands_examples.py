"""The examples of docs/examples do what docs/drivers.md asks of a command for replication."""

import json
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.replication import activities
from tests.activities.replication.conformance.rigs import NAMES, CommandsRig
from tests.support.site_replication import Site
from tests.support.ssh_machines import Attempt, SshServer
from workflows.errors import CommandFailed, NotReady, NotYet, OutcomeUnknown
from workflows.model import actions
from workflows.model.observations import ReplicationReading

ROOT = Path(__file__).parents[3]
EXAMPLES, SUPPORT = ROOT / "docs/examples", ROOT / "tests/support"
THERE = NAMES[0]
SUSPEND, RESUME = actions.SuspendReplication(link=THERE), actions.ResumeReplication(link=THERE)

SHORT = timedelta(seconds=12)
CHAIN = (("EXTRACT", "EONE"), ("EXTRACT", "PONE"), ("REPLICAT", "RTWO"))
LOG_READER, DISTRIBUTION = "ONE-st-1", "ONE-st-st_configuration-TWO-3"


class Example:
    """An example behind the driver, over SSH, and its stand-in's state."""

    def __init__(self, rig: CommandsRig, folder: Path, example: str, program: str) -> None:
        self.rig, self._folder, self._program = rig, folder, program
        text = (SUPPORT / f"stand_in_{program}.py").read_text()
        self.program = folder / program
        self.program.write_text(f"#!{sys.executable}\n{text}")
        self.program.chmod(0o755)
        command = (sys.executable, str(EXAMPLES / example), str(folder / "settings.json"))
        links = tuple(
            link.model_copy(update={"command": command}) for link in rig.replication.links
        )
        rig.replication = rig.replication.model_copy(update={"links": links})

    @property
    def state(self) -> dict[str, Any]:
        """The stand-in's state."""
        read: dict[str, Any] = json.loads((self._folder / f"{self._program}.json").read_text())
        return read

    def set(self, **state: Any) -> None:  # noqa: ANN401 - JSON
        """Change the stand-in's state."""
        file = self._folder / f"{self._program}.json"
        old = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(old | state))

    def settings(self, **settings: Any) -> None:  # noqa: ANN401 - JSON
        """Write the example's file."""
        (self._folder / "settings.json").write_text(json.dumps(settings))

    @property
    def calls(self) -> list[str]:
        """Everything that changed something."""
        file = self._folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    async def observe(self) -> ReplicationReading:
        """Observe the link; what every example lacks is left out of the findings."""
        reading = await self.rig.observe()
        names = [one.name for one in reading.findings]
        assert not reading.exists or "conflicts_not_told" in names
        kept = tuple(one for one in reading.findings if one.name != "conflicts_not_told")
        return reading.model_copy(update={"findings": kept})


@pytest.fixture
async def rig(
    ssh_server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[CommandsRig]:
    """The driver."""
    monkeypatch.setattr(activities, "MAX_READS_AFTER_CHANGE", 2)
    rig = CommandsRig(Site(tmp_path / "site"), ssh_server, tmp_path)
    yield rig
    await rig.shell.close()


@pytest.fixture
def goldengate(rig: CommandsRig, tmp_path: Path) -> Example:
    """Three processes that run."""
    example = Example(rig, tmp_path, "goldengate.py", "ggsci")
    running = {"status": "RUNNING", "lag": "00:00:02", "eof": True}
    example.set(**{group: {"kind": kind, **running} for kind, group in CHAIN})
    ggsci = [str(example.program)]
    processes = [{"kind": kind, "group": group, "ggsci": ggsci} for kind, group in CHAIN]
    example.settings(processes=processes, tables=["st.account"], sends_back=False)
    return example


@pytest.fixture
def sql_server(rig: CommandsRig, tmp_path: Path) -> Example:
    """Two agents' jobs that run."""
    example = Example(rig, tmp_path, "sql_server.py", "sqlcmd")
    example.set(
        log={"other": 7, "st": 0},
        undelivered=0,
        articles=["dbo.Account", "dbo.Site"],
        jobs={name: {"enabled": 1, "runs": 1} for name in (LOG_READER, DISTRIBUTION)},
    )
    example.settings(
        publisher=[str(example.program), "-S", "one"],
        distributor=[str(example.program), "-S", "dist"],
        publisher_database="st",
        publication="st_configuration",
        log_reader_job=LOG_READER,
        distribution_job=DISTRIBUTION,
        sends_back=False,
    )
    return example


async def test_goldengate_is_suspended_and_resumed(goldengate: Example) -> None:
    """In the sequence in which a change passes, and back against it."""
    reading = await goldengate.observe()
    assert (reading.enabled, reading.running, reading.sends_back) == (True, True, False)
    assert (reading.tables, reading.findings, reading.not_read) == (("st.account",), (), {})
    assert (await goldengate.rig.run(SUSPEND)).outcome == "changed"
    assert goldengate.calls == ["STOP EXTRACT EONE", "STOP EXTRACT PONE", "STOP REPLICAT RTWO"]
    reading = await goldengate.observe()
    assert (reading.enabled, reading.running) == (False, False)
    given = goldengate.rig.given(RESUME)
    with pytest.raises(NotReady, match="cannot tell whether both sides wrote the same rows"):
        await goldengate.rig.run(RESUME)
    accepted = given.model_copy(update={"accepted": ("conflicts_not_told",)})
    assert (await goldengate.rig.run(RESUME, given=accepted)).outcome == "changed"
    assert goldengate.calls[3:] == [
        "START REPLICAT RTWO",
        "START EXTRACT PONE",
        "START EXTRACT EONE",
    ]


async def test_goldengate_that_is_behind_is_not_suspended(goldengate: Example) -> None:
    """A process that is not at the end of what it reads."""
    goldengate.set(RTWO={**goldengate.state["RTWO"], "eof": False, "lag": "01:00:00"})
    [finding] = (await goldengate.observe()).findings
    assert (finding.name, finding.seen) == ("replication_behind", "two is 3604 seconds behind one")
    with pytest.raises(NotYet, match=r"RTWO: Last record lag 2 seconds\. behind"):
        await goldengate.rig.run(SUSPEND, Attempt(limit=SHORT))
    assert goldengate.calls == []


async def test_goldengate_that_has_abended_is_found(goldengate: Example) -> None:
    """It is on, and does not run; one that is not there is no link."""
    goldengate.set(PONE={**goldengate.state["PONE"], "status": "ABENDED"})
    reading = await goldengate.observe()
    assert (reading.enabled, reading.running) == (True, False)
    assert [one.seen for one in reading.findings] == ["EXTRACT PONE has abended"]
    goldengate.set(PONE={**goldengate.state["PONE"], "kind": "REPLICAT"})
    assert (await goldengate.observe()).exists is False


async def test_goldengate_that_does_not_start_is_no_success(goldengate: Example) -> None:
    """The command says so, and nothing after it is started."""
    stopped = {name: {**one, "status": "STOPPED"} for name, one in goldengate.state.items()}
    stopped["RTWO"]["breaks"] = True
    goldengate.set(**stopped)
    given = goldengate.rig.given(RESUME).model_copy(update={"accepted": ("conflicts_not_told",)})
    with pytest.raises(CommandFailed, match="RTWO is ABENDED, not RUNNING"):
        await goldengate.rig.run(RESUME, given=given)
    assert goldengate.calls == ["START REPLICAT RTWO"]


async def test_sql_server_is_suspended_and_resumed(sql_server: Example) -> None:
    """Each agent's job is disabled and stopped, then enabled and started."""
    reading = await sql_server.observe()
    assert (reading.enabled, reading.running) == (True, True)
    assert reading.tables == ("dbo.account", "dbo.site")
    assert (reading.findings, reading.not_read) == ((), {})
    assert (await sql_server.rig.run(SUSPEND)).outcome == "changed"
    assert sql_server.calls == [
        f"EXEC msdb.dbo.sp_update_job @job_name = N'{job}', @enabled = 0; "
        f"IF 1 = 1 EXEC msdb.dbo.sp_stop_job @job_name = N'{job}'"
        for job in (LOG_READER, DISTRIBUTION)
    ]
    given = sql_server.rig.given(RESUME).model_copy(update={"accepted": ("conflicts_not_told",)})
    assert (await sql_server.rig.run(RESUME, given=given)).outcome == "changed"
    assert len(sql_server.calls) == 4
    reading = await sql_server.observe()
    assert (reading.enabled, reading.running) == (True, True)


@pytest.mark.parametrize(
    ("state", "missing"),
    [({"log": {"st": 3}}, "3 transactions"), ({"undelivered": 12}, "12 commands")],
)
async def test_sql_server_that_is_behind_is_not_suspended(
    state: dict[str, Any], missing: str, sql_server: Example
) -> None:
    """Neither with transactions in the publisher's log, nor with commands at the distributor."""
    sql_server.set(**state)
    with pytest.raises(NotYet, match=f"is still {missing} behind"):
        await sql_server.rig.run(SUSPEND, Attempt(limit=SHORT))
    assert sql_server.calls == []


async def test_sql_server_that_cannot_be_asked_says_why(sql_server: Example) -> None:
    """Nothing is known then, and nothing is changed; a job that is not there is no link."""
    sql_server.set(refuses="dist")
    [finding] = (await sql_server.rig.observe()).findings
    assert finding.name == "replication_command_unusable"
    assert "sqlcmd at the distributor ended with 1: Login failed" in finding.seen
    with pytest.raises(OutcomeUnknown):
        await sql_server.rig.run(SUSPEND)
    sql_server.set(refuses="", jobs={LOG_READER: {"enabled": 1, "runs": 1}})
    assert (await sql_server.observe()).exists is False
    assert sql_server.calls == []
