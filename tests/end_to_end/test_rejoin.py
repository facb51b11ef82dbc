"""A rejoin of the whole lab, started and answered with the temporal CLI alone."""

from collections import Counter

from lab.environment.situation import SWITCHED_OUT
from tests.support.whole_lab import House
from workflows.model.progress import Status
from workflows.model.stages import STAGES, StageName

RETURNING = {
    (f"cluster1-{node}", service)
    for node in ("server1", "server2", "edge1", "edge2")
    for service in ("ssh", "http", "admin", "monitor")
} | {("cluster1-server1", "tm"), ("cluster1-server2", "tm")}
"""What has to run on the lab's returning cluster."""


def scheduling_overlaps(effects: list[dict[str, object]]) -> list[str]:
    """Return every effect after which scheduling ran on both clusters, by the nodes' records."""
    running = Counter({"cluster2": 4})
    found = []
    for entry in effects:
        if entry["service"] in ("scheduler", "folder_monitor"):
            cluster = str(entry["place"]).partition("-")[0]
            running[cluster] += {"start": 1, "stop": -1}[str(entry["effect"])]
            if all(count > 0 for count in running.values()) and len(running) > 1:
                found.append(f"{entry['effect']} {entry['service']} on {entry['place']}")
    return found


async def test_a_drained_cluster_comes_back_although_scheduling_returns(house: House) -> None:
    """Scheduling that starts with its Transaction Manager never meets the active cluster's."""
    await house.lab.reset(SWITCHED_OUT)
    house.switch(scheduling_returns="always")
    async with house.worker() as worker:
        await worker.says("ready: worker on task queue switchover")
        await house.rejoin("cluster1", approve_before=["resume_replication"], reason="a test")
        progress = await house.reaches(lambda p: p.waiting is not None)
        assert progress.waiting is not None
        assert progress.waiting.stage is StageName.RESUME_REPLICATION
        assert not house.counted("enable")
        await house.signal("approve", stage="resume_replication", by="ann")
        outcome = await house.outcome()
    assert outcome.outcome == "completed", outcome.message
    assert tuple(stage.stage for stage in outcome.stages) == STAGES["rejoin"]
    assert all(stage.status is Status.DONE for stage in outcome.stages)
    started = house.counted("start")
    assert {place for place in RETURNING if not started[place]} == set()
    assert max(started[place] for place in RETURNING if place[1] != "monitor") == 1
    assert started["cluster1-server1", "scheduler"] == 1  # it came with the Transaction Manager
    assert house.counted("stop")["cluster1-server1", "scheduler"] == 1
    assert scheduling_overlaps(house.effects()) == []
    assert len(house.counted("enable")) == 2
