"""The lab's own command for replication, run by the product's driver in a real lab."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from activities.replication.activities import ReplicationLinks
from activities.time_limits import LIMITS, TimeLimits
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from lab import records
from lab.environment.estate_file import write_estate
from lab.environment.lab import Lab
from lab.fault_injection.fault import Fault, Kind
from lab.fault_injection.trigger import Trigger
from lab.layout import Drivers
from lab.proxy.estate_file import write_proxied_estate
from lab.proxy.proxies import BALANCER, Proxies
from tests.support.polling import eventually
from tests.support.ssh_machines import Attempt
from workflows.errors import CommandFailed, NotReady, OutcomeUnknown, SwitchoverError, Unreachable
from workflows.estate_file import parse_estate
from workflows.model import actions
from workflows.model.results import Operation, Report
from workflows.model.stages import StageName
from workflows.ports.replication import ReplicationInput

NAMES = ("cluster1-to-cluster2", "cluster2-to-cluster1")


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """A small lab."""
    async with Lab.open(tmp_path / "lab", 1, 1, drivers=Drivers(replication="commands")) as lab:
        yield lab


class Driven:
    """The product's activities on that lab."""

    def __init__(self, lab: Lab, folder: Path | None = None, identity: str = "run-1") -> None:
        """*folder*: where the estate stands that reaches the lab by its proxies."""
        self._identity = identity
        self._estate = write_estate(lab.layout)
        if folder is not None:
            write_proxied_estate(lab.layout, folder, {})
            file = folder / lab.layout.estate_file.name
            self._estate = parse_estate(file.read_bytes(), file)
        secrets = Secrets({}, [lab.layout.root])
        self.shell = Shell(secrets)
        self._links = ReplicationLinks(secrets, self.shell)
        LIMITS.set(TimeLimits.of(self._estate.timing))

    async def __call__(self, action: Any) -> Any:  # noqa: ANN401 - any action, any result
        """Make one attempt."""
        stage = "suspend_replication"
        operation = Operation(identity=self._identity, stage=stage, action=action.key)
        given: ReplicationInput[Any] = ReplicationInput.of(operation, action, self._estate)
        limit = self._estate.replication.attempt_limit
        return await Attempt(limit=limit).run(getattr(self._links, action.kind), given)


async def write(lab: Lab, cluster: str, statement: str) -> None:
    """Change a row on one side."""
    dsn = lab.layout.cluster(cluster).dsn
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(statement.encode())


async def test_the_driver_suspends_compares_and_resumes(lab: Lab) -> None:
    """Each effect once, by the databases' own record; rows that both sides wrote forbid it."""
    driven = Driven(lab)
    for name in NAMES:
        reading = await driven(actions.ObserveReplication(link=name))
        assert (reading.findings, reading.not_read, reading.running) == ((), {}, True)
        assert "public.account" in reading.tables
        report: Report = await driven(actions.SuspendReplication(link=name))
        assert report.outcome == "changed"
    await write(lab, "cluster1", "UPDATE account SET note = 'one' WHERE name = 'partner001'")
    await write(lab, "cluster1", "DELETE FROM account WHERE name = 'partner002'")
    await write(lab, "cluster2", "UPDATE account SET note = 'two' WHERE name = 'partner003'")
    assert (await driven(actions.VerifyNoConflicts(link=NAMES[0]))).outcome == "seen"
    await write(lab, "cluster2", "UPDATE account SET note = 'x' WHERE name <= 'partner002'")
    with pytest.raises(NotReady, match="same rows: account partner001, account partner002; "):
        await driven(actions.VerifyNoConflicts(link=NAMES[0]))
    await write(lab, "cluster1", "INSERT INTO account (name) VALUES ('partner002')")
    effects = [(one["place"], one["effect"]) for one in records.read(lab.layout.effects)]
    assert effects == [("database2", "disable"), ("database1", "disable")]
    await driven.shell.close()


FAULTS: tuple[tuple[Kind, type[SwitchoverError]], ...] = (
    ("refused", CommandFailed),
    ("unreachable", Unreachable),
    ("lost", OutcomeUnknown),
    ("unknown", OutcomeUnknown),
)


async def test_a_fault_begins_with_the_suspension(lab: Lab, tmp_path: Path) -> None:
    """What only observes begins none; and only where the act went well there is an effect."""
    observe = actions.ObserveReplication(link=NAMES[0])
    async with Proxies.open(lab.layout) as proxies:
        for kind, error in FAULTS:
            driven = Driven(lab, tmp_path / "product", identity=kind)
            noticed = asyncio.Event()

            async def has_noticed(event: asyncio.Event = noticed) -> bool:
                return event.is_set()

            fault = Fault(StageName.SUSPEND_REPLICATION, BALANCER, kind)
            trigger = Trigger(fault, proxies, has_noticed)
            trigger.arm()
            assert (await driven(observe)).running
            assert trigger.began_at is None

            with pytest.raises(error):
                await driven(actions.SuspendReplication(link=NAMES[0]))
            if kind == "unknown":  # the program goes on, unseen
                await eventually(lambda: any(records.read(lab.layout.effects)))
            noticed.set()
            await trigger.follow()
            assert (await driven(observe)).running is (kind != "unknown")
            assert any(records.read(lab.layout.effects)) is (kind == "unknown")
            await trigger.end()
            await driven.shell.close()


async def test_it_resumes_what_only_one_side_wrote(lab: Lab) -> None:
    """And the other side gets it."""
    driven = Driven(lab)
    await driven(actions.SuspendReplication(link=NAMES[0]))
    await write(lab, "cluster1", "UPDATE account SET note = 'one' WHERE name = 'partner001'")
    assert (await driven(actions.ResumeReplication(link=NAMES[0]))).outcome == "changed"
    assert (await driven(actions.AwaitDelivery(link=NAMES[0]))).outcome == "seen"
    effects = [(one["place"], one["effect"]) for one in records.read(lab.layout.effects)]
    assert effects == [("database2", "disable"), ("database2", "enable")]
    await driven.shell.close()
