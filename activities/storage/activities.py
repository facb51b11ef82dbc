"""Compare a sample of both clusters' files, and measure how long file replication takes."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from temporalio import activity

from activities.runtime.heartbeat import heartbeating, sleep
from activities.runtime.partial_reading import reading_or_finding
from activities.storage import sampling as samples
from activities.storage.sampling import Copy, Sample
from activities.transport.answer import MAX_LIST
from activities.transport.framing import CommandResult
from activities.transport.ssh import Command, Shell, script
from workflows.errors import CommandFailed, OutcomeUnknown
from workflows.model.actions import CompareStorage
from workflows.model.estate import Cluster
from workflows.model.findings import Finding
from workflows.model.observations import Difference, StorageReading
from workflows.ports.inputs import ClusterPairInput
from workflows.ports.storage import StoragePort
from workflows.preflight import access

T = TypeVar("T")

UNREADABLE = access.storage_unreadable
MIN_UNCHANGED_TIME = timedelta(seconds=2)
"""The clocks of storages count whole seconds."""
MAX_SHOWN_DIFFERENCES = 20
"""Differences in the reading, which goes into history."""
MARKER_POLL_INTERVAL = timedelta(seconds=0.2)
RESERVED_TIME = timedelta(seconds=10)
"""The part of an attempt that is kept for its last readings."""

_WRITE = r"""
# Removes the marker file of a worker that was killed.
find "$1/." ! -name . -prune -name 'switchover-marker-*' -mmin +60 -exec rm -f {} +
set -C
umask 077
echo 'A readiness check measures the delay of this storage; it may be removed.' >"$1/$2"
"""

# A directory that was opened anew is not read from a cache.
_HAS_MARKER = 'ls -a "$1" >/dev/null 2>&1; [ -e "$1/$2" ]'


class SshStorages(StoragePort):
    """The storages, as mounted on the first Server of each cluster."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    @activity.defn
    async def compare_storage(self, given: ClusterPairInput[CompareStorage]) -> StorageReading:
        async with heartbeating():
            # Both end even if cancelled: the marker file is removed first.
            results = await asyncio.gather(
                self._compare(given), self._delays(given), return_exceptions=True
            )
        reading, delays = _result(results[0]), _result(results[1])
        found = {name: delay for name, delay in delays.items() if not isinstance(delay, Finding)}
        findings = dict.fromkeys((*reading.findings, *_findings(delays.values())))
        return reading.model_copy(update={"delays": found, "findings": tuple(findings)})

    async def _compare(self, given: ClusterPairInput[CompareStorage]) -> StorageReading:
        sides, unchanged = (given.source, given.target), _unchanged_time(given)
        place, most = given.target.name, given.limits.storage_sample
        found = await asyncio.gather(*(self._sample(side, most) for side in sides))
        if findings := _findings(found):
            return StorageReading(place=place, findings=findings)
        source, target = (sample for sample in found if isinstance(sample, Sample))
        keys = samples.comparable(source, target, unchanged)
        different = (k for k in keys if not samples.alike(source.files.get(k), target.files.get(k)))
        suspects = [path for _, path in different]
        if suspects:
            # What replication has not created or removed yet will be so after one delay.
            await sleep(min(given.timing.storage_delay, _remaining_time()))
        now = await asyncio.gather(*(self._again(side, suspects) for side in sides))
        if findings := _findings(now):
            return StorageReading(place=place, findings=findings)
        one, two = (copies for copies in now if not isinstance(copies, Finding))
        differences = [
            _difference(path, one.get(path), two.get(path), given)
            for path in suspects
            if not samples.alike(one.get(path), two.get(path))
        ]
        return StorageReading(
            place=place, sampled=len(keys), differences=tuple(differences[:MAX_SHOWN_DIFFERENCES])
        )

    async def _sample(self, cluster: Cluster, most: int) -> Sample | Finding:
        async def read() -> Sample:
            command = samples.sample(cluster.storage, cluster.storage_markers, most)
            return samples.parse_sample(await self._read(cluster, command), most)

        return await _reading_or_finding(read, cluster)

    async def _again(
        self, cluster: Cluster, paths: Iterable[bytes]
    ) -> Mapping[bytes, Copy | None] | Finding:
        async def read() -> dict[bytes, Copy | None]:
            found: dict[bytes, Copy | None] = {}
            for portion in samples.portions(paths):
                command = samples.again(cluster.storage, portion)
                found |= samples.parse_again(await self._read(cluster, command))
            return found

        return await _reading_or_finding(read, cluster)

    async def _read(self, cluster: Cluster, command: Command) -> str:
        answer = await self._run(cluster, command)
        if answer.status == 124:  # noqa: PLR2004 - what `timeout` says
            raise OutcomeUnknown(
                f"{cluster.storage} could not be searched in {samples.SEARCH_TIMEOUT} s"
            )
        if answer.status != 0:
            raise OutcomeUnknown(f"{cluster.storage} cannot be read: {answer.text}")
        return answer.out

    async def _delays(
        self, given: ClusterPairInput[CompareStorage]
    ) -> dict[str, timedelta | Finding | None]:
        """Measure both directions in parallel, if the estate has a place for marker files."""
        both = ((given.source, given.target), (given.target, given.source))
        directions = [(writer, reader) for writer, reader in both if writer.storage_markers]
        measured = (self._delay(given, *direction) for direction in directions)
        delays = await asyncio.gather(*measured, return_exceptions=True)
        return {w.name: _result(delay) for (w, _), delay in zip(directions, delays, strict=True)}

    async def _delay(
        self, given: ClusterPairInput[CompareStorage], writer: Cluster, reader: Cluster
    ) -> timedelta | Finding | None:
        """Return after how long *reader* has *writer*'s marker file; None if it never appears."""
        name = f"switchover-marker-{uuid.uuid4().hex}"
        here, there = (f"{side.storage}/{writer.storage_markers}" for side in (writer, reader))
        try:
            failure = await _reading_or_finding(lambda: self._write(writer, here, name), writer)
            if failure is not None:
                return failure
            return await self._wait_for_marker(given, reader, script(_HAS_MARKER, there, name))
        finally:
            # Also if it is unknown whether the file was written.
            await _reading_or_finding(
                lambda: self._run(writer, Command(("rm", "-f", f"{here}/{name}"))), writer
            )

    async def _write(self, writer: Cluster, folder: str, name: str) -> None:
        answer = await self._run(writer, script(_WRITE, folder, name))
        if answer.status != 0:
            raise CommandFailed(f"no marker can be written to {folder}: {answer.text}")

    async def _wait_for_marker(
        self, given: ClusterPairInput[CompareStorage], reader: Cluster, test: Command
    ) -> timedelta | Finding | None:
        written, limit = datetime.now(UTC), given.timing.storage_delay
        wait = min(3 * limit, _remaining_time())
        while True:
            seen = await _reading_or_finding(lambda: self._has_marker(reader, test), reader)
            waited = datetime.now(UTC) - written
            if isinstance(seen, Finding):
                return seen
            if seen:
                return waited
            if waited >= wait:
                return None
            await sleep(MARKER_POLL_INTERVAL)

    async def _has_marker(self, reader: Cluster, test: Command) -> bool:
        answer = await self._run(reader, test)
        if answer.status not in (0, 1):
            raise OutcomeUnknown(f"it is unknown whether the marker file is there: {answer.text}")
        return answer.status == 0

    async def _run(self, cluster: Cluster, command: Command) -> CommandResult:
        return await self._shell.run(cluster.servers[0], command, limit=MAX_LIST)


