"""A switchover of the whole lab, started and answered with the temporal CLI."""

import shutil
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from temporalio.client import Client

from lab.environment.baseline import node_differences
from lab.environment.lab import Lab
from tests.support.directories import fresh_directory
from tests.support.openssh import OpenSsh, openssh
from tests.support.postgres_pair import OLD_PROGRAMS
from tests.support.whole_lab import ID, House
from workflows.model.outcome import Outcome
from workflows.model.progress import Status
from workflows.model.stages import StageName

DRAINED = {
    (f"cluster1-{node}", service)
    for node in ("server1", "server2", "edge1", "edge2")
    for service in ("ssh", "http")
} | {("cluster1-server1", "tm"), ("cluster1-server2", "tm")}
"""What the vendor's manual has us stop gracefully on the lab's source."""


HARDENED = (
    "MaxSessions 1",
    "AllowTcpForwarding no",
    "HostKeyAlgorithms ssh-rsa",
    "KexAlgorithms diffie-hellman-group14-sha1",
    "Ciphers aes128-ctr",
    "MACs hmac-sha1",
    "MaxStartups 100",
)
"""What an old server can, and what a hardened one allows."""
PROFILE = """\
#!/bin/sh
echo 'Welcome. Everything is recorded.'
echo 'status=0 end'
exec tcsh -c "$SSH_ORIGINAL_COMMAND"
"""


def did_it_all_once(house: House, outcome: Outcome, links: int = 2) -> None:
    """Every stage, and each effect of the manual once."""
    assert outcome.outcome == "completed"
    assert all(stage.status is Status.DONE for stage in outcome.stages)
    assert house.counted("drain") == dict.fromkeys(DRAINED, 1)
    assert house.counted("stopped") == dict.fromkeys(DRAINED, 1)
    assert house.counted("redirect") == {("loadbalancer1", "traffic"): 1}
    assert set(house.counted("disable").values()) == {1}
    assert len(house.counted("disable")) == links


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
    did_it_all_once(house, outcome)
    assert outcome.record is not None
    assert [(f.name, f.seen) for f in outcome.findings] == [("unfinished_file", str(orphan))]


async def differences(lab: Lab) -> list[str]:
    """What does not run, is not scheduled, or is not replicated as before a switchover."""
    nodes = [found for node in lab.layout.nodes for found in node_differences(node)]
    return nodes + lab.load_balancer.differences() + await lab.databases.differences()


async def test_a_run_rejected_with_the_cli_is_rolled_back(house: House) -> None:
    """Traffic and scheduling had moved already; the estate is in its baseline again."""
    gate = "drain_protocol_servers"
    async with house.worker() as worker:
        await worker.says("ready: worker on task queue switchover")
        await house.start(approve_before=[gate])
        await house.reaches(lambda p: p.waiting is not None)
        assert await differences(house.lab)
        await house.signal("reject", stage=gate, by="ann", reason="not tonight")
        outcome = await house.outcome()
    assert (outcome.outcome, "not tonight" in outcome.message) == ("rolled_back", True)
    assert house.counted("redirect") == {("loadbalancer1", "traffic"): 2}
    assert not house.counted("drain")
    assert await differences(house.lab) == []


async def test_a_run_that_was_reset_repeats_nothing(house: House) -> None:
    """The drill for a run that cannot continue: docs/operating.md. The messages to it are gone."""
    gate = "drain_protocol_servers"
    async with house.worker() as worker:
        await worker.says("ready: worker on task queue switchover")
        await house.start(approve_before=[gate])
        await house.signal("junk")
        await house.reaches(lambda p: p.waiting is not None)
        await house.cli(
            *("workflow", "reset", "--workflow-id", ID, "--type", "FirstWorkflowTask"),
            *("--reapply-exclude", "All", "--reason", "it takes no more signals"),
        )
        await house.reaches(lambda p: p.waiting is not None and p.waiting.stage == gate)
        await house.signal("approve", stage=gate, by="ann")
        outcome = await house.outcome()
    did_it_all_once(house, outcome)
    assert [decision.verb for decision in outcome.decisions] == ["approve"]


async def test_a_run_on_debian_s_programs_completes(temporal: Client, tmp_path: Path) -> None:
    """OpenSSH, old and hardened: one session at a time, no forwarding, tcsh, a profile that prints.

    PostgreSQL 15 has one link: a subscription there cannot leave out what came by another. HAProxy
    is Debian's in every lab where it is installed.
    """
    if not OLD_PROGRAMS.is_dir() or shutil.which("tcsh") is None:
        pytest.skip("PostgreSQL 15 or tcsh is not installed; scripts/debian brings them")
    profile, key = tmp_path / "profile", asyncssh.generate_private_key("ssh-rsa")
    profile.write_text(PROFILE, encoding="ascii")
    profile.chmod(0o755)
    key.write_private_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o600)
    root = fresh_directory()
    async with Lab.open(root, postgresql=OLD_PROGRAMS) as lab:
        machines = [node.address for cluster in lab.layout.clusters for node in cluster.nodes]
        async with openssh(
            tmp_path,
            *HARDENED,
            f"ForceCommand {profile}",
            addresses=(*machines, lab.layout.load_balancer),
            client_key=key,
            host_key="ssh-rsa",
        ) as server:
            house = House(lab, temporal, tmp_path)
            house.describe(**reached_by(server, house.estate, f"file:{tmp_path / 'key'}"))
            async with house.worker() as worker:
                await worker.says("ready: worker on task queue switchover")
                await house.start(reason="a test")
                outcome = await house.outcome(within=150)
        did_it_all_once(house, outcome, links=1)
    shutil.rmtree(root)


def reached_by(server: OpenSsh, estate: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the estate, whose machines are all reached by this server, and their APIs directly."""
    estate["defaults"]["ssh"] = server.user(key)
    estate["defaults"]["admin"]["via"] = "direct"
    for node in (node for cluster in estate["clusters"] for node in cluster["nodes"]):
        node["host_key"] = server.host_key
    [host] = estate["load_balancer"]["hosts"]
    host |= {"ssh": server.user(key), "host_key": server.host_key}
    return estate
