"""A place is charged for its own time, and never for that of the worker."""

import asyncio
import time
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from activities.runtime.partial_reading import reading_or_finding
from activities.time_limits import Stopwatch, TimeLimits
from activities.transport.ssh import Command, Shell
from tests.support.ssh_machines import SshServer
from workflows.errors import Unreachable
from workflows.model.estate import Node
from workflows.model.findings import Finding
from workflows.preflight import access


async def answer(after: float) -> str:
    """Answer after some seconds."""
    await asyncio.sleep(after)
    return "answer"


async def stall(seconds: float) -> None:
    """Keep the event loop from everything else."""
    await asyncio.sleep(0)
    time.sleep(seconds)  # noqa: ASYNC251 - that is what a busy worker does


async def test_what_takes_too_long_is_given_up() -> None:
    """And it is cancelled."""
    with pytest.raises(TimeoutError):
        await Stopwatch().time(answer(60), 0.3)


async def test_a_busy_worker_charges_nobody() -> None:
    """It stood still for longer than the limit, and the answer came in time."""
    slow = asyncio.create_task(stall(1.5))
    assert await Stopwatch().time(answer(0.4), 1.0) == "answer"
    await slow


async def test_an_answer_that_takes_too_long_is_slow_and_not_silent() -> None:
    """The finding of an unreachable place would send an operator to the wrong machine."""

    async def reading() -> str:
        return await answer(60)

    found = await reading_or_finding(
        reading, "server1", access.node_unreachable_ssh, give_up_after=0.3
    )
    assert isinstance(found, Finding)
    assert found.name == "answers_too_slow"


async def test_a_slow_shell_is_measured(node: Node, shell: Shell, ssh_server: SshServer) -> None:
    """By its slowest command since the last look."""
    assert shell.slowest_answer(node) is None
    await shell.run(node, Command(("sleep", "0.3")))
    await shell.run(node, Command(("true",)))
    slowest = shell.slowest_answer(node)
    assert slowest is not None
    assert slowest.total_seconds() >= 0.3
    assert shell.slowest_answer(node) is None


async def test_a_machine_that_accepts_and_says_nothing_is_waited_for_once(
    node_maker: Callable[..., Node], shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many readings need its connection."""
    accepted = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    silent = node_maker(ssh={"user": "st", "key": "env:KEY", "port": port})
    limits = ContextVar("limits", default=TimeLimits(reach=0.2, answer=5))  # noqa: B039 - it is frozen
    monkeypatch.setattr("activities.transport.ssh.LIMITS", limits)
    results = await asyncio.gather(
        *(shell.run(silent, Command(("true",))) for _ in range(3)), return_exceptions=True
    )
    assert {type(result) for result in results} == {Unreachable}
    assert len(accepted) == 1
    for writer in accepted:
        writer.close()
    server.close()
