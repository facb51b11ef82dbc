"""Turn a reading that could not be made into a finding."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from workflows.errors import AccessRefused, ForwardingRefused, SwitchoverError, Unreachable
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
    except ForwardingRefused as refusal:
        check, seen = access.forwarding_refused, str(refusal)
    except AccessRefused as refusal:
        check, seen = _REFUSED.get(unreachable, access.access_refused), str(refusal)
    except SwitchoverError as failure:
        check, seen = unusable, str(failure)
    return check.unread(place, seen.removeprefix(f"{place}: "))


class PartialReading:
    """Reads the parts of one place, side by side; what cannot be read becomes a finding."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._failed: list[Finding | None] = []

    async def part(
        self, reading: Callable[[], Awaitable[T]], unreachable: AccessCheck, default: D
    ) -> T | D:
        """Return one part, or the default if it cannot be read."""
        number = len(self._failed)
        self._failed.append(None)  # so that findings keep the sequence of the calls
        result = await reading_or_finding(reading, self._place, unreachable)
        if isinstance(result, Finding):
            self._failed[number] = result
            return default
        return result

    @property
    def failed(self) -> tuple[Finding, ...]:
        """Return why each missing part is missing."""
        return tuple(finding for finding in self._failed if finding is not None)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return one finding for each check: a silent machine is one, whatever was asked of it.

        Answers that cannot be used are one each.
        """
        unusable = access.reading_unusable.name
        found = {(f.name, f.seen if f.name == unusable else ""): f for f in self.failed}
        return tuple(found.values())

    @property
    def error(self) -> str | None:
        """Return in one sentence why parts are missing; None if none are."""
        return "; ".join(dict.fromkeys(f"{f.place}: {f.seen}" for f in self.failed)) or None


_REFUSED = {
    access.node_unreachable_ssh: access.ssh_access_refused,
    access.node_unreachable_admin: access.admin_access_refused,
}
"""The check that fails where a place answers, and refuses access."""
