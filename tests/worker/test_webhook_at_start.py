"""A worker checks at its start that a webhook can be used; the warning hides the address."""

from __future__ import annotations

from pathlib import Path

import yaml
from temporalio.client import Client

from tests.support import estates
from tests.support.console import Operator
from tests.support.worker_process import worker_process

HOOK = {"url": "env:SWITCHOVER_HOOK", "secret": "env:SWITCHOVER_HOOK_SECRET"}


async def test_an_estate_whose_webhook_leads_nowhere_is_warned_of(
    temporal: Client, tmp_path: Path
) -> None:
    """It is not among those that can be switched, and a plan for it is refused in one sentence."""
    given = estates.written(webhook=HOOK)
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    arguments = ("--estates", str(tmp_path), "--records", str(tmp_path / "records"))
    operator = Operator(temporal.service_client.config.target_host)
    environment = {"TEMPORAL_ADDRESS": operator.address, "SWITCHOVER_HOOK_SECRET": "hunter2"}
    refusal = "webhook.url: env:SWITCHOVER_HOOK: the worker's environment has no SWITCHOVER_HOOK"
    async with worker_process(*arguments, **environment) as worker:
        assert (await worker.says("ready: ")).endswith("estates: none yet")
        plan = await operator.types("plan", "lab", "--from", "cluster1", "--to", "cluster2")
        assert (plan.code, refusal in plan.err) == (2, True)
        assert await worker.stops() == 0
    assert any("WARNING" in line and refusal in line for line in worker.lines)
    hook = "https://hook.example.com/token-0815"
    async with worker_process(*arguments, **environment, SWITCHOVER_HOOK=hook) as worker:
        assert (await worker.says("ready: ")).endswith("estates: lab")
        plan = await operator.types("plan", "lab", "--from", "cluster1", "--to", "cluster2")
        assert (plan.code, "token-0815" in plan.message) == (0, False)
        assert await worker.stops() == 0
