"""Record the histories that the code has to replay.

``python -m tests.histories.record [NAME ...]``

Each is one run on a small estate, carried out by the fakes on a real Temporal server. What
would tell of the machine it was recorded on is replaced, so that it can be committed. Record anew,
all or those whose names are given, only where a change of the workflow shall not be replayed on
runs that are open: then say so in its commit.
"""

import asyncio
import getpass
import json
import socket
import sys
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from tests.conftest import register_search_attributes, temporal_program
from tests.histories import PLACE
from tests.support import estates
from tests.support.run import Run, at_work
from worker.payload_converter import DATA_CONVERTER
from workflows.errors import CommandFailed, OutcomeUnknown
from workflows.model.results import Service, State

IDENTITY = "a worker"
"""Instead of a process number and a host name."""
STICKY = "TASK_QUEUE_KIND_STICKY"

GATES = ["redirect_traffic", "drain_protocol_servers"]
LAST_SESSIONS = "await_sessions.cluster1-edge1"
STOP = "stop_gracefully.cluster1-server1.ssh"


async def completed(run: Run) -> None:
    """Nothing happens to it."""
    async with at_work(run):
        await run.start()
        await run.handle.result()


async def approved(run: Run) -> None:
    """One gate is opened by a signal, the other by an update; a wrong word changes nothing."""
    async with at_work(run):
        await run.start(approve_before=GATES)
        await run.waits("approval")
        await run.handle.signal("approve", {"stage": GATES[0], "by": "ann"})
        await run.handle.signal("aprove", {"stage": GATES[1], "by": "ann"})
        await run.reaches(lambda p: p.waiting is not None and p.waiting.stage == GATES[1])
        await run.handle.execute_update("approve", {"stage": GATES[1], "by": "bob"})
        await run.handle.result()


async def retried(run: Run) -> None:
    """One order is attempted twice by the engine, then again by an operator's decision."""
    run.fakes.failures[STOP] = [OutcomeUnknown("no answer"), CommandFailed("it said no")]
    async with at_work(run):
        await run.start()
        await run.waits("decision")
        decision = {"stage": GATES[1], "node": "cluster1-server1", "by": "ann"}
        await run.handle.execute_update("retry", decision)
        await run.handle.result()


async def aborted(run: Run) -> None:
    """It is ended at a gate, with replication still on."""
    async with at_work(run):
        await run.start(approve_before=GATES)
        await run.waits("approval")
        await run.handle.execute_update("abort", {"by": "ann", "reason": "not tonight"})
        await run.handle.result()


async def restarted(run: Run) -> None:
    """Its worker goes in the middle of the drain, and another one comes."""
    run.fakes.held[LAST_SESSIONS] = asyncio.Event()
    async with at_work(run):
        await run.start()
        await run.reaches(lambda p: p.stage == GATES[1])
    async with at_work(run):
        await run.status()  # the new worker has taken the run over
        run.fakes.held[LAST_SESSIONS].set()
        await run.handle.result()


async def failed(run: Run) -> None:
    """A prerequisite does not hold."""
    down = {**run.fakes.services("cluster2-edge1"), Service.SSH: State.STOPPED}
    run.fakes.readings["cluster2-edge1"] = {"services": down}
    async with at_work(run):
        await run.start()
        try:
            await run.handle.result()
        except WorkflowFailureError:
            return
    raise AssertionError("it did not fail")


async def rolled_back(run: Run) -> None:
    """An order fails after the point of no return, someone pauses, thinks, and rolls back."""
    run.fakes.failures[STOP] = [CommandFailed("it said no")]
    async with at_work(run):
        await run.start()
        await run.waits("decision")
        await run.says("pause", by="ann")
        await run.says("resume", by="ann")
        await run.says("roll_back", by="ann", reason="not tonight")
        await run.handle.result()


async def forced(run: Run) -> None:
    """Node by node; one wait is extended, then cut."""
    run.fakes.held[LAST_SESSIONS] = asyncio.Event()
    async with at_work(run):
        await run.start(variant="by_node")
        await run.reaches(lambda p: p.stage == GATES[1])
        await run.says("extend", stage=GATES[1], minutes=60, by="ann")
        await run.says("force", stage=GATES[1], node="cluster1-edge1", by="ann", reason="told")
        await run.handle.result()


async def rejoined(run: Run) -> None:
    """A drained cluster comes back; a Transaction Manager is asked about, and retried."""
    run.fakes.world.drain()
    start = "start_transaction_manager.cluster1-server1"
    run.fakes.failures[start] = [CommandFailed("it said no")]
    async with at_work(run):
        await run.rejoin()
        await run.waits("decision")
        await run.says("retry", stage="start_transaction_managers", by="ann")
        await run.handle.result()


STORIES: dict[str, Callable[[Run], Awaitable[None]]] = {
    story.__name__: story
    for story in (
        completed,
        approved,
        retried,
        aborted,
        restarted,
        failed,
        rolled_back,
        forced,
        rejoined,
    )
}


async def record(client: Client, name: str) -> str:
    """Let one story happen and return its history."""
    run = Run(client, estates.estate(servers=1, edges=1, name=name))
    await asyncio.wait_for(STORIES[name](run), 60)
    events = json.loads((await run.handle.fetch_history()).to_json())["events"]
    lines = [json.dumps(event, sort_keys=True) for event in scrubbed(events)]
    messages = "\n".join((*lines, *spoken(events)))
    if told := [word for word in telling() if word in messages]:
        raise AssertionError(f"{name} tells of this machine: {', '.join(told)}")
    return '{"events": [\n' + ",\n".join(lines) + "\n]}\n"


def scrubbed(part: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a part of a history without what belongs to the machine it was recorded on."""
    match part:
        case {"kind": kind} if kind == STICKY:
            return part | {"name": IDENTITY}
        case dict():
            kept = {key: scrubbed(value) for key, value in part.items() if key != "stackTrace"}
            return kept | ({"identity": IDENTITY} if "identity" in kept else {})
        case list():
            return [scrubbed(value) for value in part]
        case _:
            return part


def spoken(part: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """What the payloads in a part of a history say."""
    match part:
        case {"data": str() as data}:
            yield b64decode(data).decode(errors="replace")
        case dict():
            for value in part.values():
                yield from spoken(value)
        case list():
            for value in part:
                yield from spoken(value)


def telling() -> tuple[str, ...]:
    """Words that occur on this machine only."""
    checkout = Path(__file__).parents[2]
    return str(checkout), str(Path.home()), f"@{socket.gethostname()}", f"{getpass.getuser()}@"


@asynccontextmanager
async def server() -> AsyncIterator[Client]:
    """Have a Temporal server, and a client that encodes as the worker does."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_program(),
        dev_server_log_level="error",
        identity=IDENTITY,
        data_converter=DATA_CONVERTER,
        ui=False,
    ) as environment:
        await register_search_attributes(environment.client)
        yield environment.client


async def main(names: list[str]) -> None:
    """Record what is named, or everything."""
    async with server() as client:
        for name in names or STORIES:
            text = await record(client, name)
            (PLACE / f"{name}.json").write_text(text, encoding="utf-8")
            sys.stdout.write(f"{name}: {len(text) // 1024} KiB\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
