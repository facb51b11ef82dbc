"""Turn a reading that could not be made into a finding."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from workflows.errors import AccessRefused, SwitchoverError, Unreachable
from workflows.model.checks import check_of
from workflows.model.findings import Finding

T = TypeVar("T")

READING_TIMEOUT = 9.0
"""Seconds: an observation ends within ten, so that a silent machine keeps no operator waiting."""


async def reading_or_finding(
    reading: Callable[[], Awaitable[T]],
    place: str,
    unreachable: str,
    *,
    unusable: str = "reading_unusable",
    give_up_after: float = READING_TIMEOUT,
) -> T | Finding:
    """Return the reading, or the finding that says why there is none.

    *unreachable* names the finding if the place does not answer, *unusable* the one if its answer
    cannot be used. *give_up_after* is in seconds.
    """
    try:
        async with asyncio.timeout(give_up_after):
            return await reading()
    except TimeoutError:
        name, seen = unreachable, f"no answer within {give_up_after:.0f} s"
    except Unreachable as fault:
        name, seen = unreachable, str(fault)
    except AccessRefused as refusal:
        name, seen = _REFUSED.get(unreachable, "access_refused"), str(refusal)
    except SwitchoverError as fault:
        name, seen = unusable, str(fault)
    return Finding(
        name=name,
        place=place,
        seen=seen.removeprefix(f"{place}: "),
        expected="an answer",
        advice=_ADVICE.get(
            name, "check whether it is up, and whether the worker can reach it over the network"
        ),
        severity=check_of(name).severity,
    )


def join_errors(*results: object) -> str | None:
    """Return in one sentence why parts of a reading are missing; None if none are."""
    findings = [result for result in results if isinstance(result, Finding)]
    return "; ".join(dict.fromkeys(f"{f.place}: {f.seen}" for f in findings)) or None


_REFUSED = {
    "node_unreachable_ssh": "ssh_access_refused",
    "node_unreachable_admin": "admin_access_refused",
}

_ADVICE = {
    **dict.fromkeys(
        ("access_refused", *_REFUSED.values()),
        "correct the account, its key or password, or the host key",
    ),
    "reading_unusable": "ask the place by hand; report the answer if it is the vendor's",
}
