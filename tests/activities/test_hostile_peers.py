"""Nothing that a peer sends takes the worker's memory, its time, or an attempt without an answer.

The peers are those of ``python -m bench.hostile_peers``, which measures each in a process of its
own.
"""

import asyncio
import re

import pytest

from activities import webhook
from activities.time_limits import TimeLimits
from activities.transport import wire
from bench import hostile_peers
from bench.hostile import Case, cases, honest, wires
from bench.hostile.child import Pulse
from tests.support.mount_namespace import NEEDS_ROOT
from workflows.errors import SwitchoverError

CASES = {case.name: case for case in cases()}
HERE = [name for name, case in CASES.items() if not (name.startswith("SQL") or case.before("."))]
"""Without those that have long limits, for which `test_hostile_servers` has short ones, and those
that need a process of their own."""
HEAVY = (
    pytest.param("DNS: sends a byte now and then", marks=NEEDS_ROOT),
    "SSH: prints without an end to seven commands",
    "SSH: lists 15 MiB of empty lines as sockets",
    "admin API: answers without an end",
    "admin API: lists 290,000 items that are none (3 MB)",
)
MAX_BLOCKED = 1.0
"""Seconds: here the peer uses the same event loop, and the machine is busy."""


# The library warns of itself where a peer wants a key exchange that is going out of use.
@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")
@pytest.mark.timeout(40)
@pytest.mark.parametrize("name", HERE)
async def test_a_hostile_peer_gets_one_sentence_in_time(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says where, and what; nothing of the peer's that a terminal would obey.

    No connection to it remains: the peers wait for that.
    """
    monkeypatch.setattr(webhook, "ANSWER_TIMEOUT", 1.0)
    case, pulse = CASES[name], Pulse()
    async with case.peer() as peer:
        with pulse.measured():
            said = await _said(case, peer)
    assert re.search(case.says, said)
    assert said.isprintable()
    assert pulse.longest < MAX_BLOCKED


@pytest.mark.parametrize("name", HEAVY)
async def test_a_hostile_peer_does_not_take_the_memory(name: str) -> None:
    """What has come is counted while it comes."""
    async with honest.machine() as other:
        measured = await hostile_peers.measure(CASES[name], other)
    assert hostile_peers.good(CASES[name], measured), measured


async def _said(case: Case, peer: str) -> str:
    try:
        return str(await case.run(peer))
    except SwitchoverError as error:
        return f"{type(error).__name__}: {error}"


async def test_who_takes_the_worker_s_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection ends long before the attempt would: other estates have the time."""
    monkeypatch.setattr(wire, "ALLOWANCE", 0.01)
    monkeypatch.setattr(wires, "QUICK", TimeLimits(reach=10, answer=30))
    case = CASES["SSH: floods with messages that say nothing"]
    async with case.peer() as peer, asyncio.timeout(10):
        assert "the connection was lost before true" in await _said(case, peer)
