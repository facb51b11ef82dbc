"""Build the worker: its workflows, its activities, and their limits."""

import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

import workflows
from worker.authority import AuthorityInterceptor
from worker.build_id import build_id
from worker.clock_guard import ClockGuardRunner
from worker.history_bounds import HistoryBounds
from worker.interceptor import AttemptInterceptor
from worker.seal_keys import SealKeys
from workflows.freeze import Freeze
from workflows.logs import Logs
from workflows.model.actions.base import OnNode
from workflows.model.task_queues import TASK_QUEUE
from workflows.plan_review import PlanReview
from workflows.ports.routes import ROUTES
from workflows.readiness import Readiness
from workflows.rejoin import Rejoin
from workflows.switchover import Switchover

WORKFLOWS = [Switchover, Rejoin, PlanReview, Readiness, Freeze, Logs]

_CORE = {
    f"{workflows.__name__}.{module.name}" for module in pkgutil.iter_modules(workflows.__path__)
} - {workflow.__module__ for workflow in WORKFLOWS}

_RESTRICTIONS = replace(
    SandboxRestrictions.default.with_passthrough_modules(*_CORE, "opentelemetry"),
    # A workflow that imports anything else stops the worker at its start, not a run at its end.
    import_notification_policy=(
        SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
        | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
    ),
)
FIREWALL = ClockGuardRunner(restrictions=_RESTRICTIONS)

MAX_CONCURRENT_ACTIVITIES = 200
"""Actions and waits side by side: a wave of 2 x 40 nodes fits twice."""

GRACE = timedelta(seconds=2)
"""Commands go on without the worker and waits resume elsewhere, so a worker stops at once."""


ON_NODES = frozenset(
    route.activity.__name__ for action, route in ROUTES.items() if issubclass(action, OnNode)
)
"""All that is ever asked of the workers of a cluster's own task queue."""


def build_worker(
    client: Client, activities: Sequence[Callable[..., Any]], keys: SealKeys
) -> Worker:
    """Return a worker that runs the workflows and these activities, and believes only its like."""
    return _worker(client, TASK_QUEUE, WORKFLOWS, activities, keys)


def build_cluster_worker(
    client: Client, queue: str, activities: Sequence[Callable[..., Any]], keys: SealKeys
) -> Worker:
    """Return a worker of a cluster's own task queue: it runs what is done on nodes, no workflow."""
    on_nodes = [activity for activity in activities if activity.__name__ in ON_NODES]
    return _worker(client, queue, (), on_nodes, keys)


def _worker(
    client: Client,
    queue: str,
    runs: Sequence[type],
    activities: Sequence[Callable[..., Any]],
    keys: SealKeys,
) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=runs,
        activities=activities,
        workflow_runner=ClockGuardRunner(restrictions=_RESTRICTIONS, keys=keys),
        # Only names the code and the seal key (check `workers_differ`): without a worker deployment
        # it does not change which worker gets a task.
        build_id=f"{build_id()}-{keys.current}",
        interceptors=[
            AuthorityInterceptor(client, keys),
            AttemptInterceptor(GRACE),
            HistoryBounds(),
        ],
        max_concurrent_activities=MAX_CONCURRENT_ACTIVITIES,
        graceful_shutdown_timeout=GRACE,
        # An activity that comes with the answer to a workflow task while the worker stops is never
        # begun, and the worker waits for it for ever.
        disable_eager_activity_execution=True,
        # With the default of a minute, what an operator sees of a wait would be a minute old.
        max_heartbeat_throttle_interval=timedelta(seconds=1),
        # A workflow task waits this long for a worker that died with the run in its cache.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
    )
