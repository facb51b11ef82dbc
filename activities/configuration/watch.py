"""Compare the configuration with what a record says of it, once or again and again."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TypeVar

from activities.configuration.audit import AuditEntry
from activities.configuration.digests import ItemMemory, Items, bucket_count, digested
from activities.configuration.state import ConfigurationReader, ConfigurationReading, part_count
from activities.runtime.heartbeat import heartbeating, sleep
from activities.time_limits import LIMITS, TimeLimits
from workflows.model.configuration import (
    MAX_CHANGES,
    ConfigurationChange,
    ConfigurationReport,
    PartDigest,
)
from workflows.ports.configuration import WatchInput

T = TypeVar("T")

MAX_ENTRIES = 500
UNREAD_READINGS = 3
"""So many readings in a row a place may fail before that is news: services restart."""


class ConfigurationWatch:
    """Reads the configuration of one estate, and reports what is news."""

    def __init__(self, reader: ConfigurationReader, memory: ItemMemory, given: WatchInput) -> None:
        self._reader, self._memory, self._given = reader, memory, given
        self._clusters = [one for one in given.clusters if one.name not in given.dark]
        self._buckets = bucket_count(part_count(given.clusters))
        self._record = given.record
        self._failed: Counter[str] = Counter()
        """By place: how many readings in a row could not be made."""
        self._entries: defaultdict[str, deque[AuditEntry]] = defaultdict(
            lambda: deque(maxlen=MAX_ENTRIES)
        )
        """By node: the last entries of its audit log; one may come before what it is about."""
        LIMITS.set(TimeLimits.of(given.timing))

    async def read(self) -> ConfigurationReport:
        """Read once, and return everything that is not as the record says."""
        async with heartbeating():
            return self._judge(await self._reading(), tolerated=1)

    async def until_news(self) -> ConfigurationReport:
        """Read until there is something that the record does not have."""
        async with heartbeating() as heartbeat:
            while True:
                report = self._judge(await self._reading(), tolerated=UNREAD_READINGS)
                if self._is_news(report):
                    return report
                heartbeat.set_details(ConfigurationReport(at=report.at, unread=report.unread))
                await sleep(self._given.timing.configuration_interval)

    async def _reading(self) -> ConfigurationReading:
        audited = self._record.audited
        return await self._reader.read(self._clusters, self._given.replication, audited)

    def _is_news(self, report: ConfigurationReport) -> bool:
        known = self._given.record
        first_read = report.parts.keys() - known.parts.keys()
        unread = report.unread.keys() - known.unread.keys()
        return bool(first_read or unread or report.changes)

    def _judge(self, reading: ConfigurationReading, *, tolerated: int) -> ConfigurationReport:
        """Compare with what is known by now, and return what the given record does not have."""
        now, given = datetime.now(UTC), self._given.record
        self._failed = Counter({place: self._failed[place] + 1 for place in reading.unread})
        for node, read in reading.audits.items():
            self._entries[node].extend(read.entries)
        changes = {change.key: change for change in self._by_audit(reading, now)}
        parts: dict[str, PartDigest] = {}
        for key, items in reading.parts.items():
            changes |= {change.key: change for change in self._by_digest(key, items, now)}
            parts[key] = digested(items, self._buckets)
            self._memory.remember(parts[key], items)
        report = ConfigurationReport(
            at=now,
            parts=parts,
            audited={node: read.mark for node, read in reading.audits.items()},
            changes=tuple(filter(self._is_new, changes.values()))[:MAX_CHANGES],
            unread={
                place: why
                for place, why in reading.unread.items()
                if self._failed[place] >= tolerated or place in given.unread
            },
        )
        self._record = self._record.after(report)
        return report.model_copy(
            update={
                "parts": _beyond(given.parts, self._record.parts),
                "audited": _beyond(given.audited, self._record.audited),
            }
        )

    def _by_digest(self, key: str, items: Items, now: datetime) -> Iterator[ConfigurationChange]:
        """Yield what differs from the digest of a part, with its author where the log has one."""
        known, (place, kind) = self._record.parts.get(key), key.split(" ", 1)
        kind = kind.removesuffix(" number")
        if known is None:
            return
        for item, what in self._memory.differences(known, kind, items):
            entries = (one for one in reversed(self._entries[place]) if one.is_about(item))
            entry = next(entries, None)
            by, at = (entry.by, entry.at) if entry else ("", None)
            yield ConfigurationChange(place=place, item=item, what=what, seen_at=now, by=by, at=at)

    def _by_audit(
        self, reading: ConfigurationReading, now: datetime
    ) -> Iterator[ConfigurationChange]:
        for node, read in reading.audits.items():
            listed = [one.item for one in self._record.changes if one.place == node]
            for entry in sorted(read.entries, key=lambda one: one.at or now):
                item = next(filter(entry.is_about, listed), entry.item)
                yield ConfigurationChange(
                    place=node, item=item, what=entry.what, seen_at=now, by=entry.by, at=entry.at
                )

    def _is_new(self, change: ConfigurationChange) -> bool:
        """Whether the record lists no such change, or lists it without its author."""
        if any(fnmatchcase(change.item, one) for one in self._given.ignored_changes):
            return False
        known = next((one for one in self._record.changes if one.key == change.key), None)
        if known is not None:
            return bool(change.by and not known.by)
        return not self._record.is_full


def _beyond(known: Mapping[str, T], now: Mapping[str, T]) -> dict[str, T]:
    """Return what is not the same in what was known."""
    return {key: one for key, one in now.items() if known.get(key) != one}