async def _reading_or_finding(reading: Callable[[], Awaitable[T]], cluster: Cluster) -> T | Finding:
    return await reading_or_finding(reading, cluster.name, UNREADABLE, unusable=UNREADABLE)


def _result(result: T | BaseException) -> T:
    if isinstance(result, BaseException):
        raise result
    return result


def _findings(results: Iterable[object]) -> tuple[Finding, ...]:
    return tuple(result for result in results if isinstance(result, Finding))


def _unchanged_time(given: ClusterPairInput[CompareStorage]) -> timedelta:
    """Return how long a file must be unchanged for both sides to have it."""
    return max(2 * given.timing.storage_delay, MIN_UNCHANGED_TIME)


def _remaining_time() -> timedelta:
    """Return how long this attempt may still wait."""
    info = activity.info()
    ends = info.started_time + (info.start_to_close_timeout or timedelta())
    return max(ends - datetime.now(UTC) - RESERVED_TIME, timedelta())


def _difference(
    path: bytes, source: Copy | None, target: Copy | None, given: ClusterPairInput[CompareStorage]
) -> Difference:
    """Return the difference, at the side that lacks the file or else at the target."""
    lacking = source is None
    seen, expected = (source, target) if lacking else (target, source)
    return Difference(
        place=(given.source if lacking else given.target).name,
        item=path.decode("utf-8", "backslashreplace").replace("\n", "\\n"),
        seen="missing" if seen is None else str(seen),
        expected=str(expected),
    )
