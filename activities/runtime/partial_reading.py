"""Turn a reading that could not be made into a finding."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from workflows.errors import AccessRefused, SwitchoverError, Unreachable
from workflows.model.checks import AccessCheck
from workflows.model.findings import Finding
from workflows.preflight import access

T = TypeVar("T")
D = TypeVar("D")

READING_TIMEOUT = 9.0
"""Seconds: an observation ends within ten, so that a silent machine keeps no operator waiting."""


async def reading_or_finding(
    reading: Callable[[], Awaitable[T]],
    place: str,
    unreachable: AccessCheck,
    *,
    unusable: AccessCheck = access.reading_unusable,
    give_up_after: float = READING_TIMEOUT,
) -> T | Finding:
    """Return the reading, or the finding that says why there is none.

    The check *unreachable* fails where the place does not answer within *give_up_after* seconds,
    *unusable* where its answer cannot be used.
    """
    try:
        async with asyncio.timeout(give_up_after):
            return await reading()
    except TimeoutError:
        check, seen = unreachable, f"no answer within {give_up_after:.0f} s"
    except Unreachable as failure:
        check, seen = unreachable, str(failure)
    except AccessRefused as refusal:
        check, seen = _REFUSED.get(unreachable, access.access_refused), str(refusal)
    except SwitchoverError as failure:
        check, seen = unusable, str(failure)
    return check.unread(place, seen.removeprefix(f"{place}: "))


def value_or(result: T | Finding, default: D) -> T | D:
    """Return the reading, or the default if there is a finding instead."""
    return default if isinstance(result, Finding) else result


def findings_of(*results: object) -> tuple[Finding, ...]:
    """Return the findings, each once: a silent machine is one finding, whatever was asked of it."""
    return tuple({f.name: f for f in results if isinstance(f, Finding)}.values())


def join_errors(*results: object) -> str | None:
    """Return in one sentence why parts of a reading are missing; None if none are."""
    findings = [result for result in results if isinstance(result, Finding)]
    return "; ".join(dict.fromkeys(f"{f.place}: {f.seen}" for f in findings)) or None


_REFUSED = {
    access.node_unreachable_ssh: access.ssh_access_refused,
    access.node_unreachable_admin: access.admin_access_refused,
}
"""The check that fails where a place answers, and refuses access."""
