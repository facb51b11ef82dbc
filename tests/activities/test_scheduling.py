"""Scheduler and Folder Monitor over the admin API: read, act, read back; never late."""

from datetime import timedelta

import pytest

from activities.scheduling import RestScheduling
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_requests import operation
from activities.transport.ssh import Shell
from tests.activities.conftest import NodeMaker
from tests.support.admin_api import Api, Certificate
from tests.support.ssh_machines import SECRETS, Attempt, Executor, SshServer, admin_access
from workflows.errors import AccessRefused, CommandFailed, NotReady, OutcomeUnknown, Unreachable
from workflows.model import actions
from workflows.model.estate import Node
from workflows.model.results import Service

STOP = actions.StopScheduling(node="server1")
START = actions.StartScheduling(node="server1")
VERIFY = actions.VerifySchedulingStopped(node="server1")


@pytest.fixture
def execute(shell: Shell, server: Node) -> Executor:
    """Execute actions on the Server."""
    return Executor(RestScheduling(AdminClient(shell, SECRETS)), server)


@pytest.fixture(autouse=True)
def few_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count a change as failed soon."""
    monkeypatch.setattr("activities.scheduling.MAX_READINGS", 2)


def operations(api: Api) -> int:
    """Count what was asked to change."""
    return sum(1 for asked in api.asked if asked.startswith("POST"))


async def test_both_are_stopped_and_started_and_read_back(execute: Executor, api: Api) -> None:
    """Once each; a second attempt finds nothing to do."""
    for action, status, sent in ((STOP, "Not running.", 2), (START, "Running.", 4)):
        outcomes = [(await execute(action)).outcome for _ in range(2)]
        assert outcomes == ["changed", "unchanged"]
        assert set(api.scheduling.values()) == {status}
        assert operations(api) == sent


async def test_a_lost_reply_is_resolved_by_reading(execute: Executor, api: Api) -> None:
    """The operation was carried out, and only its answer was lost: it is not sent again."""
    api.forgets = True
    report = await execute(STOP)
    assert (report.outcome, operations(api)) == ("changed", 2)


async def test_a_lost_reply_that_reading_does_not_resolve_is_unknown(
    execute: Executor, api: Api
) -> None:
    """Asked, not answered, and not read back: the outcome is unknown."""
    api.forgets = api.stuck = True
    with pytest.raises(OutcomeUnknown, match="HTTPS connection broke"):
        await execute(STOP)


async def test_a_200_is_not_success(execute: Executor, api: Api) -> None:
    """``isSuccessful`` decides (section 8), and what is still running was not stopped."""
    api.refuses = "another operation is in progress"
    with pytest.raises(CommandFailed, match="another operation is in progress"):
        await execute(STOP)
    api.refuses, api.stuck = "", True
    with pytest.raises(CommandFailed, match="was accepted, but it is still running"):
        await execute(STOP)


async def test_one_refusal_is_not_the_last_word(execute: Executor, api: Api) -> None:
    """What reads as before is sent once more, and no third time."""
    api.refuses_once = True
    assert (await execute(STOP)).outcome == "changed"
    assert operations(api) == 3
    api.refuses = "not tonight"
    with pytest.raises(CommandFailed, match="not tonight"):
        await execute(START)
    assert operations(api) == 5


async def test_a_frozen_worker_sends_nothing(execute: Executor, api: Api) -> None:
    """After the first third of its time another attempt could be near: this one only reads."""
    late = Attempt(limit=timedelta(seconds=30), age=timedelta(seconds=11))
    with pytest.raises(Unreachable, match="nothing was sent"):
        await execute(STOP, late)
    assert operations(api) == 0


async def test_an_unknown_status_is_never_stopped(execute: Executor, api: Api) -> None:
    """Other texts than the documented ones settle nothing, and nothing is sent."""
    api.scheduling["Scheduler"] = "Resting."
    with pytest.raises(OutcomeUnknown, match=r"'Resting\.'"):
        await execute(STOP)
    with pytest.raises(OutcomeUnknown, match=r"'Resting\.'"):
        await execute(START)
    assert operations(api) == 0


async def test_disabled_counts_as_stopped_and_cannot_be_started(
    execute: Executor, api: Api
) -> None:
    """An option forbids it, for one that is started alone, too; nothing is started beside it."""
    api.scheduling = {"Scheduler": "Not running.", "FolderMonitor": "Disabled."}
    report = await execute(STOP)
    assert report.outcome == "unchanged"
    with pytest.raises(NotReady, match=r"set FolderMonitor\.enable to true"):
        await execute(START)
    api.scheduling = {"Scheduler": "Disabled.", "FolderMonitor": "Not running."}
    with pytest.raises(NotReady, match=r"set Scheduler\.enable to true"):
        await execute(actions.StartScheduling(node="server1", services=("scheduler",)))
    assert operations(api) == 0


@pytest.mark.parametrize("service", ["scheduler", "folder_monitor"])
async def test_only_what_ran_before_is_started(
    service: actions.SchedulingService, execute: Executor, api: Api
) -> None:
    """The other one is not touched, whatever it is: stopped, disabled, or not understood."""
    names = ["Scheduler", "FolderMonitor"]
    name, other = names if service == "scheduler" else reversed(names)
    action = actions.StartScheduling(node="server1", services=(service,))
    for state in ("Not running.", "Disabled.", "Resting."):
        api.scheduling = {name: "Not running.", other: state}
        first = await execute(action)
        again = await execute(action)
        assert api.scheduling == {name: "Running.", other: state}
        assert (first.outcome, again.outcome) == ("changed", "unchanged")
        assert again.message == f"{service} started already on server1"


async def test_a_takeover_is_found(execute: Executor, api: Api) -> None:
    """A Folder Monitor that moved here from another Server runs here."""
    with pytest.raises(NotReady, match="check whether it moved there"):
        await execute(VERIFY)
    api.scheduling = {"Scheduler": "Not running.", "FolderMonitor": "Not running."}
    report = await execute(VERIFY)
    assert report.outcome == "seen"


async def test_a_brief_dropout_is_read_through(execute: Executor, api: Api) -> None:
    """The API drops out while services start or stop; reads try again, for a few seconds."""
    api.fails = [503, 503]
    report = await execute(STOP)
    assert report.outcome == "changed"


async def test_a_write_is_never_repeated(server: Node, api: Api, shell: Shell) -> None:
    """A 503 to an operation settles nothing, and it is not sent twice."""
    api.fails = [503]
    call = operation("stop", Service.SCHEDULER)
    with pytest.raises(OutcomeUnknown):
        await AdminClient(shell, SECRETS).operate(server, call, 5)
    assert operations(api) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_login_is_not_tried_again(status: int, execute: Executor, api: Api) -> None:
    """Trying again with the same password locks accounts."""
    api.fails = [status]
    with pytest.raises(AccessRefused, match="refused admin"):
        await execute(STOP)
    assert len(api.asked) == 1


async def test_a_silent_api_is_unreachable(
    execute: Executor, node_maker: NodeMaker, certificate: Certificate
) -> None:
    """Nothing was sent."""
    node = node_maker(admin=admin_access(1, fingerprint=certificate.fingerprint))
    with pytest.raises(Unreachable, match="HTTPS does not answer"):
        await execute(STOP, node=node)


async def test_another_certificate_gets_no_password(
    execute: Executor, node_maker: NodeMaker, api: Api
) -> None:
    """The pin is checked before a byte of the request is sent."""
    node = node_maker(admin=admin_access(api.port, fingerprint="0" * 64))
    with pytest.raises(AccessRefused, match="find out which server answers there"):
        await execute(STOP, node=node)
    assert api.asked == []


async def test_a_ca_is_as_good_as_a_pin(
    execute: Executor, node_maker: NodeMaker, api: Api, certificate: Certificate
) -> None:
    """A certificate of the CA is trusted, any other is not."""
    known = node_maker(admin=admin_access(api.port, ca=str(certificate.file)))
    report = await execute(STOP, node=known)
    assert report.outcome == "changed"
    other = Certificate.make(certificate.file.with_name("other.pem"))
    unknown = node_maker(admin=admin_access(api.port, ca=str(other.file)))
    with pytest.raises(AccessRefused, match="cannot be verified"):
        await execute(STOP, node=unknown)
    missing = node_maker(admin=admin_access(api.port, ca="/nowhere.pem"))
    with pytest.raises(AccessRefused, match="cannot use the CA file"):
        await execute(STOP, node=missing)


async def test_the_api_is_reached_through_the_shells_connection(
    execute: Executor, node_maker: NodeMaker, api: Api, ssh_server: SshServer
) -> None:
    """Through SSH, and again after that connection was lost."""
    access = {**admin_access(api.port, fingerprint=api.certificate.fingerprint), "via": "ssh"}
    node = node_maker(admin=access)
    report = await execute(STOP, node=node)
    assert report.outcome == "changed"
    ssh_server.cut()
    again = await execute(STOP, node=node)
    assert again.outcome == "unchanged"
    assert len(ssh_server.connections) == 1
