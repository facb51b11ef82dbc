"""The admin REST API answers as docs/securetransport.md, section 8, describes."""

import asyncio

import asyncssh
import httpx
import pytest

from lab import records
from lab.keys import api_key
from lab.layout import ADMIN_PASSWORD, ADMIN_USER
from tests.support.node_clients import PARTNER, Lab
from tests.support.polling import eventually

EDGE = "cluster1-edge1"
SERVER = "cluster1-server1"
OPERATIONS = "daemons/operations?operation=stop&daemon=ssh&graceful=true&timeout=600"


async def test_states_are_the_vendors_texts(lab: Lab) -> None:
    """Daemons say Running and Not running, services and TM say it with a full stop."""
    assert await lab.ask(EDGE, "daemons") == {
        "ftpStatus": "Not running",
        "httpStatus": "Running",
        "as2Status": "Not running",
        "sshStatus": "Running",
        "pesitStatus": "Not running",
    }
    assert await lab.ask(SERVER, "transactionManager") == {"status": "Running."}
    scheduler = "clusterServices?serviceName=Scheduler"
    assert await lab.ask(SERVER, scheduler) == {"status": "Running."}
    assert await lab.ask("cluster2-server1", scheduler) == {"status": "Not running."}


async def test_a_call_needs_a_referer_and_a_password_or_a_key(lab: Lab) -> None:
    """401 is plain text, not JSON; a fault changes the password that a node accepts."""
    key = {"Referer": "https://tests/", "SECURETRANSPORT-API-KEY": api_key()}
    async with (
        lab.admin(EDGE, headers={}) as without_referer,
        lab.admin(EDGE, auth=(ADMIN_USER, "wrong")) as wrong,
        lab.admin(EDGE, auth=None, headers=key) as by_key,
    ):
        assert (await without_referer.get("daemons")).status_code == 403
        refused = await wrong.get("daemons")
        assert (refused.status_code, refused.headers["Content-Type"][:10]) == (401, "text/plain")
        answer = await by_key.get("daemons")
        assert (answer.status_code, "Date" in answer.headers) == (200, True)
    lab.turn(faults={EDGE: {"admin_password": "another"}})
    async with lab.admin(EDGE) as client:
        assert (await client.get("daemons")).status_code == 401


async def test_writes_of_a_session_need_its_token(lab: Lab) -> None:
    """With session authentication a write without the csrfToken is refused."""
    async with lab.admin(EDGE, auth=None) as client:
        basic = httpx.BasicAuth(ADMIN_USER, ADMIN_PASSWORD)
        opened = await client.post("myself", auth=basic)
        token = opened.headers["csrfToken"]
        assert (await client.get("daemons")).status_code == 200
        assert (await client.post(OPERATIONS)).status_code == 403
        changed = {"Referer": "https://elsewhere/", "csrfToken": token}
        assert (await client.post(OPERATIONS, headers=changed)).status_code == 403
        assert lab.effects(EDGE, "ssh") == []
        answer = await client.post(OPERATIONS, headers={"csrfToken": token})
        assert answer.json()["daemonOperationResults"][0]["isSuccessful"] is True


async def test_success_is_not_the_status_code(lab: Lab) -> None:
    """An operation that fails answers 200 and isSuccessful false."""
    (ftp,) = (await lab.ask(EDGE, OPERATIONS.replace("ssh", "ftp"), "POST"))[
        "daemonOperationResults"
    ]
    assert (ftp["daemon"], ftp["isSuccessful"]) == ("ftp", False)
    lab.turn(faults={EDGE: {"refuse_operations": "true"}})
    (ssh,) = (await lab.ask(EDGE, OPERATIONS, "POST"))["daemonOperationResults"]
    assert ssh["isSuccessful"] is False
    assert lab.effects(EDGE, "ssh") == []


async def test_rest_stops_and_starts_protocol_servers(lab: Lab) -> None:
    """Gracefully or, which is the default, at once; without a name it means all."""
    lab.turn(protocol_start_delay=0.0)
    assert (await lab.ask(EDGE, OPERATIONS, "POST"))["daemonOperationResults"][0]["isSuccessful"]
    await eventually(lambda: lab.effects(EDGE, "ssh") == ["drain", "stopped"])
    await lab.ask(EDGE, "daemons/operations?operation=start&daemon=ssh", "POST")
    await eventually(lambda: lab.serves(EDGE))
    every = await lab.ask(EDGE, "daemons/operations?operation=stop", "POST")
    assert len(every["daemonOperationResults"]) == 5
    await eventually(lambda: lab.effects(EDGE, "http") == ["stop"])


START_SERVER = "servers/operations?serverName=Ssh%20Default&operation=Start"


async def servers(lab: Lab, query: str = "protocol=ssh") -> dict[str, bool]:
    """By name: which of these servers of the Edge are active."""
    listed = (await lab.ask(EDGE, f"servers?{query}"))["result"]
    return {server["serverName"]: server["isActive"] for server in listed}


