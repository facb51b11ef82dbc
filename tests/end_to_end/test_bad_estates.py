"""Stage 0 reports what is wrong with an estate, and changes nothing."""

from typing import Any

from tests.support.whole_lab import House
from workflows.model.stages import StageName

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ0zYpVdd5uQ1nVYmZ0mGJv1V6h1cVJ9m2n3o4p5q6r"


async def refused(house: House) -> str:
    """Start a run that must not begin, and return why it did not; the estate did nothing."""
    async with house.worker() as worker:
        await worker.says("ready")
        await house.start()
        reason = await house.failure()
    assert house.effects() == []
    assert "Traceback" not in reason
    return reason


async def test_a_host_key_that_differs_is_refused(house: House) -> None:
    """The worker does not connect to a machine whose key is not the one in the estate."""
    clusters = house.estate["clusters"]
    clusters[0]["nodes"][2]["host_key"] = OTHER_KEY
    house.describe(clusters=clusters)
    reason = await refused(house)
    assert "cluster1-edge1" in reason
    assert "host key" in reason.lower()


async def test_a_wrong_admin_password_is_a_finding(house: House) -> None:
    """It names the node, and never the password."""
    wrong = house.place / "wrong"
    wrong.write_text("hunter2\n", encoding="utf-8")
    defaults: dict[str, Any] = house.estate["defaults"]
    defaults["admin"]["password"] = f"file:{wrong}"
    house.describe(defaults=defaults)
    reason = await refused(house)
    assert "cluster1-server1" in reason
    assert reason.count(": admin_access_refused") >= 8, reason
    assert "hunter2" not in reason


async def test_a_node_that_is_down_is_a_finding(house: House) -> None:
    """A node that answers nothing is named, within seconds."""
    clusters = house.estate["clusters"]
    clusters[1]["nodes"][3]["address"] = house.lab.layout.block + ".250"
    clusters[1]["nodes"][3]["listen_on"] = []
    house.describe(clusters=clusters)
    reason = await refused(house)
    assert "cluster2-edge2: node_unreachable_ssh" in reason


async def test_a_success_that_is_none_is_a_fault(house: House) -> None:
    """HTTP 200 with isSuccessful false leaves the run waiting, and names the node."""
    house.switch(faults={"cluster1-server1": {"refuse_operations": "true"}})
    async with house.worker() as worker:
        await worker.says("ready")
        await house.start()
        progress = await house.reaches(lambda p: p.waiting is not None)
        assert progress.waiting is not None
        assert progress.waiting.kind == "decision"
        assert "cluster1-server1" in progress.waiting.message
        house.switch(faults={})
        await house.signal("retry", stage="stop_scheduling", by="ann")
        await house.reaches(lambda p: p.stage is StageName.START_SCHEDULING)


async def test_a_different_taeh_is_found(house: House) -> None:
    """Found on the node that has it."""
    taeh = house.lab.layout.node("cluster2-edge1").home / "bin/taeh"
    taeh.write_text("another\n", encoding="utf-8")
    assert "cluster2-edge1: taeh_differs" in await refused(house)
