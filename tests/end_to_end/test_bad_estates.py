"""Stage 0 reports what is wrong with an estate, and changes nothing."""

from tests.support.whole_lab import House

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


async def test_what_is_wrong_is_found_at_once(house: House) -> None:
    """A node that is down, another host key, and a wrong password, which is never shown."""
    estate = house.estate
    wrong = house.place / "wrong"
    wrong.write_text("hunter2\n", encoding="utf-8")
    estate["defaults"]["admin"]["password"] = f"file:{wrong}"
    estate["clusters"][0]["nodes"][2]["host_key"] = OTHER_KEY
    down = estate["clusters"][1]["nodes"][3]
    down |= {"address": house.lab.layout.block + ".250", "listen_on": []}
    house.describe(**estate)
    reason = await refused(house)
    assert "cluster2-edge2: node_unreachable_ssh" in reason
    assert "cluster1-edge1: ssh_access_refused" in reason
    assert "Host key is not trusted" in reason
    assert reason.count(": admin_access_refused") >= 6, reason
    assert "hunter2" not in reason
