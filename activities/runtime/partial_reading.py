"""How does a reading that could not be made become a finding?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from workflows.errors import AccessRefused, SwitchoverError, Unreachable
from workflows.model.checks import check_of
from workflows.model.findings import Finding

T = TypeVar("T")

GIVE_UP_AFTER = 9.0
"""Seconds: an observation ends within ten (design.md, section 5)."""


async def tolerant(
    reading: Callable[[], Awaitable[T]],
    place: str,
    silence: str,
    *,
    nonsense: str = "reading_unusable",
    within: float = GIVE_UP_AFTER,
) -> T | Finding:
    """Return the reading, or the finding that says why there is none.

    *silence* names the finding where the place does not answer, *nonsense* the one where its
    answer is of no use. It is given up after so many seconds *within*.
    """
    try:
        async with asyncio.timeout(within):
            return await reading()
    except TimeoutError:
        name, seen = silence, f"no answer within {within:.0f} s"
    except Unreachable as fault:
        name, seen = silence, str(fault)
    except AccessRefused as refusal:
        name, seen = _REFUSED.get(silence, "access_refused"), str(refusal)
    except SwitchoverError as fault:
        name, seen = nonsense, str(fault)
    return Finding(
        name=name,
        place=place,
        seen=seen.removeprefix(f"{place}: "),
        expected="an answer",
        advice=_ADVICE.get(name, "look whether it is up, and at the way from the worker to it"),
        severity=check_of(name).severity,
    )


def troubles(*results: object) -> str | None:
    """Say in one sentence why parts of a reading could not be made; None where all were."""
    findings = [result for result in results if isinstance(result, Finding)]
    return "; ".join(dict.fromkeys(f"{f.place}: {f.seen}" for f in findings)) or None


_REFUSED = {
    "node_unreachable_ssh": "ssh_access_refused",
    "node_unreachable_admin": "admin_access_refused",
}

_ADVICE = {
    **dict.fromkeys(
        ("access_refused", *_REFUSED.values()),
        "put the account, its key or password, or the host key in order",
    ),
    "reading_unusable": "ask the place by hand; report the words if they are the vendor's",
}
