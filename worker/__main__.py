"""The worker as a program: ``python -m worker --estates DIR``."""

import asyncio
import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

from temporalio.client import Interceptor
from temporalio.worker import Worker

from activities.estate_files import estates_in, read_estate, usable_estate
from activities.transport.secrets import Secrets
from worker.activities import open_activities
from worker.connection import connect, register_search_attributes
from worker.event_loop import WorkerLoop, prepare
from worker.failing_runs import FailingRuns
from worker.seal_keys import read_seal_keys, shared_seal_keys
from worker.settings import Settings, read_settings
from worker.startup_errors import StartupError, TemporalUnavailable
from worker.telemetry import configure_logging, tracing
from worker.worker import MAX_CONCURRENT_ACTIVITIES, build_cluster_worker, build_worker
from workflows.errors import BadInput
from workflows.model.task_queues import TASK_QUEUE

logger = logging.getLogger("worker")

LEAVE_WITHIN = 8.0
"""Seconds after a signal; service managers kill after ten."""


def main() -> int:
    """Run until a signal stops the worker; return the exit code."""
    try:
        settings = read_settings()
        configure_logging(settings.log_level)
        with asyncio.Runner(loop_factory=WorkerLoop) as runner:
            runner.run(serve(settings))
    except StartupError as refusal:
        print(refusal, file=sys.stderr)  # noqa: T201 - the operator's terminal
        return refusal.exit_code
    except KeyboardInterrupt:  # before there was anything to shut down
        return 130
    return 0


async def serve(settings: Settings) -> None:
    """Run switchovers, or do what is done on a cluster's nodes, until SIGINT or SIGTERM.

    Raises:
        TemporalUnavailable: the Temporal server does not answer, or refuses the worker.
        StartupError: the seal keys cannot be used.
    """
    # As many as activities: with asyncio's few, one estate's files would wait for another's.
    threads = ThreadPoolExecutor(MAX_CONCURRENT_ACTIVITIES, thread_name_prefix="worker")
    asyncio.get_running_loop().set_default_executor(threads)
    is_main = settings.task_queue == TASK_QUEUE
    served = await (_usable_estates(settings) if is_main else _clusters(settings))
    keys = (read_seal_keys if is_main else shared_seal_keys)(settings.seal_keys)
    async with AsyncExitStack() as stack:
        interceptors: list[Interceptor] = []
        if settings.traces:
            interceptors.append(stack.enter_context(tracing()))
        client = await connect(settings, interceptors)
        if is_main:
            await register_search_attributes(client)
        activities = await stack.enter_async_context(open_activities(settings, client))
        if is_main:
            worker = build_worker(client, activities, keys)
            failing = FailingRuns(
                client, settings.estates, Secrets(settings.secrets, settings.secret_directories)
            )
            watching = asyncio.create_task(failing.watch())
            stack.callback(watching.cancel)
        else:
            worker = build_cluster_worker(client, settings.task_queue, activities, keys)
        await prepare()
        try:
            await _run_until_signalled(worker, f"{_ready(settings)}, {served}")
        except RuntimeError as fault:
            raise TemporalUnavailable(f"the worker cannot continue: {fault}") from fault


async def _run_until_signalled(worker: Worker, ready: str) -> None:
    """Shut down on the first signal; a second one ends the process at once.

    A workflow task that never ends cannot be interrupted, and the SDK waits for it: the process
    leaves without it.
    """
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with worker:
        print(ready, flush=True)  # noqa: T201 - programs that start a worker wait for this line
        await stopped.wait()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        logger.info("stopping: commands on nodes go on, and waits resume with the next worker")
        leave = threading.Timer(LEAVE_WITHIN, _leave)
        leave.daemon = True
        leave.start()


def _leave() -> None:
    logger.warning("something does not end; the worker leaves without it")
    os._exit(0)


def _ready(settings: Settings) -> str:
    return (
        f"ready: worker on task queue {settings.task_queue} at {settings.address} "
        f"(namespace {settings.namespace})"
    )


async def _usable_estates(settings: Settings) -> str:
    """Name the estates that can be used, and warn about the other files."""
    usable, secrets = [], Secrets(settings.secrets, settings.secret_directories)
    for name in estates_in(settings.estates):
        try:
            await usable_estate(settings.estates, name, secrets)
        except BadInput as mistake:
            logger.warning("%s", mistake)
        else:
            usable.append(name)
    return f"estates: {', '.join(usable) or 'none yet'}"


async def _clusters(settings: Settings) -> str:
    """Name the clusters that have this worker's queue; warn about files, and if there are none.

    What belongs to the estate alone, such as its webhook's secrets, a worker near a cluster need
    not have.
    """
    found = []
    for name in estates_in(settings.estates):
        try:
            estate = await read_estate(settings.estates, name)
        except BadInput as mistake:
            logger.warning("%s", mistake)
        else:
            own = (c.name for c in estate.clusters if c.task_queue == settings.task_queue)
            found += [f"{cluster} of {name}" for cluster in own]
    if not found:
        logger.warning(
            "no estate in %s gives a cluster the task queue %s, so nothing will be asked of this "
            "worker; write `task_queue: %s` under that cluster, or correct --task-queue",
            settings.estates,
            *(settings.task_queue,) * 2,
        )
    return f"clusters: {', '.join(found) or 'none yet'}"


if __name__ == "__main__":
    code = main()
    # A thread of Temporal's SDK that is still busy can crash the interpreter while it shuts down,
    # after everything went well (temporalio/sdk-python#300): so the process ends without that.
    sys.stdout.flush()
    os._exit(code)