async def test_a_server_is_active_while_its_daemon_listens(lab: Lab) -> None:
    """It falls with its daemon and, unless a fault says otherwise, comes back with it."""
    lab.turn(protocol_start_delay=0.3)
    assert await servers(lab) == {"Ssh Default": True}
    assert set(await servers(lab, "isActive=true")) == {"Ssh Default", "Http Default"}
    await lab.script(EDGE, "stop_sshd")
    assert await servers(lab) == {"Ssh Default": False}
    await lab.script(EDGE, "start_sshd")
    assert await lab.status(EDGE, "sshd") == "sshd is alive"
    assert await servers(lab) == {"Ssh Default": False}
    await eventually(lambda: lab.serves(EDGE))
    assert await servers(lab) == {"Ssh Default": True}


async def test_a_daemon_may_run_without_its_server(lab: Lab) -> None:
    """With that fault nothing listens until the server itself is started."""
    lab.turn(protocol_start_delay=0.0, faults={EDGE: {"servers_stay_inactive": "true"}})
    assert await lab.serves(EDGE)
    await lab.script(EDGE, "stop_sshd")
    await lab.script(EDGE, "start_sshd")
    assert await lab.status(EDGE, "sshd") == "sshd is alive"
    assert (await lab.ask(EDGE, "daemons"))["sshStatus"] == "Running"
    assert await servers(lab) == {"Ssh Default": False}
    assert not await lab.serves(EDGE)
    for _ in range(2):  # an active server may be started again
        [status] = (await lab.ask(EDGE, START_SERVER, "POST"))["serverStatuses"]
        assert (status["serverName"], status["isSuccessful"]) == ("Ssh Default", True)
    assert await servers(lab) == {"Ssh Default": True}
    assert await lab.serves(EDGE)
    recorded = [e for e in records.read(lab.layout.effects) if e["service"] == "Ssh Default"]
    assert [(e["effect"], e["changed"]) for e in recorded] == [("start", True), ("start", False)]


async def test_a_server_is_stopped_alone(lab: Lab) -> None:
    """Its daemon runs on, and the server can be started again."""
    await lab.ask(EDGE, START_SERVER.replace("Start", "stop"), "POST")
    assert (await lab.ask(EDGE, "daemons"))["sshStatus"] == "Running"
    assert not await lab.serves(EDGE)
    await lab.ask(EDGE, START_SERVER, "POST")
    assert await lab.serves(EDGE)


async def test_an_operation_on_a_server_may_be_refused(lab: Lab) -> None:
    """A name that does not exist and a daemon that is down are 200; a missing name is 400."""

    async def refusal(query: str) -> str:
        [status] = (await lab.ask(EDGE, f"servers/operations?{query}", "POST"))["serverStatuses"]
        assert status["isSuccessful"] is False
        return str(status["message"])

    assert await refusal("serverName=X&operation=start") == "Server with name X does not exist."
    as2 = await refusal("serverName=As2%20Default&operation=start")
    assert as2 == "the as2 daemon is not started"
    lab.turn(faults={EDGE: {"refuse_operations": "true"}})
    assert "failed" in await refusal("serverName=Ssh%20Default&operation=stop")
    assert await lab.serves(EDGE)
    async with lab.admin(EDGE) as client:
        for query in ("operation=start", "serverName=Ssh%20Default&operation=restart"):
            assert (await client.post(f"servers/operations?{query}")).status_code == 400


async def test_the_transaction_manager_cannot_be_started_over_rest(lab: Lab) -> None:
    """Its start is 400 with validationErrors; its stop is immediate by default."""
    async with lab.admin(SERVER) as client:
        refused = await client.post("transactionManager/operations?operation=start")
        assert refused.status_code == 400
        assert refused.json()["validationErrors"]
        stop = await client.post("transactionManager/operations?operation=stop")
        assert stop.json()["isSuccessful"] is True
    await eventually(lambda: lab.effects(SERVER, "tm") == ["stop"])
    assert await lab.ask(SERVER, "transactionManager") == {"status": "Not running."}


async def test_long_answers_come_in_pages(lab: Lab) -> None:
    """Limit, offset and fields cut an answer, and totalCount says how much there is."""
    for number in range(3):
        await lab.sql(
            "cluster1",
            "INSERT INTO event (id, kind, path) VALUES (gen_random_uuid(), 'unreachable', %s)",
            str(number),
        )
    answer = await lab.ask(SERVER, "events?limit=2&offset=2&fields=id")
    assert answer["resultSet"] == {"returnCount": 1, "totalCount": 3}
    assert [list(entry) for entry in answer["result"]] == [["id"]]
    servers = await lab.ask(EDGE, "servers?fields=serverName,isActive&limit=1")
    assert servers["resultSet"] == {"returnCount": 1, "totalCount": 5}
    async with lab.admin(SERVER) as client:
        assert (await client.get("events?limit=many")).status_code == 400


