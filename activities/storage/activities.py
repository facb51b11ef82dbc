"""Are the files of both clusters the same, and how long does one side take to see the other's?"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from temporalio import activity

from activities.runtime.heartbeat import heartbeating, sleep
from activities.runtime.partial_reading import reading_or_finding
from activities.storage import sampling as samples
from activities.storage.sampling import Copy, Key, Sample
from activities.transport.ssh import Command, CommandResult, Shell, script
from workflows.errors import CommandFailed, OutcomeUnknown
from workflows.model.actions import CompareStorage
from workflows.model.estate import Cluster
from workflows.model.findings import Finding
from workflows.model.observations import Difference, StorageReading
from workflows.ports.inputs import ClusterPairInput
from workflows.ports.storage import StoragePort
from workflows.preflight import access, storage

T = TypeVar("T")

UNREADABLE = access.storage_unreadable
SHORTEST_REST = timedelta(seconds=2)
"""Clocks of storages count whole seconds."""
MOST_TOLD = 20
"""Differences that travel: they go into history."""
LOOK_EVERY = timedelta(seconds=0.2)
RESERVED = timedelta(seconds=10)
"""What an attempt keeps for its last looks."""

_WRITE = r"""
# A worker that was killed may have left one.
find "$1" -maxdepth 1 -name 'switchover-marker-*' -mmin +60 -delete
set -C
umask 077
echo 'A readiness check measures the delay of this storage; it may be removed.' >"$1/$2"
"""

# A directory that was opened anew is not read from a cache.
_SEES = 'ls -a "$1" >/dev/null 2>&1; [ -e "$1/$2" ]'


@dataclass(frozen=True)
class _Pair:
    """Both samples, and what of them is held against each other."""

    source: Sample
    target: Sample
    keys: tuple[Key, ...]

    @property
    def suspects(self) -> list[bytes]:
        """What is not the same at a first look; it may be on its way."""
        pairs = ((k, self.source.files.get(k), self.target.files.get(k)) for k in self.keys)
        return [key[1] for key, one, two in pairs if not samples.alike(one, two)]


class SshStorages(StoragePort):
    """Storages as the first Server of each cluster sees them."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    @activity.defn
    async def compare_storage(self, given: ClusterPairInput[CompareStorage]) -> StorageReading:
        """Name what differs in a sample; writes a marker file where the estate has a place for it.

        What cannot be read is in the reading's trouble, never an error.
        """
        async with heartbeating():
            # Also when cancelled, both come to their end: what was written is removed first.
            results = await asyncio.gather(
                self._compare(given), self._delays(given), return_exceptions=True
            )
        reading, delays = _result(results[0]), _result(results[1])
        found = {name: delay for name, delay in delays.items() if not isinstance(delay, Finding)}
        trouble = dict.fromkeys((*reading.findings, *_findings(delays.values())))
        return reading.model_copy(update={"delays": found, "findings": tuple(trouble)})

    async def _compare(self, given: ClusterPairInput[CompareStorage]) -> StorageReading:
        sides, rest = (given.source, given.target), _rest(given)
        place, most = given.target.name, given.limits.storage_sample
        found = await asyncio.gather(*(self._sample(side, most) for side in sides))
        if trouble := _findings(found):
            return StorageReading(place=place, findings=trouble)
        source, target = (sample for sample in found if isinstance(sample, Sample))
        pair = _Pair(source, target, samples.comparable(source, target, rest))
        suspects = pair.suspects
        if suspects:
            # What is not there yet, or not gone yet, is so one delay later.
            await sleep(min(given.timing.storage_delay, _left()))
        now = await asyncio.gather(*(self._again(side, suspects) for side in sides))
        if trouble := _findings(now):
            return StorageReading(place=place, findings=trouble)
        one, two = (copies for copies in now if not isinstance(copies, Finding))
        left = [
            _difference(path, one.get(path), two.get(path), given)
            for path in suspects
            if not samples.alike(one.get(path), two.get(path))
        ]
        return StorageReading(
            place=place, sampled=len(pair.keys), differences=tuple(left[:MOST_TOLD])
        )

    async def _sample(self, cluster: Cluster, most: int) -> Sample | Finding:
        async def look() -> Sample:
            command = samples.sample(cluster.storage, cluster.storage_markers, most)
            return samples.parse_sample(await self._read(cluster, command), most)

        return await _tried(look, cluster)

    async def _again(
        self, cluster: Cluster, paths: Iterable[bytes]
    ) -> Mapping[bytes, Copy | None] | Finding:
        async def look() -> dict[bytes, Copy | None]:
            found: dict[bytes, Copy | None] = {}
            for portion in samples.portions(paths):
                command = samples.again(cluster.storage, portion)
                found |= samples.parse_again(await self._read(cluster, command))
            return found

        return await _tried(look, cluster)

    async def _read(self, cluster: Cluster, command: Command) -> str:
        answer = await self._run(cluster, command)
        if answer.status == 124:  # noqa: PLR2004 - what `timeout` says
            raise OutcomeUnknown(
                f"{cluster.storage} could not be looked through in {samples.ENDS_WITHIN} s"
            )
        if answer.status != 0:
            raise OutcomeUnknown(f"{cluster.storage} cannot be read: {answer.text}")
        return answer.out

    async def _delays(
        self, given: ClusterPairInput[CompareStorage]
    ) -> dict[str, timedelta | Finding | None]:
        """Measure both directions at the same time, as far as the estate has a place for it."""
        both = ((given.source, given.target), (given.target, given.source))
        ways = [(writer, reader) for writer, reader in both if writer.storage_markers]
        looks = (self._delay(given, *way) for way in ways)
        delays = await asyncio.gather(*looks, return_exceptions=True)
        return {w.name: _result(delay) for (w, _), delay in zip(ways, delays, strict=True)}

    async def _delay(
        self, given: ClusterPairInput[CompareStorage], writer: Cluster, reader: Cluster
    ) -> timedelta | Finding | None:
        """Return when *reader* saw what *writer* wrote; None if it did not in good time."""
        name = f"switchover-marker-{uuid.uuid4().hex}"
        here, there = (f"{side.storage}/{writer.storage_markers}" for side in (writer, reader))
        try:
            trouble = await _tried(lambda: self._write(writer, here, name), writer)
            if trouble is not None:
                return trouble
            return await self._seen(given, reader, script(_SEES, there, name))
        finally:
            # Also where nobody knows whether it was written.
            await _tried(lambda: self._run(writer, Command(("rm", "-f", f"{here}/{name}"))), writer)

    async def _write(self, writer: Cluster, folder: str, name: str) -> None:
        answer = await self._run(writer, script(_WRITE, folder, name))
        if answer.status != 0:
            raise CommandFailed(f"no marker can be written to {folder}: {answer.text}")

    async def _seen(
        self, given: ClusterPairInput[CompareStorage], reader: Cluster, look: Command
    ) -> timedelta | Finding | None:
        written, limit = datetime.now(UTC), given.timing.storage_delay
        wait = min(3 * limit, _left())
        while True:
            seen = await _tried(lambda: self._sees(reader, look), reader)
            waited = datetime.now(UTC) - written
            if isinstance(seen, Finding):
                return seen
            if seen:
                return waited
            if waited >= wait:
                return None
            await sleep(LOOK_EVERY)

    async def _sees(self, reader: Cluster, look: Command) -> bool:
        answer = await self._run(reader, look)
        if answer.status not in (0, 1):
            raise OutcomeUnknown(f"it cannot be told whether a marker is there: {answer.text}")
        return answer.status == 0

    async def _run(self, cluster: Cluster, command: Command) -> CommandResult:
        return await self._shell.run(cluster.servers[0], command)


