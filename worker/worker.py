"""Who carries out what: the workflows, and the hands behind each part of the contract."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, get_type_hints

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

import workflows
from worker.build_id import build_id
from worker.interceptor import AttemptInterceptor
from workflows.activity_options import TASK_QUEUE
from workflows.plan_review import PlanReview
from workflows.ports.configuration import ConfigurationPort
from workflows.ports.drain import DrainPort
from workflows.ports.load_balancer import LoadBalancerPort
from workflows.ports.nodes import NodesPort
from workflows.ports.notifications import NotificationPort
from workflows.ports.planning import PlanningPort
from workflows.ports.preview import PreviewPort
from workflows.ports.replication import ReplicationPort
from workflows.ports.scheduling import SchedulingPort
from workflows.ports.storage import StoragePort
from workflows.ports.temporal import TemporalPort
from workflows.readiness import Readiness
from workflows.switchover import Switchover

WORKFLOWS = [Switchover, PlanReview, Readiness]

_CORE = {
    f"{workflows.__name__}.{module.name}" for module in pkgutil.iter_modules(workflows.__path__)
} - {workflow.__module__ for workflow in WORKFLOWS}

FIREWALL = SandboxedWorkflowRunner(
    restrictions=replace(
        SandboxRestrictions.default.with_passthrough_modules(*_CORE, "opentelemetry"),
        # Whatever else a workflow imports stops the worker at its start, not a run at its end.
        import_notification_policy=(
            SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
            | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
        ),
    )
)

AT_ONCE = 200
"""Orders and waits side by side: a wave of 2 x 40 nodes finds room twice."""

GRACE = timedelta(seconds=2)
"""Effects go on without us and waits resume elsewhere, so leaving is quick."""


@dataclass(frozen=True)
class Hands:
    """One implementation for each part of the contract."""

    planning: PlanningPort
    spelling: PreviewPort
    nodes: NodesPort
    scheduling: SchedulingPort
    waits: DrainPort
    traffic: LoadBalancerPort
    databases: ReplicationPort
    configurations: ConfigurationPort
    storages: StoragePort
    orchestration: TemporalPort
    notices: NotificationPort

    @property
    def activities(self) -> list[Callable[..., Any]]:
        """Every activity of the contract, as these hands carry it out."""
        return [
            getattr(getattr(self, part), name)
            for part, contract in get_type_hints(Hands).items()
            for name in sorted(contract.__abstractmethods__)
        ]


def build_worker(client: Client, hands: Hands) -> Worker:
    """Return a worker that carries out everything a switchover asks for."""
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=WORKFLOWS,
        activities=hands.activities,
        workflow_runner=FIREWALL,
        # Only tells which code this is (check `workers_differ`): without a deployment it changes
        # nothing about who gets which task.
        build_id=build_id(),
        interceptors=[AttemptInterceptor(GRACE)],
        max_concurrent_activities=AT_ONCE,
        graceful_shutdown_timeout=GRACE,
        # With the default of a minute, what people see of a wait would be a minute old.
        max_heartbeat_throttle_interval=timedelta(seconds=1),
        # A workflow task waits this long for a worker that died with the run in its cache.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
    )