async def test_options_name_the_timeouts_and_hide_nothing_local(lab: Lab) -> None:
    """Options carry values, isLocal and encrypted, the graceful timeouts among them."""
    listed = (await lab.ask(SERVER, "configurations/options?limit=1000"))["result"]
    options = {option["name"]: option for option in listed}
    assert options["Http.GracefulShutdownTimeout"]["values"] == ["600"]
    assert options["Ssh.GracefulShutdownTimeout"]["values"] == ["86400"]
    assert options["Scheduler.enable"]["values"] == ["true"]
    assert options["Server.Hostname"]["isLocal"]
    assert options["Db.Password"]["encrypted"]
    assert (await lab.ask(EDGE, "version"))["os"] == "Linux"
    assert (await lab.ask(SERVER, "configurations/database"))["databaseType"] == "PostgreSQL"


async def test_a_server_knows_its_cluster_and_its_edges_by_address(lab: Lab) -> None:
    """Nodes of the cluster have an address only, zones a title that is no host name."""
    management = "configurations/clusterManagement"
    assert (await lab.ask(SERVER, management)) == {
        "isCluster": True,
        "clusterMode": "Active/Active",
        "clusterNodes": [
            {"serverAddress": lab.address(name)} for name in (SERVER, "cluster1-server2")
        ],
    }
    assert (await lab.ask(EDGE, management))["clusterNodes"] is None
    private, perimeter = (await lab.ask(SERVER, "zones"))["result"]
    assert (private["name"], private["edges"][0]["title"]) == ("Private", "Host")
    assert private["edges"][0]["ipAddresses"] == [{"ipAddress": lab.address(SERVER)}]
    assert perimeter["edges"][0]["ipAddresses"] == [{"ipAddress": lab.address(EDGE)}]
    (only,) = (await lab.ask(EDGE, "zones"))["result"]
    assert only["name"] == "Private"


async def test_a_zero_downtime_update_shows(lab: Lab) -> None:
    """Disabled by default; an older version has no such resource, and says so in JSON."""
    mode = "configurations/maintenance"
    assert await lab.ask(SERVER, mode) == {"zduMaintenanceMode": "disabled"}
    lab.turn(faults={SERVER: {"zdu_maintenance": "enabled"}})
    assert await lab.ask(SERVER, mode) == {"zduMaintenanceMode": "enabled"}
    lab.turn(faults={SERVER: {"zdu_maintenance": "absent"}})
    async with lab.admin(SERVER) as client:
        answer = await client.get(mode)
    assert (answer.status_code, answer.json()["validationErrors"]) == (404, None)


async def test_the_session_list_is_unstable(lab: Lab) -> None:
    """With the option a list may be empty while sessions exist."""
    async with lab.visit(EDGE), lab.web(EDGE) as web:
        await web.get("/files/")
        lab.turn(session_list_blindness=0.0)
        whole = await lab.ask(EDGE, "sessions")
        assert sorted(session["protocol"] for session in whole) == ["http", "ssh"]
        assert {session["userName"] for session in whole} == {PARTNER}
        assert {session["currentTransferBandwidth"] for session in whole} == {-1}
        lab.turn(session_list_blindness=1.0)
        assert await lab.ask(EDGE, "sessions") == []


async def test_the_session_list_does_not_see_as2(lab: Lab) -> None:
    """A connection to AS2 is no session of the list."""
    lab.turn(session_list_blindness=0.0, protocol_start_delay=0.0)
    await lab.script(EDGE, "start_as2d")

    async def connect() -> bool:
        try:
            _, writer = await asyncio.open_connection(lab.address(EDGE), 10080)
        except ConnectionRefusedError:
            return False
        lab.clients.callback(writer.close)
        return True

    await eventually(connect)
    assert await lab.ask(EDGE, "sessions") == []


async def test_a_session_can_be_ended(lab: Lab) -> None:
    """DELETE ends a session at once and answers 204."""
    lab.turn(session_list_blindness=0.0)
    async with lab.visit(EDGE) as client:
        (session,) = await lab.ask(EDGE, "sessions")
        async with lab.admin(EDGE) as admin:
            assert (await admin.delete(f"sessions/{session['id']}")).status_code == 204
            assert (await admin.delete("sessions/unknown")).status_code == 404
        with pytest.raises((asyncssh.Error, OSError)):
            await client.listdir(".")


async def test_transfers_are_refused_while_the_transaction_manager_drains(lab: Lab) -> None:
    """/transfers answers 503 during its drain; a state of its own shows."""
    lab.turn(graceful_stop_ends="at_timeout")
    await lab.script(SERVER, "stop_tm -g -timeout 30")
    states = await lab.ask(SERVER, "transactionManager")
    assert states == {"status": "Shutdown in progress."}
    async with lab.admin(SERVER) as client:
        assert (await client.get("transfers")).status_code == 503