async def _tried(reading: Callable[[], Awaitable[T]], cluster: Cluster) -> T | Finding:
    return await reading_or_finding(reading, cluster.name, UNREADABLE, unusable=UNREADABLE)


def _result(result: T | BaseException) -> T:
    if isinstance(result, BaseException):
        raise result
    return result


def _findings(results: Iterable[object]) -> tuple[Finding, ...]:
    return tuple(result for result in results if isinstance(result, Finding))


def _rest(given: ClusterPairInput[CompareStorage]) -> timedelta:
    """How long ago a file must have changed for both sides to have it."""
    return max(2 * given.timing.storage_delay, SHORTEST_REST)


def _left() -> timedelta:
    """How long this attempt may still wait."""
    info = activity.info()
    ends = info.started_time + (info.start_to_close_timeout or timedelta())
    return max(ends - datetime.now(UTC) - RESERVED, timedelta())


def _difference(
    path: bytes, source: Copy | None, target: Copy | None, given: ClusterPairInput[CompareStorage]
) -> Difference:
    """Say what is wrong with a file, at the side that lacks it or else at the target."""
    lacking = source is None
    seen, expected = (source, target) if lacking else (target, source)
    return Difference(
        check=storage.storage_differs.name,
        place=(given.source if lacking else given.target).name,
        item=path.decode("utf-8", "backslashreplace").replace("\n", "\\n"),
        seen="missing" if seen is None else str(seen),
        expected=str(expected),
    )
