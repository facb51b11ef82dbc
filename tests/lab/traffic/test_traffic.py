"""Traffic records failures, and fails only where something else failed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from lab import records
from lab.checker.counts import count_events, count_files
from lab.checker.evidence import gather
from lab.environment.lab import Lab
from lab.environment.quiesce import settle
from lab.traffic.process import Traffic
from tests.support.polling import eventually

CLIENTS = 12


@pytest.fixture
async def traffic(whole_lab: Lab) -> AsyncIterator[Traffic]:
    """Clients at work."""
    traffic = Traffic(whole_lab.layout, CLIENTS)
    traffic.start()
    yield traffic
    await traffic.stop()


def operations(lab: Lab) -> Counter[tuple[str, str, bool]]:
    """How often each operation succeeded or failed, by protocol."""
    return Counter(
        (line["protocol"], line["operation"], line["ok"])
        for line in records.read(lab.layout.traffic)
    )


async def busy(lab: Lab) -> None:
    """Wait until clients of both protocols have done a bit of everything."""

    async def holds() -> bool:
        done = operations(lab)
        words = ("connect", "list", "put", "get")
        return all(done[protocol, word, True] for protocol in ("ssh", "http") for word in words)

    await eventually(holds)


async def test_nothing_fails_by_the_meters_own_doing(whole_lab: Lab, traffic: Traffic) -> None:
    """Clients that finish end their sessions; every file and event is accounted for."""
    await busy(whole_lab)
    await traffic.finish()
    await settle(whole_lab.layout)

    done = operations(whole_lab)
    assert [one for one in done if not one[2] and one[1] != "young_get"] == []
    evidence = await gather(whole_lab.layout)
    assert len({one.client for one in evidence.operations}) == CLIENTS + 1  # and the application
    files, events = count_files(evidence), count_events(evidence)
    assert files.expected > events.expected > 10
    assert (files.missing, files.corrupt, files.duplicated) == (0, 0, 0)
    assert (events.missing, events.duplicated) == (0, 0)
    assert evidence.sessions[-1].what == "end"


async def test_a_cluster_that_stops_serving_is_counted(whole_lab: Lab, traffic: Traffic) -> None:
    """Where both Edges stop at once, operations fail in both protocols and say why."""
    await busy(whole_lab)
    for edge in whole_lab.layout.cluster("cluster1").edges:
        for script in ("stop_sshd", "stop_httpd"):
            process = await asyncio.create_subprocess_exec(
                edge.home / "bin" / script, stdout=asyncio.subprocess.DEVNULL
            )
            assert await process.wait() == 0

    async def counted() -> bool:
        failed = {protocol for protocol, _, ok in operations(whole_lab) if not ok}
        return failed == {"ssh", "http"}

    await eventually(counted)
    failures = [line for line in records.read(whole_lab.layout.traffic) if not line["ok"]]
    assert all(line["message"] for line in failures)
    assert all(line["begin"] <= line["end"] for line in failures)


async def test_monitoring_comes_from_its_own_address(whole_lab: Lab, traffic: Traffic) -> None:
    """Health checks hold connections open on passive nodes, too: no product may count them."""
    node = whole_lab.layout.node("cluster2-edge1")
    wanted = f"{_hexadecimal(node.address)}:{8022:04X}"
    peer = _hexadecimal(whole_lab.layout.monitoring)

    async def connected() -> bool:
        with open("/proc/net/tcp", encoding="ascii") as lines:  # noqa: ASYNC230, PTH123 - not a file
            rows = [line.split() for line in lines]
        return any(row[1] == wanted and row[2].startswith(peer) for row in rows)

    await eventually(connected)


def _hexadecimal(address: str) -> str:
    return "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
