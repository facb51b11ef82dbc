"""A switchover of the whole lab, started and answered with the temporal CLI."""

from tests.support.whole_lab import House
from workflows.model.progress import Status
from workflows.model.stages import StageName

DRAINED = {
    (f"cluster1-{node}", service)
    for node in ("server1", "server2", "edge1", "edge2")
    for service in ("ssh", "http")
} | {("cluster1-server1", "tm"), ("cluster1-server2", "tm")}
"""What the vendor's manual has us stop gracefully on the lab's source."""


async def test_a_run_started_and_approved_with_the_cli_completes(house: House) -> None:
    """The README's command starts it, a signal approves it, and the estate did all of it once."""
    orphan = house.lab.layout.cluster("cluster1").storage / "accounts/.old.m_inproc"
    orphan.write_text("half a file", encoding="utf-8")
    async with house.worker() as worker:
        await worker.says("ready: worker on task queue switchover")
        await house.start(approve_before=["redirect_traffic"], reason="a test")
        progress = await house.reaches(lambda p: p.waiting is not None)
        assert progress.waiting is not None
        assert progress.waiting.stage is StageName.REDIRECT_TRAFFIC
        assert all(entry["service"] == "monitor" for entry in house.effects())
        await house.signal("approve", stage="redirect_traffic", by="ann")
        outcome = await house.outcome()
    assert outcome.outcome == "completed"
    assert all(stage.status is Status.DONE for stage in outcome.stages)
    assert house.counted("drain") == dict.fromkeys(DRAINED, 1)
    assert house.counted("stopped") == dict.fromkeys(DRAINED, 1)
    assert house.counted("redirect") == {("loadbalancer1", "traffic"): 1}
    assert set(house.counted("disable").values()) == {1}
    assert len(house.counted("disable")) == 2
    assert outcome.record is not None
    assert [(f.name, f.seen) for f in outcome.findings] == [("unfinished_file", str(orphan))]
