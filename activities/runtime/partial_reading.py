"""Turn a reading that could not be made into a finding."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from activities.time_limits import LIMITS, Stopwatch
from workflows.errors import (
    AccessRefused,
    ForwardingRefused,
    RunAsRefused,
    SwitchoverError,
    Unreachable,
)
from workflows.model.checks import AccessCheck
from workflows.model.findings import Finding
from workflows.preflight import access

T = TypeVar("T")
D = TypeVar("D")

QUICK_READING = 9.0
"""Seconds for a reading that an operator waits for."""


async def reading_or_finding(
    reading: Callable[[], Awaitable[T]],
    place: str,
    unreachable: AccessCheck,
    *,
    unusable: AccessCheck = access.reading_unusable,
    give_up_after: float | None = None,
) -> T | Finding:
    """Return the reading, or the finding that says why there is none.

    The check *unreachable* fails where the place is silent, *unusable* where its answer cannot be
    used, ``answers_too_slow`` where it takes too long: *give_up_after* seconds, or several times
    what the estate allows for an answer.
    """
    limit = LIMITS.get().reading if give_up_after is None else give_up_after
    try:
        return await Stopwatch().time(reading(), limit)
    except TimeoutError:
        check, seen = _slow(unusable), f"no whole answer within {limit:.0f} s"
    except Unreachable as failure:
        check, seen = unreachable, str(failure)
    except ForwardingRefused as refusal:
        check, seen = access.forwarding_refused, str(refusal)
    except RunAsRefused as refusal:
        check, seen = access.run_as_refused, str(refusal)
    except AccessRefused as refusal:
        check, seen = _REFUSED.get(unreachable, access.access_refused), str(refusal)
    except SwitchoverError as failure:
        check, seen = unusable, str(failure)
    return check.unread(place, seen.removeprefix(f"{place}: "))


def _slow(unusable: AccessCheck) -> AccessCheck:
    """Return the check for a slow answer: a reading may have one check for all of its trouble."""
    return access.answers_too_slow if unusable is access.reading_unusable else unusable


class PartialReading:
    """Reads the parts of one place, side by side; what cannot be read becomes a finding."""

    def __init__(self, place: str, give_up_after: float | None = None) -> None:
        self._place = place
        self._give_up_after = give_up_after
        self._failed: list[Finding | None] = []

    async def part(
        self, reading: Callable[[], Awaitable[T]], unreachable: AccessCheck, default: D
    ) -> T | D:
        """Return one part, or the default if it cannot be read."""
        number = len(self._failed)
        self._failed.append(None)  # so that findings keep the sequence of the calls
        result = await reading_or_finding(
            reading, self._place, unreachable, give_up_after=self._give_up_after
        )
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
